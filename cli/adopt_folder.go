package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"askara-sync/sink"
	"askara-sync/store"
)

// adoptFolder tells the ledger that the folder is the right one although it is not the one that it remembers: it was moved to
// another disk or restored, and whoever set it up again says so by that. Before the first login there is nothing to tell. It
// gives up root for good, so it comes last.
func adoptFolder(ctx context.Context, r *Run, path string) error {
	cfg, err := r.Reload(LoadConfig{NoSecrets: true})
	if err != nil {
		return nil //nolint:nilerr // the configuration is often written afterwards; whatever needs it names its faults
	}
	if _, err := os.Stat(filepath.Join(cfg.StateDir, ledgerFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := dropRoot(cfg); err != nil {
		return err
	}
	ledger, err := store.Open(ctx, store.Config{Dir: cfg.StateDir, KeyFile: cfg.StateKeyFile, Logger: r.Logger, Decode: decoder(cfg)})
	if err != nil {
		return err
	}
	defer ledger.Close()
	app := &App{Config: cfg, Store: ledger, Logger: r.Logger}
	for _, acc := range cfg.Accounts {
		if acc.Sink.Directory() == "" || !sameFile(acc.Sink.Directory(), path) {
			continue
		}
		if err := sink.Adopt(ctx, app.folderConfig(acc.Sink)); err != nil {
			return fmt.Errorf("account %s: %w", acc.Name, err)
		}
	}
	return nil
}
