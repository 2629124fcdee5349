package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"askara-sync/askara"
)

// Error is trouble with the ledger. It never holds a token or patient data.
type Error struct {
	Op     string // what was attempted, a bare verb phrase
	Kind   askara.Fault
	Err    error
	Remedy string // what a person can do; may be ""
}

// Error implements error.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault sorts the error.
func (e *Error) Fault() askara.Fault { return e.Kind }

// Hint says what a person can do, "" where nothing helps.
func (e *Error) Hint() string { return e.Remedy }

// CorruptError says that SQLite finds the ledger damaged. Opening it anew repairs it.
type CorruptError struct {
	Op  string
	Err error
}

// Error implements error.
func (e *CorruptError) Error() string { return e.Op + ": the ledger is damaged: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// Fault is FaultDestination: no document is to blame, and everything waits for the repair.
func (e *CorruptError) Fault() askara.Fault { return askara.FaultDestination }

// Hint says how the repair is started.
func (e *CorruptError) Hint() string {
	return "restart the daemon (`systemctl restart askara-sync`): it sets the damaged ledger aside, keeps it, and saves what can be read"
}

// wrap sorts an error of SQLite or of the file system by its code; nil stays nil, and an error that is sorted already or tells of
// an ended context is only given the operation.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, sorted := errors.AsType[interface {
		error
		Fault() askara.Fault
	}](err); sorted {
		return fmt.Errorf("%s: %w", op, err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	e := &Error{Op: op, Kind: askara.FaultUnexpected, Err: err}
	switch {
	case isCorrupt(err):
		return &CorruptError{Op: op, Err: err}
	case isFull(err):
		e.Kind, e.Remedy = askara.FaultDestination, "free space on the disk that holds the state directory"
	case code(err) == sqlite3.SQLITE_BUSY:
		e.Kind, e.Remedy = askara.FaultDestination, "another program holds the ledger; stop it"
	case isUnusable(err):
		e.Kind, e.Remedy = askara.FaultDestination, "check that the state directory is there, on a sound disk, and that this user may write to it"
	}
	return e
}

// code is the primary result code of SQLite in err, -1 where there is none.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return -1
}

// isCorrupt tells a database that SQLite cannot read, or in which its check finds damage.
func isCorrupt(err error) bool {
	if _, ok := errors.AsType[damageError](err); ok {
		return true
	}
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}

// isFull tells a disk or quota that is used up. SQLite calls a used-up quota a write error.
func isFull(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code() == sqlite3.SQLITE_IOERR_WRITE ||
		e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE)
}

func isUnusable(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return true
	}
	return errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO)
}
