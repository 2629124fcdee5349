package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"askara-sync/store"
)

func newRetryCmd(r *Run) *cobra.Command {
	var all bool
	var name string
	cmd := &cobra.Command{
		Use:   "retry [UUID…]",
		Short: "Tries parked documents again, with the next pass",
		RunE: func(cmd *cobra.Command, uuids []string) error {
			switch {
			case all && len(uuids) > 0:
				return &UsageError{Problem: "--all and single documents exclude each other"}
			case !all && len(uuids) == 0:
				return &UsageError{Problem: "retry needs documents", Remedy: "askara-sync retry --all, or askara-sync retry UUID…"}
			}
			for i, u := range uuids {
				uuids[i] = strings.TrimSpace(u)
			}
			return runRetry(cmd.Context(), r, name, uuids)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all parked documents")
	cmd.Flags().StringVar(&name, "account", "", "only those of this account, by `NAME`")
	return cmd
}

// runRetry makes parked documents due again: through the daemon, which then begins at once, or in the ledger. No uuids means all.
func runRetry(ctx context.Context, r *Run, name string, uuids []string) error {
	cfg, err := r.ConfigureWithoutSecrets()
	if err != nil {
		return err
	}
	sum := retrySum{asked: uuids, unknown: map[string]int{}}
	daemon, err := DialControl(ctx, cfg.StateDir)
	switch {
	case err == nil:
		defer daemon.Close()
		err = daemon.Do(ctx, ControlRequest{Verb: ControlRetry, Account: name, UUIDs: uuids}, func(e ControlEvent) {
			var got retryResult
			if e.Kind == ControlResult && json.Unmarshal(e.Result, &got) == nil {
				sum.add(got.Retried, got.Unknown)
			}
		})
		if err != nil {
			return err
		}
	case !errors.Is(err, ErrNoDaemon):
		return err
	default:
		if err := retryAlone(ctx, r, cfg, name, uuids, &sum); err != nil {
			return err
		}
	}
	return sum.report(r)
}

// retryAlone changes the ledger where no daemon runs.
func retryAlone(ctx context.Context, r *Run, cfg *Config, name string, uuids []string, sum *retrySum) error {
	accounts := cfg.Accounts
	if name != "" {
		acc, err := cfg.Account(name)
		if err != nil {
			return err
		}
		accounts = []Account{acc}
	}
	ledger, err := store.Open(ctx, store.Config{Dir: cfg.StateDir, KeyFile: cfg.StateKeyFile, Logger: r.Logger, Decode: decoder(cfg)})
	if err != nil {
		return err
	}
	defer ledger.Close()
	for _, acc := range accounts {
		n, unknown, err := ledger.Retry(ctx, acc.Name, uuids)
		if err != nil {
			return err
		}
		sum.add(n, unknown)
	}
	return nil
}

// retrySum adds up what the accounts said: a document is unknown where no account knows it.
type retrySum struct {
	asked    []string
	retried  int
	accounts int
	unknown  map[string]int
}

func (s *retrySum) add(n int, unknown []string) {
	s.retried += n
	for _, u := range unknown {
		s.unknown[u]++
	}
	s.accounts++
}

func (s *retrySum) report(r *Run) error {
	fmt.Fprintf(r.Stdout, "%d documents will be tried again with the next pass\n", s.retried)
	var missing []string
	for _, u := range s.asked {
		if s.unknown[u] >= s.accounts && s.accounts > 0 {
			missing = append(missing, quote(u))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return &UsageError{
		Problem: "not parked, or not known at all: " + strings.Join(slices.Compact(missing), ", "),
		Remedy:  "`askara-sync status` lists the parked documents",
	}
}
