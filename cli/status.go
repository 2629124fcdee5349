package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"askara-sync/askara"
	"askara-sync/store"
)

func newStatusCmd(r *Run) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Shows logins, passes and documents",
		Long:  "Shows logins, passes and documents from the ledger alone: while the daemon runs, and while Askara is down.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.ConfigureWithoutSecrets()
			if err != nil {
				return err
			}
			view, err := readStatus(cmd.Context(), c, r)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(r.Stdout).Encode(view)
			}
			p := &statusPage{
				w: r.Stdout, now: time.Now(), location: c.Location, reloginBefore: c.ReloginBefore, colour: wantsColour(r.Stdout, r.Getenv),
			}
			return p.render(view)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// readStatus reads everything about every account. It changes nothing.
func readStatus(ctx context.Context, c *Config, r *Run) (StatusView, error) {
	view := StatusView{Accounts: []AccountView{}}
	s, err := store.Open(ctx, store.Config{Dir: c.StateDir, KeyFile: c.StateKeyFile, ReadOnly: true, Logger: r.Logger})
	if errors.Is(err, fs.ErrNotExist) {
		for _, a := range c.Accounts {
			view.Accounts = append(view.Accounts, freshAccount(a.Name))
		}
		return view, nil
	}
	if err != nil {
		return view, err
	}
	defer s.Close()
	pid, running, err := s.Daemon()
	if err != nil {
		return view, err
	}
	view.Daemon = DaemonView{Running: running, PID: present(pid)}
	budget, err := s.Budget(ctx)
	if err != nil {
		return view, err
	}
	if budget.Limit > 0 {
		view.Budget = BudgetView{Limit: &budget.Limit, Remaining: &budget.Remaining, ResetsAt: moment(budget.ResetsAt, c.Location)}
	}
	var next map[string]*time.Time
	if running {
		next = nextPasses(ctx, c)
	}
	for _, a := range c.Accounts {
		account, err := readAccount(ctx, s, a.Name, c.Location)
		if err != nil {
			return view, err
		}
		account.NextPassAt = next[a.Name]
		view.Accounts = append(view.Accounts, account)
	}
	return view, nil
}

// freshAccount is an account before anything has happened.
func freshAccount(name string) AccountView {
	reason := "nobody has logged in yet"
	return AccountView{
		Name: name, Login: LoginView{State: string(askara.LoginRequired), Reason: &reason}, Waiting: []WaitingView{}, Parked: []ParkedView{},
	}
}

func readAccount(ctx context.Context, s *store.Store, name string, loc *time.Location) (AccountView, error) {
	status, err := s.Status(ctx, name)
	if err != nil {
		return AccountView{}, err
	}
	v := freshAccount(name)
	if login := status.Login; login.State == askara.LoginOK || login.Generation > 0 || login.Reason != "" {
		v.Login = LoginView{
			State:            string(login.State),
			RefreshExpiresAt: moment(login.Tokens.RefreshExpiresAt, loc),
			Reason:           present(login.Reason),
			RetryAt:          moment(login.RetryAt, loc),
		}
	}
	v.Cursor = moment(status.Cursor.At, loc)
	n := status.Counts
	v.Documents = DocumentsView{
		Pending:     n[askara.Pending] + n[askara.Staged],
		Delivered:   status.All,
		Confirmed:   n[askara.Confirmed],
		Parked:      n[askara.Parked] + n[askara.Reported],
		Today:       status.Today,
		Week:        status.Week,
		Unconfirmed: n[askara.Delivered],
	}
	if p := status.LastPass; p != nil {
		v.LastPass = &PassView{
			StartedAt: p.StartedAt.In(loc).Truncate(time.Second), DurationMS: p.Duration.Milliseconds(), Listed: p.Listed, Delivered: p.Delivered,
			Failed: p.Failed, Error: present(p.Error),
		}
	}
	v.Waiting = waitingViews(status.PutOff, v.Documents.Pending, loc)
	if v.Documents.Parked == 0 {
		return v, nil
	}
	parked, err := s.Parked(ctx, name)
	if err != nil {
		return v, err
	}
	for _, d := range parked {
		v.Parked = append(v.Parked, ParkedView{UUID: d.UUID, Reason: d.Reason, Remedy: "sudo askara-sync retry " + d.UUID})
	}
	return v, nil
}

// waitingViews groups what waits. What was not put off waits for nothing but the next pass.
func waitingViews(putOff []store.PutOff, pending int, loc *time.Location) []WaitingView {
	views := []WaitingView{}
	for _, p := range putOff {
		views = append(views, WaitingView{Count: p.Rows, Reason: present(p.Reason), NextAttemptAt: moment(p.Next, loc)})
		pending -= p.Rows
	}
	if pending > 0 {
		views = append(views, WaitingView{Count: pending})
	}
	return views
}

// DaemonStatus is the daemon's answer to ControlStatus, one for each account: what the ledger does not hold.
type DaemonStatus struct {
	NextPassAt *time.Time `json:"next_pass_at"`
}

// nextPasses asks the daemon when each account's next pass begins; it is empty where the daemon has something better to do than to
// answer.
func nextPasses(ctx context.Context, c *Config) map[string]*time.Time {
	const patience = 2 * time.Second // a person waits
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := DialControl(ctx, c.StateDir)
	if err != nil {
		return nil
	}
	defer client.Close()
	next := map[string]*time.Time{}
	err = client.Do(ctx, ControlRequest{Verb: ControlStatus}, func(e ControlEvent) {
		var status DaemonStatus
		if e.Kind == ControlResult && json.Unmarshal(e.Result, &status) == nil && status.NextPassAt != nil {
			next[e.Account] = moment(*status.NextPassAt, c.Location)
		}
	})
	if err != nil {
		return nil
	}
	return next
}
