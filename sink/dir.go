package sink

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// dir is an open directory. Everything in it is reached through the open file, so that a directory that is moved or mounted
// over meanwhile is never mixed up with another.
type dir struct {
	*os.File
	id fileID
}

// fileID is what two names of the same file have in common while the machine runs.
type fileID struct{ dev, ino uint64 }

func idOf(st *unix.Stat_t) fileID { return fileID{uint64(st.Dev), st.Ino} }

// openDir opens a directory; the last element of path may be a symbolic link.
func openDir(path string) (*dir, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return asDir(f)
}

func asDir(f *os.File) (*dir, error) {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		f.Close()
		return nil, err
	}
	return &dir{File: f, id: idOf(&st)}, nil
}

// sub opens a directory in d.
func (d *dir) sub(name string) (*dir, error) {
	f, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return asDir(f)
}

func (d *dir) fd() int { return int(d.Fd()) }

// open opens a file in d, which is never a symbolic link, and never waits for a pipe's other end.
func (d *dir) open(name string, flags int, mode uint32) (*os.File, error) {
	fd := -1
	if flags&(unix.O_DIRECTORY|unix.O_EXCL) == 0 {
		// Only then can it be a pipe. For such a file package os asks the kernel several times whether it can be waited for.
		flags |= unix.O_NONBLOCK
	}
	err := again(func() (err error) {
		fd, err = unix.Openat(d.fd(), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "file"), nil
}

// regular opens a regular file in d for reading and returns its size.
func (d *dir) regular(name string) (*os.File, int64, error) {
	// Looked at first, since opening a device may do something.
	if st, err := d.stat(name); err != nil {
		return nil, 0, err
	} else if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, 0, errIrregular
	}
	f, err := d.open(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errIrregular
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

var errIrregular = errors.New("it is not a regular file")

// stat looks at a name in d without following it.
func (d *dir) stat(name string) (st unix.Stat_t, err error) {
	err = again(func() error { return unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

// has says whether the name is taken in d, by whatever.
func (d *dir) has(name string) (bool, error) {
	_, err := d.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (d *dir) mkdir(name string, mode uint32) error {
	return again(func() error { return unix.Mkdirat(d.fd(), name, mode) })
}

func (d *dir) remove(name string) error {
	return again(func() error { return unix.Unlinkat(d.fd(), name, 0) })
}

func (d *dir) rmdir(name string) error {
	return again(func() error { return unix.Unlinkat(d.fd(), name, unix.AT_REMOVEDIR) })
}

// rename replaces what has the new name.
func (d *dir) rename(old string, to *dir, new string) error {
	return again(func() error { return unix.Renameat(d.fd(), old, to.fd(), new) })
}

// names calls each for every entry, some at a time, so that a folder with a million files does not fill the memory.
func (d *dir) names(each func(name string) error) error {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		names, err := d.Readdirnames(512)
		for _, name := range names {
			if err := each(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// regulars calls each for every regular file that is there long enough to be looked at.
func (d *dir) regulars(ctx context.Context, each func(name string, st *unix.Stat_t) error) error {
	return d.names(func(name string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		st, err := d.stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			return err
		}
		return each(name, &st)
	})
}

// again repeats a system call that a signal interrupted, as network file systems allow.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
