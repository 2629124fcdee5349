package cli

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"askara-sync/askara"
	"askara-sync/sink"
	"askara-sync/store"
)

// recall is what there is to do after the ledger was repaired: it may have forgotten deliveries, and they must not come twice. It lasts,
// across restarts, until a pass of every account has come to its end.
type recall struct {
	*store.Salvage
	over atomic.Bool
}

// remember looks whether the ledger was repaired and nobody has acted on it, and says so.
func (a *App) remember(ctx context.Context) error {
	report, err := a.Store.Salvaged(ctx)
	if err != nil || report == nil {
		return err
	}
	a.Logger.Error("the ledger was damaged and has been repaired", "reason", report.Reason, "set_aside", strings.Join(report.SetAside, " "),
		"backup", report.Backup, "finished", report.Finished, "waiting", report.Waiting, "lost", report.Lost,
		"doubt", report.Doubt, "hint", "the damaged one is kept in "+a.Config.StateDir+"; have the disk looked at")
	for _, name := range report.LoginsLost {
		a.Logger.Error("the login was lost with the ledger", "account", name, "hint", "askara-sync login --account "+quote(name))
	}
	a.recall = &recall{Salvage: report}
	return nil
}

// openFolder opens an account's folder. A repaired ledger that has lost its own id takes the staging directory over.
func (a *App) openFolder(ctx context.Context, c sink.FolderConfig) (*sink.Folder, error) {
	f, err := sink.OpenFolder(ctx, c)
	if askara.FaultOf(err) != askara.FaultConfiguration || a.recall == nil || !a.recall.NewID {
		return f, err
	}
	if err := sink.Adopt(ctx, c); err != nil {
		return nil, err
	}
	a.Logger.Warn("staging directory taken over by the repaired ledger")
	return sink.OpenFolder(ctx, c)
}

// recallInto tells the ledger of deliveries that the folder's sidecars name. The caller has the account's pass lock.
func (a *App) recallInto(ctx context.Context, acc *account) error {
	if acc.recalled || a.recall == nil || a.recall.over.Load() || !a.recall.Doubt {
		return nil
	}
	folder, ok := acc.sink.(recallingFolder)
	if !ok {
		return nil // a database knows its rows by itself
	}
	if err := folder.Prepare(ctx); err != nil {
		return nil //nolint:nilerr // the pass meets with it at once, and says so
	}
	var found []askara.Delivery
	for d, err := range folder.Known(ctx) {
		switch {
		case err != nil && d.Receipt.Name == "":
			return fmt.Errorf("look for earlier deliveries: %w", err)
		case err == nil && d.UUID != "" && (d.Account == "" || d.Account == acc.Name):
			found = append(found, d)
		}
	}
	n, err := a.Store.Adopt(ctx, acc.Name, found)
	if err != nil {
		return err
	}
	acc.recalled = true
	a.Logger.Warn("the folder is looked through, so that a repaired ledger delivers nothing twice", "account", acc.Name, "recalled", n)
	return nil
}

// recallDone notes that a pass of the account came to its end; after the last account's the repair is history.
func (a *App) recallDone(ctx context.Context, acc *account) error {
	if a.recall == nil || a.recall.over.Load() {
		return nil
	}
	acc.complete.Store(true)
	for _, other := range a.accounts {
		if !other.complete.Load() {
			return nil
		}
	}
	if err := a.Store.SettleSalvage(ctx); err != nil {
		return err
	}
	a.recall.over.Store(true)
	a.Logger.Info("the repaired ledger is complete again")
	return nil
}

// recallingFolder is a folder that delivers nothing it already has, as long as the ledger may have forgotten something.
type recallingFolder struct {
	folderSink
	recall *recall
}

// Deliver implements the destination of a pass.
func (f recallingFolder) Deliver(ctx context.Context, batch []askara.Delivery) []error {
	if f.recall == nil || f.recall.over.Load() || !f.recall.Doubt {
		return f.Folder.Deliver(ctx, batch)
	}
	errs := make([]error, len(batch))
	var rest []askara.Delivery
	var at []int
	for i := range batch {
		known, err := f.Folder.Recall(ctx, &batch[i])
		switch {
		case err != nil:
			errs[i] = err
		case !known:
			rest, at = append(rest, batch[i]), append(at, i)
		}
	}
	for j, err := range f.Folder.Deliver(ctx, rest) {
		batch[at[j]].Receipt = rest[j].Receipt
		errs[at[j]] = err
	}
	return errs
}
