package sink

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

const (
	markerFile  = "ledger.json"   // in the staging directory: whose it is
	trayFile    = "identity.json" // in each account's directory: which it is
	lockFile    = "lock"          // in the staging directory: held while moving and preparing
	markVersion = 1
)

// mark is the content of markerFile and of trayFile.
type mark struct {
	Version int `json:"version"`
	// Ledger is the id of the ledger whose deliveries are staged here.
	Ledger string `json:"ledger"`
	// ID tells this directory from any that was here before: every staged name begins with it.
	ID string `json:"id,omitempty"`
	// Inode is the directory's own, so that a copy or a restored backup is not taken for the original; 0 where inodes change.
	Inode uint64 `json:"inode,omitempty"`
}

// tray is an account's open directory in staging.
type tray struct {
	*dir
	name string
	// id is what the names of the files begin with that were staged in it.
	id string
	// doubted says that a sync of the folder failed and the new identity could not be written.
	doubted bool
}

// openTray opens the account's directory in staging, and makes it where it is missing. The caller closes it.
func (f *Folder) openTray(account string) (*tray, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	root, err := f.openStaging()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := trayName(account)
	d, err := root.sub(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = root.mkdir(name, 0o700); err == nil {
			err = f.syncDir(root)
		}
		if err == nil {
			d, err = root.sub(name)
		}
	}
	if err != nil {
		return nil, failure("open the account's staging directory", f.staging, err)
	}
	id, err := f.identify(d)
	if err != nil {
		d.Close()
		return nil, failure("mark the account's staging directory", f.staging, err)
	}
	return &tray{dir: d, name: name, id: id, doubted: f.doubted[id]}, nil
}

// openStaging opens the staging directory if it is still the one that was prepared. f.mu is held.
func (f *Folder) openStaging() (*dir, error) {
	now := f.now.Load()
	if now == nil {
		return nil, f.unready
	}
	root, err := openDir(f.staging)
	if err != nil {
		return nil, failure("open the staging directory", f.staging, err)
	}
	if root.id != now.staging {
		root.Close()
		return nil, f.replaced(f.staging)
	}
	return root, nil
}

// identify reads the identity of an account's directory, and gives it a new one where it has none of its own.
func (f *Folder) identify(d *dir) (string, error) {
	m, err := readMark(d, trayFile)
	if err == nil && m.Ledger == f.ledger && m.ID != "" && (m.Inode == 0 || m.Inode == d.id.ino) {
		return m.ID, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errMark) {
		return "", err
	}
	return f.renew(d)
}

// doubt makes sure, after a failed sync, that nothing in the tray is taken for delivered because it is gone.
func (f *Folder) doubt(t *tray) {
	defer f.desks.clear()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doubted[t.id] = true
	if _, err := f.renew(t.dir); err != nil {
		f.log.Error("staging identity not renewed", "account_dir", t.name, "err", bare(err))
	}
}

// renew gives an account's directory a new identity: nothing staged before is taken for delivered because it is gone.
func (f *Folder) renew(d *dir) (string, error) {
	m := mark{Version: markVersion, Ledger: f.ledger, ID: randomHex(4)}
	if now := f.now.Load(); now != nil && now.system.Kind.stableInodes() {
		m.Inode = d.id.ino
	}
	return m.ID, f.writeMark(d, trayFile, m)
}

var errMark = errors.New("its marker file is not one of ours")

// readMark reads a marker. The error is fs.ErrNotExist where there is none and errMark where it cannot be understood.
func readMark(d *dir, name string) (mark, error) {
	var m mark
	file, _, err := d.regular(name)
	if err != nil {
		return m, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, 4<<10))
	if err != nil {
		return m, err
	}
	if json.Unmarshal(b, &m) != nil || m.Version < 1 || m.Ledger == "" {
		return m, errMark
	}
	return m, nil
}

// writeMark replaces a marker durably.
func (f *Folder) writeMark(d *dir, name string, m mark) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	fresh := name + "." + randomHex(4) + ".new"
	file, err := d.open(fresh, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(b, '\n'))
	err = errors.Join(err, f.sync(file), file.Close())
	if err == nil {
		err = d.rename(fresh, d, name)
	}
	if err != nil {
		_ = d.remove(fresh)
		return err
	}
	return f.syncDir(d)
}

// exclude makes this the only one, among all processes that share the staging directory, that moves or prepares.
func exclude(root *dir) (release func(), err error) {
	lock, err := root.open(lockFile, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, err
	}
	err = again(func() error { return unix.Flock(int(lock.Fd()), unix.LOCK_EX) })
	if err != nil && !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		lock.Close()
		return nil, err
	}
	return func() { lock.Close() }, nil
}

// trayName is the name of an account's directory: the account's own where that is harmless on any file system.
func trayName(account string) string {
	if len(account) <= 64 && made(account, "abcdefghijklmnopqrstuvwxyz0123456789_-") {
		return "account-" + account
	}
	sum := sha256.Sum256([]byte(account))
	return "hashed-" + hex.EncodeToString(sum[:12])
}

// consists says that s has one to most bytes, all of them among chars. It is asked for every document.
func consists(s string, most int, chars string) bool {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= most
}

// stagedName is a new name for a delivery's file in a tray. It holds nothing foreign but a uuid that is one.
func (t *tray) stagedName(d askara.Delivery) string {
	token := strings.ToLower(d.UUID)
	if len(token) > 36 || !made(token, "0123456789abcdef-") {
		sum := sha256.Sum256([]byte(d.UUID))
		token = hex.EncodeToString(sum[:16])
	}
	return t.id + "_" + token + "_r" + strconv.Itoa(d.Revision) + "_" + randomHex(4) + ".pdf"
}

// made says that s is made of the characters alone.
func made(s, characters string) bool { return s != "" && strings.TrimLeft(s, characters) == "" }

// owns says that the staged name was given in this very directory, so that its absence means that it was delivered.
func (t *tray) owns(staged string) bool { return !t.doubted && strings.HasPrefix(staged, t.id+"_") }

// validStaged refuses a staged name that is no plain file name.
func validStaged(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName && !strings.ContainsAny(name, "/\x00")
}

// sidecarOf is the name of the sidecar beside a PDF, in staging and in the folder.
func sidecarOf(pdf string) string { return strings.TrimSuffix(pdf, ".pdf") + ".json" }

// Sweep removes what earlier runs left in the account's staging: everything that neither is in keep nor is being staged right
// now by this Folder. The caller holds the account's pass, so that no other process is staging.
func (f *Folder) Sweep(ctx context.Context, account string, keep []askara.Receipt) error {
	t, err := f.openTray(account)
	if err != nil {
		return err
	}
	defer t.Close()
	kept := map[string]bool{trayFile: true}
	for _, r := range keep {
		for _, name := range []string{r.Staged, sidecarOf(r.Staged)} {
			kept[name], kept[name+armed] = true, true
		}
	}
	var stale []string
	err = t.names(func(name string) error {
		if !kept[name] && !f.busy(t, name) {
			stale = append(stale, name)
		}
		return ctx.Err()
	})
	for _, name := range stale {
		switch rerr := t.remove(name); {
		case errors.Is(rerr, unix.EISDIR):
			f.log.Warn("directory in staging left alone", "account", account)
		case rerr != nil && !errors.Is(rerr, fs.ErrNotExist):
			err = errors.Join(err, rerr)
		}
		f.release(t, name)
	}
	return failure("sweep the staging directory", f.staging, err)
}

// randomHex returns 2n unpredictable hexadecimal digits.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// inside says whether path, or the nearest directory above it that exists, lies in the directory with the given identity.
func inside(path string, folder fileID) (bool, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return false, err
	}
	for {
		var st unix.Stat_t
		err := again(func() error { return unix.Stat(path, &st) })
		switch {
		case err == nil && idOf(&st) == folder:
			return true, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return false, fmt.Errorf("look at the directories above: %w", bare(err))
		}
		if err == nil {
			if path, err = filepath.EvalSymlinks(path); err != nil {
				return false, bare(err)
			}
		}
		up := filepath.Dir(path)
		if up == path {
			return false, nil
		}
		path = up
	}
}
