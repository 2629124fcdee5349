package sink

import (
	"context"
	"errors"
	"io/fs"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// Settle tells what became of a staged delivery that was interrupted. SettledDelivered is durable. While the staged file is there
// the document was not delivered; once it is gone it was, even if the folder does not have it any more: an importer took it. Where
// the staging directory is not the one it was staged in, the folder is searched for the document's bytes, and a document that
// is not found is SettledLost. Receipt.Name is corrected where the document is found under another name.
func (f *Folder) Settle(ctx context.Context, d *askara.Delivery) (askara.Settlement, error) {
	f.moving.Lock()
	defer f.moving.Unlock()
	m, err := f.newMover()
	if err != nil {
		return 0, err
	}
	defer m.close()
	t, err := m.tray(d.Account)
	if err != nil {
		return 0, err
	}
	staged := d.Receipt.Staged
	if !validStaged(staged) {
		return m.search(ctx, t, d)
	}
	st, err := t.stat(staged)
	if errors.Is(err, fs.ErrNotExist) {
		st, err = t.stat(staged + armed)
		if err == nil {
			return m.settleArmed(ctx, t, d, &st)
		}
	}
	switch {
	case err == nil:
		return m.settleStaged(t, d, &st)
	case !errors.Is(err, fs.ErrNotExist):
		return 0, failure("look at a staged file", f.staging, err)
	case !t.owns(staged):
		return m.search(ctx, t, d)
	}
	return askara.SettledDelivered, m.finish(t, d)
}

// settleStaged settles a delivery whose staged file is there: it must still be what was staged.
func (m *mover) settleStaged(t *tray, d *askara.Delivery, st *unix.Stat_t) (askara.Settlement, error) {
	if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink > 1 {
		return askara.SettledDelivered, m.finishLinked(t, d, d.Receipt.Staged)
	}
	sum, size, err := checksumOf(t.dir, d.Receipt.Staged)
	if err != nil && !errors.Is(err, errIrregular) {
		return 0, failure("read a staged file", m.f.staging, err)
	}
	if err != nil || size != d.Receipt.Size || sum != d.Receipt.SHA256 {
		m.f.log.Warn("staged file is damaged: the document is downloaded again", "document", d.UUID)
		m.f.discard(t, d.Receipt.Staged)
		return askara.SettledLost, nil
	}
	return askara.SettledStaged, nil
}

// settleArmed settles a delivery that was interrupted between the two steps of a link and unlink.
func (m *mover) settleArmed(ctx context.Context, t *tray, d *askara.Delivery, st *unix.Stat_t) (askara.Settlement, error) {
	name := d.Receipt.Staged + armed
	if st.Nlink > 1 {
		return askara.SettledDelivered, m.finishLinked(t, d, name)
	}
	now, err := m.f.current()
	if err != nil {
		return 0, err
	}
	// It has one name. If it had two, an importer has taken the other.
	certain := now.able.changeTime && t.owns(d.Receipt.Staged)
	if certain && linked(st) {
		m.f.log.Info("document was taken between link and unlink", "document", d.UUID)
		return askara.SettledDelivered, m.finishLinked(t, d, name)
	}
	if err := t.rename(name, t.dir, d.Receipt.Staged); err != nil {
		return 0, failure("take a document back", m.f.staging, err)
	}
	if !certain {
		if s, err := m.search(ctx, t, d); err != nil || s == askara.SettledDelivered {
			m.f.discard(t, d.Receipt.Staged)
			return s, err
		}
	}
	return m.settleStaged(t, d, st)
}

// finishLinked ends an interrupted link and unlink.
func (m *mover) finishLinked(t *tray, d *askara.Delivery, name string) error {
	if err := m.finish(t, d); err != nil {
		return err
	}
	if err := t.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure("remove a staged file", m.f.staging, err)
	}
	return nil
}

// finish makes an interrupted delivery durable, and places a sidecar that a power cut left behind.
func (m *mover) finish(t *tray, d *askara.Delivery) error {
	if left, err := t.has(sidecarOf(d.Receipt.Staged)); err == nil && left && validName(d.Receipt.Name) {
		if err := m.placeSidecar(t, d, d.Receipt.Name); err != nil && !errors.Is(err, fs.ErrExist) {
			return failure("place a sidecar", m.f.path, err)
		}
	}
	if err := m.f.syncDir(m.folder); err != nil {
		m.f.doubt(t)
		return failure("sync the folder", m.f.path, err)
	}
	m.f.release(t, d.Receipt.Staged)
	return nil
}

// search settles a delivery in doubt by the folder alone.
func (m *mover) search(ctx context.Context, t *tray, d *askara.Delivery) (askara.Settlement, error) {
	name, found, err := m.f.find(ctx, m.folder, d.UUID, d.Receipt, true)
	if err != nil {
		return 0, failure("search the folder", m.f.path, err)
	}
	if !found {
		m.f.log.Warn("document in doubt is delivered again", "document", d.UUID, "account", d.Account)
		m.f.release(t, d.Receipt.Staged)
		return askara.SettledLost, nil
	}
	file, _, err := m.folder.regular(name)
	if err == nil {
		err = errors.Join(m.f.sync(file), file.Close())
	}
	if err == nil {
		err = m.f.syncDir(m.folder)
	}
	if err != nil {
		return 0, failure("sync a document in the folder", m.f.path, err)
	}
	d.Receipt.Name = name
	return askara.SettledDelivered, nil
}
