package sink

import (
	"errors"
	"io/fs"
	"os"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// ownership finds out which group delivered files get, and tries to give it.
func (f *Folder) ownership(folder, root *dir, able abilities) (gid int, err error) {
	gid, configured := f.gid, f.gid >= 0
	if !configured {
		st, err := folder.stat(".")
		if err != nil {
			return -1, failure("look at the folder", f.path, err)
		}
		if st.Mode&unix.S_ISGID == 0 || int(st.Gid) == os.Getegid() {
			return -1, nil
		}
		// Files made in a setgid folder would get its group; ours are moved into it, so they are given it.
		gid = int(st.Gid)
	}
	const name = ".probe-group"
	_ = root.remove(name)
	file, err := root.open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return -1, failure("try the staging directory", f.staging, err)
	}
	defer root.remove(name)
	defer file.Close()
	switch err := file.Chown(-1, gid); {
	case err == nil:
		return gid, nil
	case !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported):
		return -1, failure("give a file its group", f.staging, err)
	case configured && !able.chmod:
		return -1, misconfigured("give a file its group", "the file system has no groups",
			`set sink.group to "" and choose the group when mounting`)
	case configured:
		return -1, &Error{Op: "give a file its group", Kind: askara.FaultConfiguration, Err: bare(err),
			hint: "add the service's user to the group (SupplementaryGroups= in the unit), or change sink.group"}
	}
	f.log.Warn("group of the folder cannot be given to files in it", "gid", gid)
	return -1, nil
}

// own gives a staged file its final group and mode, whatever the umask.
func (f *Folder) own(file *os.File) error {
	now, err := f.current()
	if err != nil {
		return err
	}
	if now.gid >= 0 {
		if err := file.Chown(-1, now.gid); err != nil {
			return failure("give a file its group", f.staging, err)
		}
	}
	if !now.able.chmod {
		return nil
	}
	return failure("give a file its mode", f.staging, file.Chmod(f.mode))
}
