package sink

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"askara-sync/askara"
)

// Error is a failure of a destination or of a document on its way there. It holds no file name: those hold titles and
// patients' names.
type Error struct {
	// Op is what was being done, as a bare verb phrase.
	Op string
	// Kind sorts the error for the pass.
	Kind askara.Fault
	// Err is the cause; nil where Op says it all.
	Err error

	hint string
}

// Error returns "op: cause".
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault tells what is to be done about the error.
func (e *Error) Fault() askara.Fault { return e.Kind }

// Hint tells what a person can do about it, "" where nothing.
func (e *Error) Hint() string { return e.hint }

// failure makes an Error of what the operating system said while op was done in dir. The names in its error are dropped, the
// errno stays. A nil err stays nil, and an Error or a cancelled context is returned as it is. dir may be "".
func failure(op, dir string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	err = bare(err)
	return &Error{Op: op, Kind: askara.FaultDestination, Err: err, hint: remedy(err, dir)}
}

// bare strips the parts of an error that name a file.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return bare(e.Err)
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return bare(e.Err)
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		return bare(e.Err)
	}
	return err
}

// remedy says what to do about an errno in dir; "" where dir is not known.
func remedy(err error, dir string) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok || dir == "" {
		return ""
	}
	switch errno {
	case syscall.ENOSPC:
		return "free space on the file system of " + dir + " (see: df -h " + dir + "; df -i " + dir + ")"
	case syscall.EDQUOT:
		return "raise the disk quota of the service's user on the file system of " + dir
	case syscall.EROFS:
		return "make the file system of " + dir + " writable again; after a disk error the kernel makes it read-only (see: dmesg)"
	case syscall.EACCES, syscall.EPERM:
		return "let the service's user read and write " + dir + " (see: ls -ld " + dir + ")"
	case syscall.EIO:
		return "check the disk or the network share of " + dir + " (see: dmesg)"
	case syscall.ENOENT, syscall.ENOTDIR:
		return "make sure that " + dir + " exists and that its disk or share is mounted"
	case syscall.ESTALE, syscall.ENOTCONN, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ETIMEDOUT:
		return "check the server of the network share of " + dir + " and mount it again"
	case syscall.EMFILE, syscall.ENFILE:
		return "raise the limit of open files (LimitNOFILE= in the unit)"
	}
	return ""
}
