package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Locks among processes are open file description locks on files of their own in the state directory. The kernel drops them when
// their holder dies, however it dies; two holders in one process exclude each other as two processes do. The files stay.

const (
	shared    = unix.F_RDLCK
	exclusive = unix.F_WRLCK
)

// errHeld says that somebody else has the lock.
var errHeld = errors.New("held by another process")

// ErrDaemonRunning is what LockDaemon returns while another process is the daemon.
var ErrDaemonRunning = errors.New("a daemon is running already")

// tryLock takes the lock or returns errHeld. Closing the file gives it up.
func tryLock(path string, kind int16) (*os.File, error) {
	f, err := openOwned(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Whence: io.SeekStart})
	if err == nil {
		return f, nil
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = errHeld
	}
	return nil, errors.Join(err, f.Close())
}

const (
	firstPoll = 2 * time.Millisecond
	lastPoll  = 50 * time.Millisecond
)

// lockFile takes a lock and waits for it until ctx ends. It asks again and again, since a wait in the kernel could not be ended.
func lockFile(ctx context.Context, path string, kind int16) (unlock func(), err error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		f, err := tryLock(path, kind)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, errHeld) {
			return nil, err
		}
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lockName is the name of an account's lock file; an account's name may hold anything.
func lockName(kind, account string) string {
	plain := account != "" && len(account) <= 64 && strings.Trim(account, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	if !plain {
		sum := sha256.Sum256([]byte(account))
		account = "." + hex.EncodeToString(sum[:12])
	}
	return kind + "-" + account + ".lock"
}

// LockPass makes the caller the only one, among all processes, who runs a pass of the account. It blocks until then or until ctx
// ends. The lock ends with the process.
func (s *Store) LockPass(ctx context.Context, account string) (unlock func(), err error) {
	unlock, err = lockFile(ctx, s.path(lockName("pass", account)), exclusive)
	return unlock, s.fail("lock pass", err)
}

// LockLogin makes the caller the only one, among all goroutines and processes, who refreshes the account's login. It blocks until
// then or until ctx ends. The lock ends with the process.
func (s *Store) LockLogin(ctx context.Context, account string) (unlock func(), err error) {
	unlock, err = lockFile(ctx, s.path(lockName("login", account)), exclusive)
	return unlock, s.fail("lock login", err)
}

// LockDaemon makes this process the daemon of the ledger. Where another is, it returns ErrDaemonRunning and that one's pid, 0 if it
// has not written it yet. It does not block.
func (s *Store) LockDaemon() (unlock func(), holder int, err error) {
	path := s.path("daemon.lock")
	f, err := tryLock(path, exclusive)
	if errors.Is(err, errHeld) {
		return nil, readPID(path), fmt.Errorf("lock daemon: %w", ErrDaemonRunning)
	}
	if err != nil {
		return nil, 0, s.fail("lock daemon", err)
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, 0, errors.Join(s.fail("lock daemon", err), f.Close())
	}
	return func() { _ = f.Close() }, 0, nil
}

// Daemon tells whether a daemon holds the ledger, and its pid where it is known. It takes no lock and makes no file.
func (s *Store) Daemon() (pid int, running bool, err error) {
	path := s.path("daemon.lock")
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, s.fail("look for daemon", err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: exclusive, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return 0, false, s.fail("look for daemon", err)
	}
	if lock.Type == unix.F_UNLCK {
		return 0, false, nil
	}
	return readPID(path), true, nil
}

// readPID reads the pid in a lock file, 0 where there is none.
func readPID(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 32))
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
