package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"strconv"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// Finding is one thing that looking at a destination told, for a person to read.
type Finding struct {
	// Name is what was looked at, in lower case: "folder", "free space".
	Name  string
	Level Level
	// Text says what was found.
	Text string
	// Remedy says what to type or change; "" where Level is LevelOK.
	Remedy string
}

// Level is how bad a Finding is.
type Level int

const (
	// LevelOK: as it should be.
	LevelOK Level = iota
	// LevelWarn: it works, with a limit that a person should know of.
	LevelWarn
	// LevelFail: documents cannot be delivered.
	LevelFail
)

// String returns "ok", "warn" or "fail".
func (l Level) String() string {
	switch l {
	case LevelOK:
		return "ok"
	case LevelWarn:
		return "warn"
	}
	return "fail"
}

// Probe looks at the folder for doctor. It makes and changes nothing, except that it tries the staging directory, where there
// is one, with files that it removes again. Run it as the service's user: what that user may do is part of the answer.
func (f *Folder) Probe(ctx context.Context) []Finding {
	var r report
	noted, known, err := f.note(ctx)
	if err != nil {
		r.fail("folder", err)
		return r
	}
	folder, err := openDir(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !known:
		if up, uerr := openDir(filepath.Dir(f.path)); uerr == nil {
			up.Close()
			r.add("folder", LevelWarn, f.path+" is not there yet",
				"it is made at the first pass; or run: install -d -m 2770 -o USER -g GROUP "+f.path)
			return r
		}
		fallthrough
	case err != nil:
		if known && errors.Is(err, fs.ErrNotExist) {
			err = f.moved(errors.New("it is missing"))
		}
		r.fail("folder", failure("open the folder", f.path, err))
		return r
	}
	defer folder.Close()
	here, err := fileSystemOf(folder)
	if err != nil {
		r.fail("folder", failure("look at the folder's file system", f.path, err))
		return r
	}
	r.access(f, folder)
	r.fileSystem(f, here)
	r.space(f, here)
	f.probeStaging(ctx, &r, folder, known, noted, here)
	return r
}

// report collects findings.
type report []Finding

func (r *report) add(name string, level Level, text, remedy string) {
	*r = append(*r, Finding{name, level, text, remedy})
}

func (r *report) fail(name string, err error) {
	r.add(name, LevelFail, err.Error(), askara.HintOf(err))
}

// access reports who owns the folder and whether we may write to it.
func (r *report) access(f *Folder, folder *dir) {
	st, err := folder.stat(".")
	if err != nil {
		r.fail("folder", failure("look at the folder", f.path, err))
		return
	}
	text := fmt.Sprintf("%s, mode %04o, owner %s, group %s", f.path, st.Mode&0o7777, userName(st.Uid), groupName(st.Gid))
	if err := unix.Faccessat(folder.fd(), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		r.add("folder", LevelFail, text+": this user may not write to it", remedy(unix.EACCES, f.path))
	} else if st.Mode&0o002 != 0 {
		r.add("folder", LevelWarn, text+": everyone may write to it", "run: chmod o-w "+f.path)
	} else {
		r.add("folder", LevelOK, text, "")
	}
	if n, err := unix.Fgetxattr(folder.fd(), "system.posix_acl_default", nil); err == nil && n > 0 {
		r.add("folder permissions", LevelWarn, "its default ACL does not apply to files that are moved into it",
			"set sink.group and sink.file_mode so that the importer may read and remove the files")
	}
}

// fileSystem reports what kind of file system the folder is on.
func (r *report) fileSystem(f *Folder, here fileSystem) {
	switch {
	case here.Kind.volatile():
		r.add("file system", LevelWarn, here.Kind.String()+": its files are gone after a restart", "set sink.path to a folder on a disk")
	case here.nameLimit < maxName:
		r.add("file system", LevelWarn, fmt.Sprintf("%s: names have at most %d bytes", here.Kind, here.nameLimit),
			"none needed: longer names are shortened")
	default:
		r.add("file system", LevelOK, here.Kind.String(), "")
	}
}

// space reports how much is free.
func (r *report) space(f *Folder, here fileSystem) {
	text := fmt.Sprintf("%d MiB free, of which %d MiB are left alone", here.free>>20, f.minFree>>20)
	err := f.full(nil)
	switch {
	case here.files >= 0 && here.files < reservedFiles:
		r.add("free space", LevelFail, fmt.Sprintf("%d inodes free", here.files), askara.HintOf(err))
	case here.free < f.minFree || here.free == 0:
		r.add("free space", LevelFail, text, askara.HintOf(err))
	case here.free < f.minFree+max(f.maxSize, 100<<20):
		r.add("free space", LevelWarn, text, askara.HintOf(err))
	default:
		r.add("free space", LevelOK, text, "")
	}
}

// probeStaging reports whether the staging directory is the right one and what delivering looks like.
func (f *Folder) probeStaging(ctx context.Context, r *report, folder *dir, known bool, noted, here fileSystem) {
	if in, err := inside(f.staging, folder.id); err == nil && in {
		r.add("staging", LevelFail, f.staging+" lies inside the watched folder", "set sink.staging to a directory outside of "+f.path)
		return
	}
	root, err := openDir(f.staging)
	if errors.Is(err, fs.ErrNotExist) {
		switch {
		case known && !noted.same(here):
			r.fail("staging", f.moved(errors.New("the folder is on another file system than before, without its staging directory")))
		case known:
			r.add("staging", LevelWarn, f.staging+" is missing",
				"it is made at the next pass; what was on its way is looked for in the folder")
		case unix.Access(filepath.Dir(f.staging), unix.W_OK|unix.X_OK) != nil:
			r.add("staging", LevelFail, f.staging+" is missing and this user cannot make it",
				"run: install -d -m 0700 -o USER "+f.staging+" (USER is the service's user), or set sink.staging")
		default:
			r.add("staging", LevelOK, f.staging+" is made at the first pass", "")
		}
		return
	}
	if err != nil {
		r.fail("staging", failure("open the staging directory", f.staging, err))
		return
	}
	defer root.Close()
	if err := f.sameMount(folder, root); err != nil {
		r.fail("staging", err)
		return
	}
	m, err := readMark(root, markerFile)
	switch {
	case err == nil && m.Ledger != f.ledger:
		r.fail("staging", f.foreign())
		return
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errMark):
		r.fail("staging", failure("read the marker of the staging directory", f.staging, err))
		return
	case err != nil && known && !noted.same(here):
		r.fail("staging", f.moved(errors.New(
			"the folder is on another file system than before, and its staging directory has no marker")))
		return
	case err != nil:
		r.add("staging", LevelOK, f.staging+" is bound to this installation at the next pass", "")
	default:
		r.add("staging", LevelOK, f.staging+", bound to this installation", "")
	}
	if there, err := root.has(lockFile); err == nil && there { // else nobody else is here
		release, err := exclude(root)
		if err != nil {
			r.fail("staging", failure("lock the staging directory", f.staging, err))
			return
		}
		defer release()
	}
	able, err := probeAbilities(ctx, root)
	if err != nil {
		r.fail("delivering", failure("try the staging directory", f.staging, err))
		return
	}
	if _, err := f.ownership(folder, root, able); err != nil {
		r.fail("group", err)
	}
	r.abilities(able, here)
}

// abilities reports how files are moved into the folder, and with what limits.
func (r *report) abilities(able abilities, here fileSystem) {
	switch able.placing {
	case placeExclusive:
		r.add("delivering", LevelOK, able.placing.String(), "")
	case placeLink:
		text := able.placing.String()
		if !able.changeTime {
			text += "; after a crash between the two, a document that was taken already is delivered again"
		}
		r.add("delivering", LevelWarn, text, "none needed; a local folder delivers in one step")
	default:
		r.add("delivering", LevelWarn,
			able.placing.String()+": a file that another program creates under the same name at the same instant is lost",
			"let no other program create files named like ours; or use a folder on a local disk")
	}
	if !able.dirSync {
		level, remedy := LevelWarn, "none needed if the server of the share writes through; else use a folder on a local disk"
		if !here.Kind.remote() {
			remedy = "use a folder on ext4, xfs or btrfs: here a power cut may lose a delivered file's name"
		}
		r.add("directory sync", level, "the file system cannot sync a directory", remedy)
	}
	if !able.chmod {
		r.add("modes", LevelWarn, "the file system has no modes: sink.file_mode has no effect",
			"choose modes when mounting (file_mode=, dir_mode=)")
	}
	if !able.caseSensitive {
		r.add("names", LevelOK, "the file system ignores case; so do our names", "")
	}
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		return u.Username
	}
	return strconv.Itoa(int(uid))
}

func groupName(gid uint32) string {
	if g, err := user.LookupGroupId(strconv.Itoa(int(gid))); err == nil {
		return g.Name
	}
	return strconv.Itoa(int(gid))
}
