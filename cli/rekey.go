package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"askara-sync/store"
)

func newRekeyCmd(r *Run) *cobra.Command {
	var old string
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Seals the logins at rest with a new key",
		Long: `Seals the logins at rest with a new key: the systemd credential state_key where there is one, else a new key file beside
the ledger. Stop the daemon first. Whatever interrupts it, one of both keys opens the logins afterwards.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := r.Configure()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			ledger, err := store.Open(ctx, store.Config{Dir: cfg.StateDir, KeyFile: cfg.StateKeyFile, Logger: r.Logger, Decode: decoder(cfg)})
			if err != nil {
				return err
			}
			defer ledger.Close()
			n, err := ledger.Rekey(ctx, store.RekeyConfig{OldKeyFile: old})
			if err != nil {
				return err
			}
			fmt.Fprintf(r.Stdout, "%d logins are sealed with the new key\n", n)
			return nil
		},
	}
	cmd.Flags().StringVar(&old, "old-key", "", "the `FILE` with the key so far, where it was a credential")
	return cmd
}
