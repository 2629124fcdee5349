package sink

import (
	"context"
	"errors"

	"askara-sync/askara"
)

// mover moves one batch.
type mover struct {
	f       *Folder
	folder  *dir
	placing placing
	trays   map[string]*tray
	// seen are the folder's names, folded; nil unless a name of the batch does not tell documents apart by itself.
	seen  map[string]bool
	moved bool // something is in the folder that has not been synced
}

// Deliver moves the batch into the folder: sidecars first, then PDFs, then one sync of the folder. A delivery whose error is nil is
// durable. After any other outcome Settle tells whether the document arrived. A name that is taken by a foreign file is left to
// it; Receipt.Name then says the name that was used instead.
func (f *Folder) Deliver(ctx context.Context, batch []askara.Delivery) []error {
	errs := make([]error, len(batch))
	fail := func(err error) []error {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = err
			}
		}
		return errs
	}
	f.moving.Lock()
	defer f.moving.Unlock()
	m, err := f.newMover()
	if err != nil {
		return fail(err)
	}
	defer m.close()
	unlock, err := m.look(batch)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	m.move(ctx, batch, errs)
	if err := m.settle(batch); err != nil {
		return fail(err)
	}
	return errs
}

func (f *Folder) newMover() (*mover, error) {
	folder, err := f.openWatched()
	if err != nil {
		return nil, err
	}
	now, err := f.current()
	if err != nil {
		folder.Close()
		return nil, err
	}
	return &mover{f: f, folder: folder, placing: now.able.placing, trays: map[string]*tray{}}, nil
}

func (m *mover) close() {
	for _, t := range m.trays {
		t.Close()
	}
	m.folder.Close()
}

// tray opens the account's directory once for the batch.
func (m *mover) tray(account string) (*tray, error) {
	if t, ok := m.trays[account]; ok {
		return t, nil
	}
	t, err := m.f.openTray(account)
	if err == nil {
		m.trays[account] = t
	}
	return t, err
}

// look reads the folder's names if the batch needs them, and keeps other processes from moving meanwhile if that matters: where
// every name holds its document's short identifier, no two of ours can collide.
func (m *mover) look(batch []askara.Delivery) (unlock func(), err error) {
	needed := m.placing == placeChecked
	for i := range batch {
		if !identifies(batch[i].Receipt.Name, batch[i].UUID) {
			needed = true
			m.seen = map[string]bool{}
		}
	}
	if !needed {
		return func() {}, nil
	}
	m.f.mu.Lock()
	root, err := m.f.openStaging()
	m.f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if unlock, err = exclude(root); err != nil {
		return nil, failure("lock the staging directory", m.f.staging, err)
	}
	if m.seen != nil {
		err = m.folder.names(func(name string) error {
			m.seen[fold(name)] = true
			return nil
		})
	}
	if err != nil {
		unlock()
		return nil, failure("list the folder", m.f.path, err)
	}
	return unlock, nil
}

// move moves the batch and leaves an error for each delivery that did not arrive.
func (m *mover) move(ctx context.Context, batch []askara.Delivery, errs []error) {
	staged := map[*tray][]string{}
	for i := range batch {
		d := &batch[i]
		t, err := m.tray(d.Account)
		switch {
		case err != nil:
			errs[i] = err
		case ctx.Err() != nil:
			errs[i] = ctx.Err()
		case !validStaged(d.Receipt.Staged) || !validName(d.Receipt.Name):
			errs[i] = &Error{Op: "deliver a document", Kind: askara.FaultUnexpected,
				Err: errors.New("its names in the ledger are not file names")}
		default:
			if errs[i] = m.announce(t, d); errs[i] == nil {
				staged[t] = append(staged[t], d.Receipt.Staged)
			}
		}
	}
	for t, names := range staged {
		if err := m.placing.arm(ctx, t.dir, names); err != nil {
			err = failure("prepare to move documents", m.f.staging, err)
			for i := range batch {
				if errs[i] == nil && m.trays[batch[i].Account] == t {
					_ = m.placing.disarm(t.dir, batch[i].Receipt.Staged)
					errs[i] = err
				}
			}
		}
	}
	for i := range batch {
		if errs[i] == nil {
			errs[i] = m.place(m.trays[batch[i].Account], &batch[i])
		}
	}
}

// settle makes what was moved durable. If that fails nothing counts as delivered, and what is gone from staging is not taken for
// delivered either, since a second sync would not repeat the error.
func (m *mover) settle(batch []askara.Delivery) error {
	if !m.moved {
		return nil
	}
	err := m.f.syncDir(m.folder)
	if err == nil {
		return nil
	}
	for _, t := range m.trays {
		m.f.doubt(t)
	}
	return failure("sync the folder", m.f.path, err)
}
