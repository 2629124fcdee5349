package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"askara-sync/askara"
	"askara-sync/sync"
)

// onceFlags are the flags of --once.
type onceFlags struct {
	once    bool
	since   string
	until   string
	account string
	dryRun  bool
	json    bool
}

func (f *onceFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.once, "once", false, "run one pass by hand instead of the daemon, for a backfill or to see what happens")
	flags.StringVar(&f.since, "since", "", "with --once: also documents changed from `T` on: 2026-01-31, 2026-01-31T10:00:00+01:00 or 30d")
	flags.StringVar(&f.until, "until", "", "with --once: only documents changed before `T`")
	flags.StringVar(&f.account, "account", "", "with --once: only this account, by `NAME`")
	flags.BoolVar(&f.dryRun, "dry-run", false, "with --once: show what would be delivered, and deliver nothing")
	flags.BoolVar(&f.json, "json", false, "with --once: print one line of JSON for each account")
}

// check refuses flags that mean nothing without --once.
func (f *onceFlags) check(cmd *cobra.Command) error {
	if f.once {
		return nil
	}
	for _, name := range []string{"since", "until", "account", "dry-run", "json"} {
		if cmd.Flags().Changed(name) {
			return &UsageError{Problem: "--" + name + " is of use only with --once", Remedy: "askara-sync --once --" + name + " …"}
		}
	}
	return nil
}

// span reads --since and --until.
func (f *onceFlags) span(cfg *Config, now time.Time) (since, until time.Time, err error) {
	if f.since != "" {
		if since, err = parseMoment(f.since, now, cfg.Location); err != nil {
			return since, until, err
		}
	}
	if f.until != "" {
		if until, err = parseMoment(f.until, now, cfg.Location); err != nil {
			return since, until, err
		}
		if !until.After(since) {
			return since, until, &UsageError{Problem: "--until is not after --since", Remedy: "give the earlier time to --since"}
		}
	}
	return since, until, nil
}

// runOnce runs one pass by hand: in this process, or in the daemon's where one runs.
func runOnce(ctx context.Context, r *Run, f onceFlags) error {
	cfg, err := r.ConfigureWithoutSecrets()
	if err != nil {
		return err
	}
	since, until, err := f.span(cfg, time.Now())
	if err != nil {
		return err
	}
	if f.account != "" {
		if _, err := cfg.Account(f.account); err != nil {
			return err
		}
	}
	if !f.dryRun {
		switch daemon, err := DialControl(ctx, cfg.StateDir); {
		case err == nil:
			defer daemon.Close()
			return handOver(ctx, r, daemon, f, since, until)
		case !errors.Is(err, ErrNoDaemon):
			return err
		}
	}
	if cfg, err = r.Configure(); err != nil { // now with the secrets, which the daemon may have alone
		return err
	}
	screen := newBar(r)
	defer screen.close()
	app, err := OpenApp(ctx, AppConfig{Config: cfg, Logger: r.Logger, OnWait: screen.waiting})
	if err != nil {
		return err
	}
	defer app.Close()
	if err := app.OpenSinks(ctx); err != nil {
		return err
	}
	accounts, err := app.chosen(f.account)
	if err != nil {
		return err
	}
	q := sync.Request{Since: since, Until: until, Manual: true}
	if f.dryRun {
		return dryRun(ctx, r, app, accounts, q, f.json)
	}
	screen.estimate = func(documents int) time.Duration { return app.estimate(ctx, documents) }
	q.Watch = func(p sync.Progress) { screen.show(p.Account, stepOf(p)) }
	outcomes := app.Pass(ctx, accounts, q)
	screen.close()
	for _, o := range outcomes {
		printOutcome(r.Stdout, o.Pass, f.json)
	}
	return worst(outcomes)
}

func stepOf(p sync.Progress) step {
	return step{listed: p.Listed, total: p.Total, done: p.Delivered, failed: p.Failed, bytes: p.Bytes}
}

// requestsPerDocument is one download and one confirmation.
const requestsPerDocument = 2

// estimate returns how long so many documents take at Askara's limit as it is known now; 0 where it is no obstacle, or not known.
func (a *App) estimate(ctx context.Context, documents int) time.Duration {
	d, err := a.Budget.Estimate(ctx, documents*requestsPerDocument)
	if err != nil {
		return 0 // the pass itself says what is wrong with the ledger
	}
	return d
}

// handOver lets the running daemon do the pass and shows its progress.
func handOver(ctx context.Context, r *Run, daemon *ControlClient, f onceFlags, since, until time.Time) error {
	screen := newBar(r)
	defer screen.close()
	q := ControlRequest{Verb: ControlPass, Account: f.account, Since: since, Until: until}
	err := daemon.Do(ctx, q, func(e ControlEvent) {
		switch e.Kind {
		case ControlProgress:
			screen.show(e.Account, step{listed: e.Listed, total: e.Total, done: e.Delivered, failed: e.Failed, bytes: e.Bytes})
		case ControlNote:
			screen.note(e.Message)
		case ControlResult:
			var pass askara.Pass
			if json.Unmarshal(e.Result, &pass) == nil {
				screen.close()
				printOutcome(r.Stdout, pass, f.json)
			}
		}
	})
	if errors.Is(err, context.Canceled) {
		screen.note("the daemon goes on with it; see: askara-sync status")
	}
	return err
}

// dryRun shows what a pass would deliver.
func dryRun(ctx context.Context, r *Run, app *App, accounts []*account, q sync.Request, asJSON bool) error {
	var outcomes []Outcome
	for _, acc := range accounts {
		n := 0
		sum, err := acc.runner.Preview(ctx, q, app.Store, func(d askara.Document) {
			n++
			if !asJSON {
				fmt.Fprintf(r.Stdout, "%s  %s  %s\n", d.UUID, dateOf(d, app.Config.Location), shown(d.Type, "-"))
			}
		})
		outcomes = append(outcomes, Outcome{sum, err})
		if asJSON {
			printOutcome(r.Stdout, sum, true)
			continue
		}
		fmt.Fprintf(r.Stdout, "account %s: %d listed, %d would be delivered; nothing was changed\n", acc.Name, sum.Listed, n)
	}
	return worst(outcomes)
}

// dateOf is the moment that a person knows a document by.
func dateOf(d askara.Document, loc *time.Location) string {
	for _, t := range []time.Time{d.ValidatedAt, d.UpdatedAt, d.CreatedAt} {
		if !t.IsZero() {
			return t.In(loc).Format("2006-01-02 15:04")
		}
	}
	return "no date         "
}

// onceLine is what --once --json prints of an account. It is an interface and only ever grows.
type onceLine struct {
	Account     string  `json:"account"`
	Listed      int     `json:"listed"`
	Delivered   int     `json:"delivered"`
	Already     int     `json:"already"`
	Failed      int     `json:"failed"`
	Parked      int     `json:"parked"`
	Confirmed   int     `json:"confirmed"`
	Unconfirmed int     `json:"unconfirmed"`
	Requests    int64   `json:"requests"`
	Bytes       int64   `json:"bytes"`
	DurationMS  int64   `json:"duration_ms"`
	Error       *string `json:"error"`
}

func printOutcome(w io.Writer, p askara.Pass, asJSON bool) {
	if asJSON {
		line, _ := json.Marshal(onceLine{ // cannot fail: numbers and strings
			Account: p.Account, Listed: p.Listed, Delivered: p.Delivered, Already: p.Already, Failed: p.Failed, Parked: p.Parked,
			Confirmed: p.Confirmed, Unconfirmed: p.Unconfirmed, Requests: p.Requests, Bytes: p.Bytes,
			DurationMS: p.Duration.Milliseconds(), Error: present(p.Error),
		})
		fmt.Fprintf(w, "%s\n", line)
		return
	}
	fmt.Fprintf(w, "account %s: %d listed, %d delivered (%s), %d confirmed, %d known already", p.Account, p.Listed, p.Delivered,
		humanBytes(p.Bytes), p.Confirmed, p.Already)
	if p.Failed > 0 {
		fmt.Fprintf(w, ", %d failed", p.Failed)
	}
	if p.Parked > 0 {
		fmt.Fprintf(w, ", %d of them parked", p.Parked)
	}
	if p.Unconfirmed > 0 {
		fmt.Fprintf(w, ", %d not confirmed yet", p.Unconfirmed)
	}
	fmt.Fprintf(w, " · %d requests in %s\n", p.Requests, p.Duration.Round(10*time.Millisecond))
}

// humanBytes writes a size with one decimal at most.
func humanBytes(n int64) string {
	switch {
	case n < 1e3:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
