package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// prepared is what Prepare found.
type prepared struct {
	folder, staging fileID
	system          fileSystem
	able            abilities
	// gid is what delivered files get, -1: leave it.
	gid int
}

// noteOf is the key under which the notebook knows a folder.
func noteOf(path string) string { return "folder:" + path }

// Prepare makes sure that the folder and its staging directory are there, are the ones that they were, and can do what delivering
// takes. It makes them at first use only: a folder that was there once and is missing now is an unmounted disk, not an empty
// folder.
func (f *Folder) Prepare(ctx context.Context) error {
	now, err := f.prepare(ctx, false)
	defer f.desks.clear()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Store(now)
	f.unready = err
	return err
}

// Adopt takes a folder for the right one that has been moved, restored or emptied on purpose, or that belonged to a ledger which is
// gone. What was staged by another ledger is not delivered and is removed when its account is swept.
func Adopt(ctx context.Context, c FolderConfig) error {
	f, err := newFolder(c)
	if err != nil {
		return err
	}
	_, err = f.prepare(ctx, true)
	return err
}

func (f *Folder) prepare(ctx context.Context, adopt bool) (*prepared, error) {
	noted, known, err := f.note(ctx)
	if err != nil {
		return nil, err
	}
	known = known && !adopt
	folder, err := f.openFolder(known)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	now := &prepared{folder: folder.id}
	if now.system, err = fileSystemOf(folder); err != nil {
		return nil, failure("look at the folder's file system", f.path, err)
	}
	root, err := f.openRoot(folder, known, noted, now.system)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	now.staging = root.id
	if err := f.sameMount(folder, root); err != nil {
		return nil, err
	}
	release, err := exclude(root)
	if err != nil {
		return nil, failure("lock the staging directory", f.staging, err)
	}
	defer release()
	if err := f.bind(root, known, adopt, noted, now.system); err != nil {
		return nil, err
	}
	if last := f.now.Load(); last != nil && last.staging == now.staging && last.folder == now.folder {
		now.able = last.able
	} else if now.able, err = f.probeAbilities(ctx, root); err != nil {
		return nil, failure("try the staging directory", f.staging, err)
	}
	if now.gid, err = f.ownership(folder, root, now.able); err != nil {
		return nil, err
	}
	if err := unix.Faccessat(folder.fd(), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return nil, failure("write to the folder", f.path, err)
	}
	if !known || !noted.same(now.system) {
		return now, f.setNote(ctx, now.system)
	}
	return now, nil
}

// note reads what the notebook knows of the folder.
func (f *Folder) note(ctx context.Context) (noted fileSystem, known bool, err error) {
	value, known, err := f.notebook.Note(ctx, noteOf(f.path))
	if err != nil {
		return noted, false, fmt.Errorf("read the note about the folder: %w", err)
	}
	if known && json.Unmarshal([]byte(value), &noted) != nil {
		return noted, true, nil // it was here; on which file system cannot be told any more
	}
	return noted, known, nil
}

func (f *Folder) setNote(ctx context.Context, s fileSystem) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := f.notebook.SetNote(ctx, noteOf(f.path), string(value)); err != nil {
		return fmt.Errorf("note the folder: %w", err)
	}
	return nil
}

// openFolder opens the watched folder, and makes it if it was never there before and the directory above it is.
func (f *Folder) openFolder(known bool) (*dir, error) {
	folder, err := openDir(f.path)
	if errors.Is(err, fs.ErrNotExist) && !known {
		if err = os.Mkdir(f.path, 0o770); err == nil {
			f.log.Info("folder made")
			if err = f.syncParent(f.path); err == nil {
				folder, err = openDir(f.path)
			}
		}
	}
	switch {
	case err == nil:
		return folder, nil
	case errors.Is(err, fs.ErrNotExist) && known:
		return nil, f.moved(errors.New("it is missing"))
	case errors.Is(err, unix.ENOTDIR) && !known:
		return nil, misconfigured("open the folder", "it is not a directory", "set sink.path to a directory")
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{Op: "make the folder", Kind: askara.FaultDestination, Err: bare(err),
			hint: "make the directory above it, or mount its disk: " + filepath.Dir(f.path)}
	}
	return nil, failure("open the folder", f.path, err)
}

// openRoot opens the staging directory, and makes it where that is safe.
func (f *Folder) openRoot(folder *dir, known bool, noted, here fileSystem) (*dir, error) {
	if in, err := inside(f.staging, folder.id); err != nil {
		return nil, failure("open the staging directory", f.staging, err)
	} else if in {
		return nil, misconfigured("open the staging directory",
			"it lies inside the watched folder, where the importer would see unfinished files",
			"set sink.staging to a directory outside of "+f.path)
	}
	root, err := openDir(f.staging)
	if errors.Is(err, fs.ErrNotExist) {
		if known && !noted.same(here) {
			return nil, f.moved(errors.New("it is on another file system than before, without its staging directory"))
		}
		if err = os.Mkdir(f.staging, 0o700); err == nil || errors.Is(err, fs.ErrExist) {
			err = f.syncParent(f.staging)
		}
		if err == nil {
			root, err = openDir(f.staging)
		}
	}
	if err != nil {
		e := &Error{Op: "open the staging directory", Kind: askara.FaultDestination, Err: bare(err),
			hint: remedy(bare(err), filepath.Dir(f.staging))}
		if errors.Is(err, fs.ErrPermission) {
			e.hint = "run: install -d -m 0700 -o USER " + f.staging + " (USER is the service's user), or set sink.staging"
		}
		return nil, e
	}
	if in, err := inside(f.path, root.id); err != nil || in {
		root.Close()
		if err != nil {
			return nil, failure("open the staging directory", f.staging, err)
		}
		return nil, misconfigured("open the staging directory", "the watched folder lies inside it",
			"set sink.staging to a directory of its own beside "+f.path)
	}
	return root, nil
}

func (f *Folder) syncParent(path string) error {
	parent, err := openDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	return f.syncDir(parent)
}

// sameMount makes sure that a file can be renamed from staging into the folder. Renaming what does not exist changes nothing, and
// tells the one from the other: the kernel compares the mounts first.
func (f *Folder) sameMount(folder, root *dir) error {
	const absent = ".askara-sync-absent"
	err := again(func() error { return unix.Renameat2(root.fd(), absent, folder.fd(), absent, unix.RENAME_NOREPLACE) })
	if folder.id.dev == root.id.dev && !errors.Is(err, unix.EXDEV) {
		return nil
	}
	hint := "set sink.staging to a directory on the file system of " + f.path +
		"; under systemd, name the directory above both in ReadWritePaths=, not the two of them"
	if up, uerr := openDir(filepath.Dir(f.path)); uerr == nil {
		if up.id.dev != folder.id.dev {
			hint = "the folder is the root of its file system, so nothing on it lies outside: make a directory in it and set " +
				"sink.path to that, such as " + filepath.Join(f.path, "inbox")
		}
		up.Close()
	}
	return misconfigured("open the staging directory",
		"it is on another file system or mount than the folder, so nothing can be moved whole", hint)
}

// bind checks the marker in staging, and writes it where there is none and that is safe.
func (f *Folder) bind(root *dir, known, adopt bool, noted, here fileSystem) error {
	m, err := readMark(root, markerFile)
	switch {
	case err == nil && m.Ledger == f.ledger:
		return nil
	case err == nil && !adopt:
		return f.foreign()
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errMark):
		return failure("read the marker of the staging directory", f.staging, err)
	case known && !noted.same(here):
		return f.moved(errors.New("it is on another file system than before, and its staging directory has no marker"))
	case known:
		f.log.Warn("staging directory was replaced: what was on its way is looked for in the folder and else delivered again")
	}
	m = mark{Version: markVersion, Ledger: f.ledger}
	return failure("mark the staging directory", f.staging, f.writeMark(root, markerFile, m))
}

// probeAbilities finds out how to deliver, and says so once.
func (f *Folder) probeAbilities(ctx context.Context, root *dir) (abilities, error) {
	able, err := probeAbilities(ctx, root)
	if err != nil {
		return able, err
	}
	if f.forced != 0 {
		able.placing = f.forced
	}
	if able.placing != placeExclusive || !able.dirSync || !able.chmod {
		f.log.Warn("folder is limited by its file system",
			"placing", able.placing.String(), "directory_sync", able.dirSync, "modes", able.chmod)
	} else {
		f.log.Debug("folder prepared", "placing", able.placing.String())
	}
	return able, nil
}

// moved says that the folder is not the one that it was.
func (f *Folder) moved(err error) error {
	return &Error{
		Op: "recognise the folder", Kind: askara.FaultDestination, Err: err,
		hint: "is the disk or share of " + f.path + " mounted? If the folder was moved on purpose: askara-sync install-folder " + f.path,
	}
}

// foreign says that staging is another installation's.
func (f *Folder) foreign() error {
	return misconfigured("open the staging directory", "it belongs to another installation of askara-sync",
		"give each installation its own folder and sink.staging; if the other one is gone: askara-sync install-folder "+f.path)
}

// replaced says that a directory has been exchanged since Prepare.
func (f *Folder) replaced(path string) error {
	return &Error{
		Op: "recognise the folder", Kind: askara.FaultDestination, Err: errors.New("it was replaced or unmounted meanwhile"),
		hint: "is the disk or share of " + path + " mounted?",
	}
}
