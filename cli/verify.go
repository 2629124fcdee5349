package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"askara-sync/askara"
	"askara-sync/sink"
)

func newVerifyCmd(r *Run) *cobra.Command {
	var name string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compares delivered documents with the ledger's checksums",
		Long: `Compares what is still in the folder or the database with the checksums in the ledger. A file that the importer has taken away
is gone and nothing is wrong with that; one whose bytes have changed is named, and the exit code is 75.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := r.Configure()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			app, err := OpenApp(ctx, AppConfig{Config: cfg, Logger: r.Logger})
			if err != nil {
				return err
			}
			defer app.Close()
			if err := app.OpenSinks(ctx); err != nil {
				return err
			}
			accounts, err := app.chosen(name)
			if err != nil {
				return err
			}
			changed := 0
			for _, acc := range accounts {
				n, err := verifyAccount(ctx, r, app, acc, quiet)
				if err != nil {
					return err
				}
				changed += n
			}
			if changed > 0 {
				return &changedError{changed}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "account", "", "only this account, by `NAME`")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "only the sums")
	return cmd
}

// verifyAccount looks at every delivered document of an account and returns how many have changed.
func verifyAccount(ctx context.Context, r *Run, app *App, acc *account, quiet bool) (changed int, err error) {
	if err := acc.sink.Prepare(ctx); err != nil {
		return 0, err
	}
	counts := map[sink.Verdict]int{}
	for d, err := range app.Store.Delivered(ctx, acc.Name) {
		if err != nil {
			return 0, err
		}
		v, err := acc.sink.Verify(ctx, d)
		if err != nil {
			return 0, fmt.Errorf("verify document %s: %w", d.UUID, err)
		}
		counts[v]++
		if v == sink.Changed && !quiet {
			fmt.Fprintf(r.Stdout, "changed  %s  revision %d\n", d.UUID, d.Revision)
		}
	}
	fmt.Fprintf(r.Stdout, "account %s: %d fine, %d taken by the importer, %d changed\n", acc.Name, counts[sink.Fine],
		counts[sink.Missing], counts[sink.Changed])
	return counts[sink.Changed], nil
}

// changedError says that delivered documents are not what they were.
type changedError struct{ n int }

func (e *changedError) Error() string {
	return fmt.Sprintf("%d delivered documents have changed since", e.n)
}

// Fault says that nothing is wrong with the program.
func (e *changedError) Fault() askara.Fault { return askara.FaultDestination }

// Hint says what a person can do.
func (e *changedError) Hint() string {
	return "look who writes there; Askara still has the documents as they were"
}
