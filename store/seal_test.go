package store_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"askara-sync/askara"
	"askara-sync/store"
)

// keyFile writes a key of one repeated byte and returns its path.
func keyFile(t testing.TB, b byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, bytes.Repeat([]byte{b}, 32), 0o400); err != nil {
		t.Fatal(err)
	}
	return path
}

func openWith(t testing.TB, dir, key string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func refreshToken(t testing.TB, s *store.Store, account string) string {
	t.Helper()
	l, err := s.LoadLogin(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return l.Tokens.Refresh.Reveal()
}

func TestWrongKeyTouchesNothing(t *testing.T) {
	good := keyFile(t, 1)
	for _, tc := range []struct{ name, key string }{
		{"another credential", keyFile(t, 2)},
		{"credential gone", filepath.Join(t.TempDir(), "gone")},
		{"no credential configured", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := stateDir(t)
			s := openWith(t, dir, good)
			if err := s.SaveLogin(t.Context(), login("one")); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openWith(t, dir, tc.key)
			other := login("two")
			other.Account = "other"
			for what, err := range map[string]error{
				"LoadLogin":                      func() error { _, err := s.LoadLogin(t.Context(), account); return err }(),
				"SaveLogin":                      s.SaveLogin(t.Context(), login("two")),
				"SaveLogin of another account":   s.SaveLogin(t.Context(), other),
				"SaveLogin of a forgotten login": s.SaveLogin(t.Context(), askara.Login{Account: account, State: askara.LoginRequired}),
			} {
				if _, ok := errors.AsType[*store.KeyError](err); !ok || askara.FaultOf(err) != askara.FaultConfiguration ||
					!strings.Contains(askara.HintOf(err), "login --force") {
					t.Errorf("%s: got %v, hint %q", what, err, askara.HintOf(err))
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "state.key")); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a key was made while something is sealed with another")
			}
			if st, err := s.Status(t.Context(), account); err != nil || st.Login.State != askara.LoginOK {
				t.Errorf("Status without the key: got %+v, %v", st.Login, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := refreshToken(t, openWith(t, dir, good), account); got != "refresh-one" {
				t.Errorf("with the right key again: got %q", got)
			}
		})
	}
}

// TestCopiedWithoutItsKey is a ledger that was brought to another machine without state.key.
func TestCopiedWithoutItsKey(t *testing.T) {
	s, dir := fresh(t)
	if err := s.SaveLogin(t.Context(), login("one")); err != nil {
		t.Fatal(err)
	}
	if accounts, err := s.DiscardSealed(t.Context()); len(accounts) != 0 || err != nil {
		t.Errorf("DiscardSealed with the key at hand: got %v, %v", accounts, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dir = copyState(t, dir)
	if err := os.Remove(filepath.Join(dir, "state.key")); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	_, err := s.LoadLogin(t.Context(), account)
	if !strings.Contains(askara.HintOf(err), filepath.Join(dir, "state.key")) {
		t.Errorf("LoadLogin: got %v, hint %q", err, askara.HintOf(err))
	}
	accounts, err := s.DiscardSealed(t.Context())
	if err != nil || len(accounts) != 1 || accounts[0] != account {
		t.Fatalf("DiscardSealed: got %v, %v", accounts, err)
	}
	if l, err := s.LoadLogin(t.Context(), account); err != nil || l.State != askara.LoginRequired || l.Reason == "" {
		t.Errorf("LoadLogin afterwards: got %+v, %v", l, err)
	}
	if err := s.SaveLogin(t.Context(), login("two")); err != nil {
		t.Fatal(err)
	}
	if got := refreshToken(t, s, account); got != "refresh-two" {
		t.Errorf("logged in again: got %q", got)
	}
}

// TestSealedForOnePlace moves sealed values to where they do not belong.
func TestSealedForOnePlace(t *testing.T) {
	for name, statement := range map[string]string{
		"columns swapped":  `update login set access = refresh, refresh = access where account = 1`,
		"another account":  `update login set refresh = (select refresh from login where account = 2) where account = 1`,
		"a bit turned":     `update login set refresh = cast(substr(refresh, 1, 20) || x'00' || substr(refresh, 22) as blob) where account = 1`,
		"cut short":        `update login set refresh = x'0102' where account = 1`,
		"another version":  `update login set refresh = cast(x'02' || substr(refresh, 2) as blob) where account = 1`,
		"nothing but null": `update login set access = null, refresh = null, state = 'required' where account = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := fresh(t)
			other := login("two")
			other.Account = "other"
			for _, l := range []askara.Login{login("one"), other} {
				if err := s.SaveLogin(t.Context(), l); err != nil {
					t.Fatal(err)
				}
			}
			sqlite(t, filepath.Join(dir, "askara-sync.db"), statement)
			l, err := s.LoadLogin(t.Context(), account)
			if err != nil || l.State != askara.LoginRequired || l.Tokens.Refresh != "" || l.Tokens.Access != "" {
				t.Errorf("LoadLogin: got state %s, %d bytes, %v", l.State, len(l.Tokens.Refresh), err)
			}
			if err := s.SaveLogin(t.Context(), login("three")); err != nil || refreshToken(t, s, account) != "refresh-three" {
				t.Errorf("SaveLogin over it: %v", err)
			}
			if got := refreshToken(t, s, "other"); got != "refresh-two" {
				t.Errorf("the other account: got %q", got)
			}
		})
	}
}

func TestKeyFiles(t *testing.T) {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(200 + i)
	}
	for _, tc := range []struct {
		name, content string
		ok            bool
	}{
		{"bytes", string(raw), true},
		{"hexadecimal", hex.EncodeToString(raw) + "\n", true},
		{"base64", base64.StdEncoding.EncodeToString(raw) + "\r\n", true},
		{"base64 for URLs", base64.RawURLEncoding.EncodeToString(raw), true},
		{"empty", "", false},
		{"too short", hex.EncodeToString(raw[:31]), false},
		{"too long", string(raw) + "\n", false},
		{"a password", "correct horse battery staple 123", false},
		{"huge", strings.Repeat("00", 100000), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(tc.content), 0o400); err != nil {
				t.Fatal(err)
			}
			err := openWith(t, stateDir(t), path).SaveLogin(t.Context(), login("one"))
			if tc.ok != (err == nil) {
				t.Fatalf("SaveLogin: got %v", err)
			}
			if err != nil && (askara.FaultOf(err) != askara.FaultConfiguration || !strings.Contains(askara.HintOf(err), "openssl rand -hex 32")) {
				t.Errorf("got %v, hint %q", err, askara.HintOf(err))
			}
			if err != nil && tc.content != "" && strings.Contains(err.Error(), tc.content) {
				t.Error("the error tells the key")
			}
		})
	}
	s, dir := fresh(t)
	if err := s.SaveLogin(t.Context(), login("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "state.key"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoadLogin(t.Context(), account); err == nil || !strings.Contains(err.Error(), "0640") {
		t.Errorf("LoadLogin with a key that others may read: got %v", err)
	}
}

func TestRekey(t *testing.T) {
	one, two := keyFile(t, 1), keyFile(t, 2)
	for _, tc := range []struct {
		name, before, after, old string
	}{
		{"own to own", "", "", ""},
		{"own to credential", "", one, ""},
		{"credential to credential", one, two, one},
		{"credential to own", one, "", one},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := stateDir(t)
			s := openWith(t, dir, tc.before)
			other := login("two")
			other.Account = "other"
			for _, l := range []askara.Login{login("one"), other} {
				if err := s.SaveLogin(t.Context(), l); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(filepath.Join(dir, "state.key"))
			s = openWith(t, dir, tc.after)
			n, err := s.Rekey(t.Context(), store.RekeyConfig{OldKeyFile: tc.old})
			if err != nil || n != 2 {
				t.Fatalf("Rekey: got %d, %v want 2", n, err)
			}
			after, _ := os.ReadFile(filepath.Join(dir, "state.key"))
			if len(after) > 0 && bytes.Equal(before, after) || (len(after) == 0) != (tc.after != "") {
				t.Errorf("state.key: %d bytes before, %d after", len(before), len(after))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openWith(t, dir, tc.after)
			if got := refreshToken(t, s, account) + refreshToken(t, s, "other"); got != "refresh-onerefresh-two" {
				t.Errorf("afterwards: got %q", got)
			}
			if _, err := os.Stat(filepath.Join(dir, "state.key.new")); !errors.Is(err, fs.ErrNotExist) {
				t.Error("state.key.new is left behind")
			}
			if tc.after == "" {
				return
			}
			if _, err := s.Rekey(t.Context(), store.RekeyConfig{}); askara.FaultOf(err) != askara.FaultConfiguration {
				t.Errorf("Rekey with the same key: got %v", err)
			}
		})
	}
}

// TestRekeyWithoutTheOldKey must fail and leave everything as it is.
func TestRekeyWithoutTheOldKey(t *testing.T) {
	dir := stateDir(t)
	one := keyFile(t, 1)
	if err := openWith(t, dir, one).SaveLogin(t.Context(), login("one")); err != nil {
		t.Fatal(err)
	}
	_, err := openWith(t, dir, "").Rekey(t.Context(), store.RekeyConfig{})
	if _, ok := errors.AsType[*store.KeyError](err); !ok {
		t.Errorf("Rekey: got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "state.key.new")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("state.key.new is left behind")
	}
	if got := refreshToken(t, openWith(t, dir, one), account); got != "refresh-one" {
		t.Errorf("afterwards: got %q", got)
	}
}

// TestRekeyCutShort leaves the files as a kill after each of the steps would.
func TestRekeyCutShort(t *testing.T) {
	setUp := func(t *testing.T) (dir, own, next string) {
		dir = stateDir(t)
		s := openWith(t, dir, "")
		if err := s.SaveLogin(t.Context(), login("one")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return dir, filepath.Join(dir, "state.key"), filepath.Join(dir, "state.key.new")
	}
	check := func(t *testing.T, dir, next string) {
		s := openWith(t, dir, "")
		if got := refreshToken(t, s, account); got != "refresh-one" {
			t.Errorf("afterwards: got %q", got)
		}
		if _, err := os.Stat(next); !errors.Is(err, fs.ErrNotExist) {
			t.Error("state.key.new is left behind")
		}
		if _, err := s.Rekey(t.Context(), store.RekeyConfig{}); err != nil || refreshToken(t, s, account) != "refresh-one" {
			t.Errorf("Rekey again: %v", err)
		}
	}
	t.Run("before the commit", func(t *testing.T) {
		dir, _, next := setUp(t)
		if err := os.WriteFile(next, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, dir, next)
	})
	t.Run("while the new key is written", func(t *testing.T) {
		dir, _, next := setUp(t)
		if err := os.WriteFile(next, []byte("ab"), 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, dir, next)
	})
	t.Run("after the commit", func(t *testing.T) {
		dir, own, next := setUp(t)
		old, err := os.ReadFile(own)
		if err != nil {
			t.Fatal(err)
		}
		s := openWith(t, dir, "")
		if _, err := s.Rekey(t.Context(), store.RekeyConfig{}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Rename(own, next), os.WriteFile(own, old, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := refreshToken(t, s, account); got != "refresh-one" {
			t.Errorf("while it is cut short: got %q", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, dir, next)
	})
}

func TestRekeyUnderLoad(t *testing.T) {
	s, dir := fresh(t)
	if err := s.SaveLogin(t.Context(), login("one")); err != nil {
		t.Fatal(err)
	}
	reader := open(t, dir)
	var stop atomic.Bool
	failed := make(chan error, 1)
	reads := 0
	go func() {
		var err error
		for err == nil && !stop.Load() {
			var l askara.Login
			if l, err = reader.LoadLogin(t.Context(), account); err == nil && l.Tokens.Refresh.Reveal() != "refresh-one" {
				err = errors.New("another token")
			}
			reads++
		}
		failed <- err
	}()
	for range 15 {
		if _, err := s.Rekey(t.Context(), store.RekeyConfig{}); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	if err := <-failed; err != nil || reads == 0 {
		t.Errorf("LoadLogin during a rekey: %v after %d", err, reads)
	}
}

// TestNothingInClear greps every file of a state directory that has lived: ledger, log, backups, what was set aside.
func TestNothingInClear(t *testing.T) {
	dir := stateDir(t)
	s := lifetime(t, dir)
	for _, marker := range []string{"salvaged-2", "salvaged"} {
		if err := s.SaveLogin(t.Context(), login(marker)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rekey(t.Context(), store.RekeyConfig{}); err != nil {
		t.Fatal(err)
	}
	files, tokens, notes := 0, 0, 0
	grep := func() {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			if bytes.Contains(b, []byte("salvaged")) {
				tokens++
				t.Errorf("%s holds a token", path)
			}
			if bytes.Contains(b, []byte("marker")) {
				notes++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	grep()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "askara-sync.db"), 40960); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	grep()
	if files < 10 || notes < 2 {
		t.Errorf("looked at %d files and found what is not secret in %d, so that nothing was shown", files, notes)
	}
}
