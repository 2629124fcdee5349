package sink

import "sync"

// desk is where an account's documents are staged: its tray and the watched folder, both open. Documents that are staged at the same
// time share one, since opening and checking the directories takes more than a third of the system calls that a document costs.
type desk struct {
	account string
	tray    *tray
	folder  *dir
	users   int
}

// desks are those in use. None outlives its last user, so that an idle folder's disk can be unmounted; and what is staged after
// clear goes to a new one, so that a directory that was replaced meanwhile is noticed with the next batch.
type desks struct {
	mu   sync.Mutex
	open map[string]*desk
}

// desk returns the account's desk. The caller gives it back to leave.
func (f *Folder) desk(account string) (*desk, error) {
	f.desks.mu.Lock()
	defer f.desks.mu.Unlock()
	if d := f.desks.open[account]; d != nil {
		d.users++
		return d, nil
	}
	t, err := f.openTray(account)
	if err != nil {
		return nil, err
	}
	folder, err := f.openWatched()
	if err != nil {
		t.Close()
		return nil, err
	}
	d := &desk{account: account, tray: t, folder: folder, users: 1}
	if f.desks.open == nil {
		f.desks.open = map[string]*desk{}
	}
	f.desks.open[account] = d
	return d, nil
}

// leave gives a desk back; the last user closes its directories.
func (f *Folder) leave(d *desk) {
	f.desks.mu.Lock()
	defer f.desks.mu.Unlock()
	if d.users--; d.users > 0 {
		return
	}
	if f.desks.open[d.account] == d {
		delete(f.desks.open, d.account)
	}
	d.tray.Close()
	d.folder.Close()
}

// clear makes whoever comes next open the directories again.
func (s *desks) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.open)
}
