package sink

import (
	"context"
	"path/filepath"

	"askara-sync/askara"
)

// Settle implements the destination of a pass: the row with the same checksum tells that the document was delivered.
func (d *Database) Settle(ctx context.Context, dl *askara.Delivery) (askara.Settlement, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	f, err := d.known(ctx)
	if err != nil {
		return 0, err
	}
	p, err := d.look(ctx, d.db, dl)
	if err != nil {
		_, err := d.plain("look for the document", err)
		return 0, err
	}
	if p.same {
		if d.spool != nil {
			d.spool.drop(dl)
		} else if p.path != "" {
			dl.Receipt.Name = filepath.Base(p.path)
		}
		return askara.SettledDelivered, nil
	}
	if d.spool == nil {
		return d.settleFile(ctx, dl, f)
	}
	whole, err := d.spool.whole(dl)
	switch {
	case err != nil:
		return 0, err
	case whole:
		return askara.SettledStaged, nil
	}
	return askara.SettledLost, nil
}

// settleFile ends a delivery whose row is missing: where the file is in the folder, the row follows now.
func (d *Database) settleFile(ctx context.Context, dl *askara.Delivery, f *facts) (askara.Settlement, error) {
	s, err := d.config.Folder.Settle(ctx, dl)
	if err != nil || s != askara.SettledDelivered {
		return s, err
	}
	name, found, err := d.config.Folder.locate(ctx, *dl)
	if err != nil {
		return 0, err
	}
	if !found {
		d.config.Logger.Warn("file is gone before its row was written; the document is delivered again", "document", dl.UUID, "revision", dl.Revision)
		return askara.SettledLost, nil
	}
	dl.Receipt.Name = name
	r := &run{d: d, facts: f, batch: []askara.Delivery{*dl}, errs: make([]error, 1), done: make([]bool, 1), moved: []bool{true}}
	r.deliver(ctx)
	if r.errs[0] != nil {
		return 0, r.errs[0]
	}
	return askara.SettledDelivered, nil
}

// locate finds a delivered document's file by its bytes: the name that the ledger knows may be an earlier choice.
func (f *Folder) locate(ctx context.Context, d askara.Delivery) (name string, found bool, err error) {
	folder, err := f.openWatched()
	if err != nil {
		return "", false, err
	}
	defer folder.Close()
	name, found, err = f.find(ctx, folder, d.UUID, d.Receipt, true)
	return name, found, failure("search the folder", f.path, err)
}

// place moves the files of rows that are not committed yet, so that no reader finds a row without its file. Rows that cannot be
// inserted have no file in the folder then. It returns errAgain where the rows must be written anew.
func (r *run) place(ctx context.Context, inserted []int) error {
	var sub []askara.Delivery
	var which []int
	for _, i := range inserted {
		if !r.moved[i] {
			sub, which = append(sub, r.batch[i]), append(which, i)
		}
	}
	if len(sub) == 0 {
		return nil
	}
	again := false
	for n, err := range r.d.config.Folder.Deliver(ctx, sub) {
		i := which[n]
		if err != nil {
			// Whatever it is: the rows of the others are not held up by it.
			r.finish(i, err)
			again = true
			continue
		}
		again = again || sub[n].Receipt.Name != r.batch[i].Receipt.Name
		r.batch[i].Receipt.Name, r.moved[i] = sub[n].Receipt.Name, true
	}
	if again {
		return errAgain
	}
	return nil
}
