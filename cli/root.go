package cli

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// Env is the process around an invocation; tests give their own.
type Env struct {
	Args   []string // without the program's name
	Getenv func(string) string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

// Run is one invocation of the program: its surroundings and what every verb shares.
type Run struct {
	Env
	ConfigFile string         // --config, "" where not given
	Level      *slog.LevelVar // of Logger; a reload may change it
	Logger     *slog.Logger   // to standard error, at info until Configure has read log_level
	Journal    bool           // standard error is systemd's journal
}

// Main runs the command line to its end and returns the exit code. ctx ends on the signals that stop the program.
func Main(ctx context.Context, env Env) int {
	r := newRun(env)
	cmd := r.command()
	cmd.SetArgs(env.Args)
	err := cmd.ExecuteContext(ctx)
	if err != nil {
		printError(r.Stderr, err, r.Journal)
	}
	return exitCode(err)
}

// Command returns the whole command tree, for the generators of manual pages and completions.
func Command(env Env) *cobra.Command { return newRun(env).command() }

func newRun(env Env) *Run {
	r := &Run{Env: env, Level: &slog.LevelVar{}}
	r.Journal = isJournal(env.Stderr, env.Getenv)
	r.Logger = newLogger(env.Stderr, r.Level, r.Journal)
	return r
}

// Configure loads the configuration, sets the log level and gives up root. Every verb that touches the state calls it first.
func (r *Run) Configure() (*Config, error) { return r.configure(LoadConfig{}) }

// ConfigureWithoutSecrets is Configure for the verbs that read the ledger alone.
func (r *Run) ConfigureWithoutSecrets() (*Config, error) {
	return r.configure(LoadConfig{NoSecrets: true})
}

func (r *Run) configure(l LoadConfig) (*Config, error) {
	c, err := r.Reload(l)
	if err != nil {
		return nil, err
	}
	if err := dropRoot(c); err != nil {
		return nil, err
	}
	for _, w := range c.Warnings {
		r.Logger.Warn("configuration warning", "file", c.File, "warning", w)
	}
	return c, nil
}

// Reload reads the configuration again and sets the log level.
func (r *Run) Reload(l LoadConfig) (*Config, error) {
	l.File, l.Getenv = r.ConfigFile, r.Getenv
	c, err := Load(l)
	if err != nil {
		return nil, err
	}
	level, err := parseLevel(c.LogLevel)
	if err != nil {
		return nil, err
	}
	r.Level.Set(level)
	return c, nil
}

// command builds the command tree: one line a verb.
func (r *Run) command() *cobra.Command {
	var once onceFlags
	root := &cobra.Command{
		Use:   "askara-sync",
		Short: "Brings validated documents from Askara into a clinic's own system",
		Long: strings.TrimSpace(`
askara-sync polls Askara for validated medical documents and drops each one, exactly once and whole, into a folder or a
database that the clinic's practice software imports from; then it confirms to Askara.

Without a verb it is the daemon that systemd starts.

Exit codes: 0 done · 1 unexpected · 75 unfinished, will succeed later · 77 a person must log in · 78 configuration`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := once.check(cmd); err != nil {
				return err
			}
			if once.once {
				return runOnce(cmd.Context(), r, once)
			}
			return runDaemon(cmd.Context(), r)
		},
		SilenceErrors:              true, // Main prints them
		SilenceUsage:               true, // a usage page hides the error
		SuggestionsMinimumDistance: 2,
		DisableAutoGenTag:          true,
		DisableFlagsInUseLine:      true,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true}, // the packages ship them
	}
	root.SetIn(r.Stdin)
	root.SetOut(r.Stdout)
	root.SetErr(r.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{Problem: err.Error()} })
	root.PersistentFlags().StringVar(&r.ConfigFile, "config", "", "configuration `FILE` (default $ASKARA_SYNC_CONFIG, then "+ConfigFile+")")

	once.register(root)
	root.AddCommand(
		newDemoCmd(r),
		newDoctorCmd(r),
		newInstallFolderCmd(r),
		newStatusCmd(r),
		newLoginCmd(r),
		newLogoutCmd(r),
		newRekeyCmd(r),
		newRetryCmd(r),
		newVerifyCmd(r),
		newVersionCmd(r),
	)
	return root
}

// noArgs refuses arguments, and so also a verb that does not exist.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	problem := quote(args[0]) + " is not a verb of askara-sync"
	if cmd.HasParent() {
		problem = cmd.CommandPath() + " takes no argument " + quote(args[0])
	}
	remedy := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		remedy = "askara-sync " + near[0]
	}
	return &UsageError{Problem: problem, Remedy: remedy}
}
