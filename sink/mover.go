package sink

import (
	"errors"
	"io/fs"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// announce settles a delivery's final name as far as that can be done beforehand, and places its sidecar.
func (m *mover) announce(t *tray, d *askara.Delivery) error {
	if there, err := t.has(d.Receipt.Staged); err != nil {
		return failure("look at a staged file", m.f.staging, err)
	} else if !there {
		return &Error{Op: "deliver a document", Kind: askara.FaultDestination, Err: errors.New("its staged file is gone"),
			hint: "nothing else may touch " + m.f.staging + "; the next pass looks for the document"}
	}
	withSidecar, err := t.has(sidecarOf(d.Receipt.Staged))
	if err != nil {
		return failure("look at a staged file", m.f.staging, err)
	}
	if !withSidecar {
		if m.f.sidecar {
			m.followSidecar(d)
		}
		return nil
	}
	for try := 0; try <= maxTries; try++ {
		free, err := m.free(t, d, true)
		if err == nil && free {
			if err = m.placeSidecar(t, d, d.Receipt.Name); err == nil {
				m.moved = true
				return nil
			}
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			if m.simplify(d, err) {
				continue
			}
			return failure("place a sidecar", m.f.path, err)
		}
		if same, err := m.same(d); err == nil && same {
			return nil // place finds it out again and takes it for delivered
		}
		m.another(t, d, try)
	}
	return m.noName()
}

// followSidecar takes the name of a sidecar that an interrupted run has placed already, possibly beside another name.
func (m *mover) followSidecar(d *askara.Delivery) {
	name := d.Receipt.Name
	for try := range 9 {
		if s, err := readSidecar(m.folder, sidecarOf(name)); err == nil && s.of(d) {
			d.Receipt.Name = name
			return
		}
		name = nextName(name, try)
	}
}

// place moves a document under its final name, or under another where that is taken.
func (m *mover) place(t *tray, d *askara.Delivery) error {
	staged := d.Receipt.Staged
	for try := 0; try <= maxTries; try++ {
		free, err := m.free(t, d, false)
		if err == nil && free {
			m.f.entering.Lock()
			err = m.placing.move(t.dir, staged, m.folder, d.Receipt.Name)
			m.f.entering.Unlock()
		}
		if err == nil && free {
			m.moved = true
			m.f.release(t, staged)
			if m.seen != nil {
				m.seen[fold(d.Receipt.Name)] = true
			}
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			if m.simplify(d, err) {
				continue
			}
			_ = m.placing.disarm(t.dir, staged)
			return failure("move a document into the folder", m.f.path, err)
		}
		if same, err := m.same(d); err == nil && same {
			return m.already(t, d)
		}
		if err := m.recall(t, d, try); err != nil {
			_ = m.placing.disarm(t.dir, staged)
			return failure("move a document into the folder", m.f.path, err)
		}
	}
	_ = m.placing.disarm(t.dir, staged)
	return m.noName()
}

func (m *mover) noName() error {
	return &Error{Op: "move a document into the folder", Kind: askara.FaultPermanent, Err: errors.New("every name for it is taken"),
		hint: "let sink.name hold {{.ShortID}}, or clear " + m.f.path + "; then: askara-sync retry UUID"}
}

// free says whether a delivery's name may be tried: no document of ours is about to take it, and none of the folder's names is the
// same to a client that ignores case. Names with the document's short identifier are only tried. With look, the folder is
// asked too.
func (m *mover) free(t *tray, d *askara.Delivery, look bool) (bool, error) {
	name := d.Receipt.Name
	if !m.f.claim(t, d.Receipt.Staged, name) {
		return false, nil
	}
	if m.seen != nil && !identifies(name, d.UUID) && m.seen[fold(name)] {
		return false, nil
	}
	if look {
		taken, err := m.folder.has(name)
		return !taken, err
	}
	return true, nil
}

// another gives a delivery the next name.
func (m *mover) another(t *tray, d *askara.Delivery, try int) {
	m.f.release(t, d.Receipt.Staged)
	d.Receipt.Name = nextName(d.Receipt.Name, try)
}

// recall gives a delivery another name after its sidecar has been placed: the sidecar is made anew and the first one removed.
func (m *mover) recall(t *tray, d *askara.Delivery, try int) error {
	old := sidecarOf(d.Receipt.Name)
	s, err := readSidecar(m.folder, old)
	if err != nil || !s.of(d) {
		m.another(t, d, try)
		return nil // none, or an importer has taken it
	}
	staged := sidecarOf(d.Receipt.Staged)
	if err := m.f.writeSidecar(t, staged, s); err != nil {
		return err
	}
	for ; try <= maxTries; try++ {
		m.another(t, d, try)
		free, err := m.free(t, d, true)
		if err == nil && free {
			err = m.placeSidecar(t, d, d.Receipt.Name)
		}
		if err == nil && free {
			m.moved = true
			return m.folder.remove(old)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return m.noName()
}

// same says that the file that has the delivery's name is the delivery: same bytes, and a name that no other document has. It was
// delivered before the ledger or the staging directory was lost.
func (m *mover) same(d *askara.Delivery) (bool, error) {
	if !identifies(d.Receipt.Name, d.UUID) {
		return false, nil
	}
	sum, size, err := checksumOf(m.folder, d.Receipt.Name)
	return err == nil && size == d.Receipt.Size && sum == d.Receipt.SHA256, err
}

// already takes a document for delivered that is in the folder, once it is durable there.
func (m *mover) already(t *tray, d *askara.Delivery) error {
	file, _, err := m.folder.regular(d.Receipt.Name)
	if err == nil {
		err = errors.Join(m.f.sync(file), file.Close())
	}
	if err != nil {
		return failure("sync a document in the folder", m.f.path, err)
	}
	_ = m.placing.disarm(t.dir, d.Receipt.Staged)
	m.f.discard(t, d.Receipt.Staged)
	m.moved = true
	return nil
}

// simplify gives a delivery a name without anything foreign where the file system refuses the name itself.
func (m *mover) simplify(d *askara.Delivery, err error) bool {
	if !unfit(err) || d.Receipt.Name == plainName(*d) {
		return false
	}
	d.Receipt.Name = plainName(*d)
	return true
}

// unfit says that a file system cannot store a name: too long for it, or in an encoding that it does not have.
func unfit(err error) bool {
	return errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.EILSEQ) || errors.Is(err, unix.EINVAL)
}
