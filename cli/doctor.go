package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"askara-sync/askara"
	"askara-sync/sink"
)

func newDoctorCmd(r *Run) *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Looks for what is wrong, here and with Askara, and says what to do",
		Long: strings.TrimSpace(`
Looks at the configuration, this machine, the way to Askara and how Askara's API really works, and says of each whether it is ok,
with a remedy where it is not. Where the API differs from what is expected, it prints the lines of [api.contract] that fit.

It only reads, asks at most 15 requests and works beside a running daemon. What writes is never tried, except that --confirm tells
Askara of one document that it was delivered.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), r, f) },
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	cmd.Flags().StringVar(&f.account, "account", "", "ask Askara as this account, by `NAME` (default: the first that is logged in)")
	cmd.Flags().StringVar(&f.confirm, "confirm", "", "tell Askara that the document `UUID` was delivered, to see whether confirming works")
	return cmd
}

type doctorFlags struct {
	json    bool
	account string
	confirm string
}

// doctor is one examination. Each step adds its findings to the report and goes on where the next can still tell something.
type doctor struct {
	*Run
	flags    doctorFlags
	cfg      *Config
	report   *doctorReport
	resolver *net.Resolver
}

// runDoctor examines everything, prints what it found, and returns an error where something failed.
func runDoctor(ctx context.Context, r *Run, f doctorFlags) error {
	d := &doctor{Run: r, flags: f, report: newDoctorReport(), resolver: net.DefaultResolver}
	if err := d.examine(ctx); err != nil {
		return err
	}
	if err := d.report.print(r.Stdout, f.json, wantsColour(r.Stdout, r.Getenv)); err != nil {
		return err
	}
	return d.report.err()
}

// examine returns an error where the command itself is wrong, or ctx has ended.
func (d *doctor) examine(ctx context.Context) error {
	cfg, err := d.Configure()
	if c, ok := errors.AsType[*ConfigError](err); ok {
		for _, fault := range c.Faults {
			d.report.fail("configuration", askara.FaultConfiguration, c.File+": "+fault.String(), c.Hint())
		}
		return nil
	}
	if err != nil {
		return err
	}
	d.cfg = cfg
	if d.flags.account != "" {
		if _, err := cfg.Account(d.flags.account); err != nil {
			return err
		}
	}
	d.configuration()
	d.state()
	ledger := d.ledger(ctx)
	if ledger != nil {
		defer ledger.Close()
	}
	d.sinks(ctx, ledger)
	logins := d.logins(ctx, ledger)
	if d.network(ctx) {
		d.api(ctx, ledger, logins)
	}
	return ctx.Err()
}

// doctorReport is what an examination found.
type doctorReport struct {
	checks []DoctorCheck
	faults []askara.Fault // of the checks that failed
	// lines are those of [api.contract] that are proposed.
	lines    contractLines
	requests int
}

func newDoctorReport() *doctorReport { return &doctorReport{checks: []DoctorCheck{}} }

func (r *doctorReport) ok(name, format string, args ...any) {
	r.checks = append(r.checks, DoctorCheck{Name: name, Level: sink.LevelOK.String(), Text: fmt.Sprintf(format, args...)})
}

func (r *doctorReport) warn(name, text, remedy string) {
	r.checks = append(r.checks, DoctorCheck{Name: name, Level: sink.LevelWarn.String(), Text: text, Remedy: present(remedy)})
}

func (r *doctorReport) fail(name string, fault askara.Fault, text, remedy string) {
	r.checks = append(r.checks, DoctorCheck{Name: name, Level: sink.LevelFail.String(), Text: text, Remedy: present(remedy)})
	r.faults = append(r.faults, fault)
}

// failed reports an error. Its hint is the remedy, unless there is a better one.
func (r *doctorReport) failed(name string, err error, remedy string) {
	if remedy == "" {
		remedy = askara.HintOf(err)
	}
	r.fail(name, askara.FaultOf(err), err.Error(), remedy)
}

// err is nil where nothing failed; otherwise it carries the worst fault, as the exit code shows it.
func (r *doctorReport) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	outcomes := make([]Outcome, len(r.faults))
	for i, f := range r.faults {
		outcomes[i].Err = &doctorError{failed: len(r.faults), fault: f}
	}
	return worst(outcomes)
}

// doctorError says that something failed; what, is on standard output.
type doctorError struct {
	failed int
	fault  askara.Fault
}

func (e *doctorError) Error() string {
	if e.failed == 1 {
		return "doctor: 1 check failed"
	}
	return fmt.Sprintf("doctor: %d checks failed", e.failed)
}

// Fault is the worst of the checks that failed.
func (e *doctorError) Fault() askara.Fault { return e.fault }
