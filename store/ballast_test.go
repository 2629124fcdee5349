package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"askara-sync/askara"
	"askara-sync/store"
)

// smallDisk mounts a file system of a few MiB and returns a state directory on it.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=6m"); err != nil {
		t.Skipf("needs to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(mount, "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill uses up the disk to the last byte and returns the file that does.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(dir), "filler")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 4096); ; {
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return path
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// bulk is a note of some size, to make the ledger need new room.
func bulk(s *store.Store, t *testing.T, n int) error {
	return s.SetNote(t.Context(), "bulk"+string(rune('a'+n)), strings.Repeat("x", 40_000))
}

func TestFullDiskKeepsTheNewLogin(t *testing.T) {
	dir := smallDisk(t)
	s := openWith(t, dir, "")
	intent := login("one")
	intent.IntentAt = time.Now()
	if err := s.SaveLogin(t.Context(), intent); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	info, err := os.Stat(ballast)
	if err != nil || info.Size() < 1<<20 || info.Sys().(*syscall.Stat_t).Blocks*512 < 1<<20 {
		t.Fatalf("the ballast takes up no room: %v, %v", info, err)
	}
	filler := fill(t, dir)
	full := error(nil)
	for n := 0; full == nil && n < 26; n++ {
		full = bulk(s, t, n)
	}
	if askara.FaultOf(full) != askara.FaultDestination || !strings.Contains(askara.HintOf(full), "free space") {
		t.Fatalf("a write to a full disk: got %v, hint %q", full, askara.HintOf(full))
	}

	// The answer to the refresh arrives now.
	pair := login("two")
	pair.IntentAt, pair.Generation = time.Time{}, 4
	pair.Tokens.Refresh = askara.Secret(strings.Repeat("refresh-two", 4000)) // more than the log has room for
	if err := s.SaveLogin(t.Context(), pair); err != nil {
		t.Fatalf("SaveLogin on a full disk: %v", err)
	}
	if _, err := os.Stat(ballast); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast is still there, so that the disk was not full: %v", err)
	}
	again := openWith(t, dir, "")
	if got := refreshToken(t, again, account); !strings.HasPrefix(got, "refresh-two") {
		t.Errorf("the new login is lost: got %.11q", got)
	}

	// No token is spent from now on, until there is room again.
	fill(t, dir)
	pair.IntentAt = time.Now()
	err = s.SaveLogin(t.Context(), pair)
	if askara.FaultOf(err) != askara.FaultDestination || !strings.Contains(err.Error(), "reserve room") {
		t.Errorf("SaveLogin of an intent on a full disk: got %v", err)
	}
	if l, err := again.LoadLogin(t.Context(), account); err != nil || !l.IntentAt.IsZero() {
		t.Errorf("the intent was kept: %+v, %v", l.IntentAt, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveLogin(t.Context(), pair); err != nil {
		t.Errorf("SaveLogin with room again: %v", err)
	}
	if info, err := os.Stat(ballast); err != nil || info.Size() < 1<<20 {
		t.Errorf("the ballast was not rebuilt: %v", err)
	}
	if err := bulk(s, t, 0); err != nil {
		t.Errorf("a write with room again: %v", err)
	}
}

// TestBallastGoesOnceOnly covers the order of things where no disk can be mounted.
func TestBallastGoesOnceOnly(t *testing.T) {
	s, dir := fresh(t)
	intent := login("one")
	if err := s.SaveLogin(t.Context(), intent); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	for _, tc := range []struct {
		name  string
		fails []error
		calls int
		gone  bool
		want  error
	}{
		{"no trouble", []error{nil}, 1, false, nil},
		{"other trouble", []error{os.ErrPermission}, 1, false, os.ErrPermission},
		{"full", []error{full, nil}, 2, true, nil},
		{"full even so", []error{full, full}, 2, true, syscall.ENOSPC},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := s.SaveLogin(t.Context(), intent); err != nil {
				t.Fatal(err)
			}
			calls := 0
			err := s.WithBallast(func() error { calls++; return tc.fails[calls-1] })
			if !errors.Is(err, tc.want) || calls != tc.calls {
				t.Errorf("got %v after %d calls, want %v after %d", err, calls, tc.want, tc.calls)
			}
			if _, err := os.Stat(ballast); errors.Is(err, os.ErrNotExist) != tc.gone {
				t.Errorf("ballast: %v, want gone %v", err, tc.gone)
			}
		})
	}
}
