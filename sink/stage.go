package sink

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// Stage reads body to its end into the account's staging directory. On return without an error the file itself is durable,
// with its final owner and mode, and so is its sidecar; their names are durable after Flush. On an error nothing is left.
func (f *Folder) Stage(ctx context.Context, d askara.Delivery, body io.Reader, size int64) (askara.Receipt, error) {
	if f.maxSize > 0 && size > f.maxSize {
		return askara.Receipt{}, tooLarge(f.maxSize) // said before there may be no room for it
	}
	at, err := f.desk(d.Account)
	if err != nil {
		return askara.Receipt{}, err
	}
	defer f.leave(at)
	t := at.tray
	release, err := f.reserve(t, size)
	if err != nil {
		return askara.Receipt{}, err
	}
	defer release()

	r := askara.Receipt{Staged: t.stagedName(d)}
	f.begin(t, r.Staged)
	defer f.end(t, r.Staged)
	r.Size, r.SHA256, err = f.write(t, r.Staged, func(w io.Writer) (int64, askara.Checksum, error) {
		return receive(ctx, w, body, size, f.maxSize)
	})
	if err != nil {
		return askara.Receipt{}, err
	}
	if r.Name, err = f.choose(at, d, r.Staged); err == nil && f.sidecar {
		err = f.writeSidecar(t, sidecarOf(r.Staged), newSidecar(d, r))
	}
	if err != nil {
		f.discard(t, r.Staged)
		return askara.Receipt{}, err
	}
	return r, nil
}

// filler writes a file's content and says how long it is and what its checksum is.
type filler func(io.Writer) (int64, askara.Checksum, error)

// write makes a file in a tray, has it filled, and makes it durable with its final owner and mode; or leaves nothing.
func (f *Folder) write(t *tray, name string, fill filler) (n int64, sum askara.Checksum, err error) {
	f.entering.Lock()
	file, err := t.open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	f.entering.Unlock()
	if err != nil {
		return 0, sum, failure("create a file in staging", f.staging, err)
	}
	n, sum, err = fill(fileWriter{file, f.staging})
	if err == nil {
		err = f.own(file)
	}
	if err == nil {
		// A file whose sync failed is thrown away: the kernel reports lost pages once and then calls them clean.
		err = failure("sync a file in staging", f.staging, f.sync(file))
	}
	if cerr := file.Close(); err == nil {
		err = failure("close a file in staging", f.staging, cerr)
	}
	if err != nil {
		_ = t.remove(name)
		return 0, askara.Checksum{}, err
	}
	return n, sum, nil
}

// fileWriter says in which directory a write failed.
type fileWriter struct {
	file *os.File
	dir  string
}

func (w fileWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	return n, failure("write a document to staging", w.dir, err)
}

// Flush makes the entries of the batch in the staging directories durable: one sync for each account in it.
func (f *Folder) Flush(_ context.Context, batch []askara.Delivery) error {
	f.desks.clear()
	done := map[string]bool{}
	for _, d := range batch {
		if done[d.Account] {
			continue
		}
		done[d.Account] = true
		t, err := f.openTray(d.Account)
		if err != nil {
			return err
		}
		err = f.syncDir(t.dir)
		t.Close()
		if err != nil {
			f.forget(batch)
			return failure("sync the staging directory", f.staging, err)
		}
	}
	return nil
}

// forget throws the batch's staged files away after a failed sync, so that they are downloaded again and never trusted.
func (f *Folder) forget(batch []askara.Delivery) {
	for _, d := range batch {
		if t, err := f.openTray(d.Account); err == nil {
			if validStaged(d.Receipt.Staged) {
				f.discard(t, d.Receipt.Staged)
			}
			t.Close()
		}
	}
}

// discard removes a staged file with its sidecar and gives its name free.
func (f *Folder) discard(t *tray, staged string) {
	for _, name := range []string{staged, sidecarOf(staged)} {
		if err := t.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.log.Warn("staged file not removed", "err", bare(err))
		}
	}
	f.release(t, staged)
}

// syncDir syncs a directory, where the file system can: over SMB there is no such thing, and the answer says so.
func (f *Folder) syncDir(d *dir) error {
	err := f.sync(d.File)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
