package sink

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// placing is how a file is moved into the watched folder: the best that the file system can do.
type placing int

const (
	// placeExclusive is one renameat2(RENAME_NOREPLACE): atomic, and it never replaces anything.
	placeExclusive placing = iota + 1
	// placeLink links the file to its final name and unlinks it from staging: it never replaces anything, but between the two
	// steps the file has both names. A crash just there is told by the link count, or, if an importer has taken the file already, by
	// the time of the last change to the inode (see arm).
	placeLink
	// placeChecked looks whether the name is free and renames: atomic, but a file that a foreign program creates under the
	// very same name in between is replaced. Names then always hold the document's short identifier, which no other program's
	// files do, and only one of our processes moves at a time.
	placeChecked
)

// String says what the way does, for doctor and log.
func (p placing) String() string {
	switch p {
	case placeExclusive:
		return "rename without replacing"
	case placeLink:
		return "link and unlink"
	case placeChecked:
		return "look and rename"
	}
	return "unknown"
}

// armed is the suffix of a staged file that may be under its final name already.
const armed = ".placing"

// tick is longer than the step of any kernel's file time stamps.
const tick = 20 * time.Millisecond

// unarmed is the time of change of a file's content that says that arm has only begun.
var unarmed = unix.Timespec{Sec: 1e9}

// arm prepares staged files for being moved. Where that takes two steps, each gets a name that says so, and then equal times of
// change and modification, which its link to the final name will make different. A missing file is left to move.
func (p placing) arm(ctx context.Context, from *dir, names []string) error {
	if p != placeLink || len(names) == 0 {
		return nil
	}
	stamp := func(name string, t unix.Timespec) error {
		return again(func() error {
			return unix.UtimesNanoAt(from.fd(), name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
		})
	}
	for _, name := range names {
		err := stamp(name, unarmed) // since the new name makes the times differ too
		if err == nil {
			err = from.rename(name, from, name+armed)
		}
		if err == nil {
			err = stamp(name+armed, unix.Timespec{Nsec: unix.UTIME_NOW})
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	timer := time.NewTimer(tick)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}

// linked says that an armed file has been linked since.
func linked(st *unix.Stat_t) bool { return st.Nlink > 1 || st.Mtim != unarmed && st.Mtim != st.Ctim }

// disarm undoes arm for a file that has not been moved.
func (p placing) disarm(from *dir, name string) error {
	if p != placeLink {
		return nil
	}
	return from.rename(name+armed, from, name)
}

// move gives a file that has been armed its final name. The error is EEXIST where that is taken.
func (p placing) move(from *dir, name string, to *dir, final string) error {
	if p == placeLink {
		return linkMove(from, name+armed, to, final)
	}
	return p.moveUnarmed(from, name, to, final)
}

// moveUnarmed is move for files of which a second copy would do no harm.
func (p placing) moveUnarmed(from *dir, name string, to *dir, final string) error {
	switch p {
	case placeExclusive:
		return again(func() error { return unix.Renameat2(from.fd(), name, to.fd(), final, unix.RENAME_NOREPLACE) })
	case placeLink:
		return linkMove(from, name, to, final)
	default:
		if taken, err := to.has(final); err != nil {
			return err
		} else if taken {
			return unix.EEXIST
		}
		return from.rename(name, to, final)
	}
}

func linkMove(from *dir, name string, to *dir, final string) error {
	err := again(func() error { return unix.Linkat(from.fd(), name, to.fd(), final, 0) })
	if errors.Is(err, fs.ErrExist) {
		// A network file system repeats a request whose answer was lost, and then reports our own link.
		ours, serr := from.stat(name)
		theirs, terr := to.stat(final)
		if serr == nil && terr == nil && idOf(&ours) == idOf(&theirs) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return from.remove(name)
}

// abilities is what a file system was seen to do.
type abilities struct {
	placing placing
	// dirSync: directories can be fsynced. Where not, the server keeps names safe by itself or nobody does.
	dirSync bool
	// chmod: files have modes.
	chmod bool
	// changeTime: a link shows in the inode's time of change, so that arm means something.
	changeTime bool
	// caseSensitive: "a" and "A" are two names.
	caseSensitive bool
}

// probeAbilities tries in a directory of staging what the watched folder, on the same file system, will be asked for. What it makes
// it removes.
func probeAbilities(ctx context.Context, staging *dir) (able abilities, err error) {
	const name, a, b = ".probe", "a", "b"
	clear := func() {
		if top, err := staging.sub(name); err == nil {
			for _, part := range []string{a, b} {
				if sub, err := top.sub(part); err == nil {
					_ = sub.names(func(n string) error { return sub.remove(n) })
					sub.Close()
				}
				_ = top.rmdir(part)
			}
			top.Close()
		}
		_ = staging.rmdir(name)
	}
	clear()
	defer clear()
	if err := staging.mkdir(name, 0o700); err != nil {
		return able, err
	}
	top, err := staging.sub(name)
	if err != nil {
		return able, err
	}
	defer top.Close()
	if err := errors.Join(top.mkdir(a, 0o700), top.mkdir(b, 0o700)); err != nil {
		return able, err
	}
	from, err := top.sub(a)
	if err != nil {
		return able, err
	}
	defer from.Close()
	to, err := top.sub(b)
	if err != nil {
		return able, err
	}
	defer to.Close()
	err = able.try(ctx, from, to)
	return able, err
}

func (able *abilities) try(ctx context.Context, from, to *dir) error {
	create := func(name string) error {
		f, err := from.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		return f.Close()
	}
	works := func(p placing, name string) bool {
		return p.moveUnarmed(from, name, to, name) == nil && create(name) == nil &&
			errors.Is(p.moveUnarmed(from, name, to, name), fs.ErrExist)
	}
	for _, name := range []string{"Rename", "Link", "Time"} {
		if err := create(name); err != nil {
			return err
		}
	}
	_, err := from.stat("rENAME")
	able.caseSensitive = errors.Is(err, fs.ErrNotExist)
	able.chmod = again(func() error { return unix.Fchmodat(from.fd(), "Time", 0o640, 0) }) == nil
	if st, err := from.stat("Time"); err != nil || st.Mode&0o777 != 0o640 {
		able.chmod = false
	}
	able.dirSync = to.Sync() == nil

	switch {
	case works(placeExclusive, "Rename"):
		able.placing = placeExclusive
	case works(placeLink, "Link"):
		able.placing = placeLink
	default:
		able.placing = placeChecked
	}
	able.changeTime = timeTells(ctx, from, to)
	return nil
}

// timeTells says whether linking and unlinking shows in a file's times the way arm relies on.
func timeTells(ctx context.Context, from, to *dir) bool {
	if placeLink.arm(ctx, from, []string{"Time"}) != nil {
		return false
	}
	before, err := from.stat("Time" + armed)
	if err != nil || linked(&before) {
		return false
	}
	if unix.Linkat(from.fd(), "Time"+armed, to.fd(), "Time", 0) != nil || to.remove("Time") != nil {
		return false
	}
	after, err := from.stat("Time" + armed)
	return err == nil && linked(&after)
}
