package store_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/store"
)

func TestRepair(t *testing.T) {
	source := stateDir(t)
	s := lifetime(t, source)
	id := s.ID()
	live := copyState(t, source) // with a log
	if err := s.Backup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed := copyState(t, source) // without a log, with a backup
	if _, err := os.Stat(filepath.Join(live, "askara-sync.db-wal")); err != nil {
		t.Fatalf("the live copy has no log: %v", err)
	}
	everything := outcome{pending: 40, delivered: 10, confirmed: manyDelivered, parked: 5, login: askara.LoginOK, note: true, sameID: true, cursor: day}

	overwrite := func(path string, offset int64, b []byte) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(b, offset); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name    string
		from    string
		backups bool
		damage  func(path string)
		check   func(t *testing.T, o outcome)
	}{
		{"empty beside its log", live, false, func(path string) { os.Truncate(path, 0) }, func(t *testing.T, o outcome) {
			if o != everything {
				t.Errorf("got %+v want %+v, since all of it is in the log", o, everything)
			}
		}},
		{"one byte beside its log", live, false, func(path string) { os.WriteFile(path, []byte("x"), 0o600) }, func(t *testing.T, o outcome) {
			if o != everything {
				t.Errorf("got %+v want %+v, since all of it is in the log", o, everything)
			}
		}},
		{"missing beside its log", live, false, func(path string) { os.Remove(path) }, func(t *testing.T, o outcome) {
			if o != everything {
				t.Errorf("got %+v want %+v, since all of it is in the log", o, everything)
			}
		}},
		{"empty beside a log that breaks off", live, false, func(path string) {
			os.Truncate(path, 0)
			info, _ := os.Stat(path + "-wal")
			overwrite(path+"-wal", info.Size()-100, []byte("garbage"))
		}, func(t *testing.T, o outcome) {
			want := everything // but the last commit, which was a note
			want.note, want.doubt, want.login, want.cursor = false, true, askara.LoginUncertain, -1
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"missing, with a backup", closed, true, func(path string) { os.Remove(path) }, func(t *testing.T, o outcome) {
			want := everything
			want.login, want.doubt, want.backup = askara.LoginRequired, true, true
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"empty, with a backup", closed, true, func(path string) { os.Truncate(path, 0) }, func(t *testing.T, o outcome) {
			want := everything
			want.login, want.doubt, want.backup = askara.LoginRequired, true, true
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"garbage all over, with a backup", closed, true, func(path string) {
			info, _ := os.Stat(path)
			b := make([]byte, info.Size())
			rand.Read(b)
			overwrite(path, 0, b)
		}, func(t *testing.T, o outcome) {
			want := everything
			want.login, want.doubt, want.backup = askara.LoginRequired, true, true
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"the first page is garbage", closed, false, func(path string) {
			overwrite(path, 0, bytes.Repeat([]byte{0xA5}, 4096))
		}, func(t *testing.T, o outcome) {
			// Rows are recognised by their looks; only what is small and looks like nothing in particular is lost.
			want := everything
			want.note, want.sameID, want.doubt, want.cursor = false, false, true, -1
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"a schema number that never was", closed, false, func(path string) {
			overwrite(path, 60, []byte{0x80, 0, 0, 1})
		}, func(t *testing.T, o outcome) {
			if o != everything {
				t.Errorf("got %+v want %+v, since nothing is lost", o, everything)
			}
		}},
		{"a table under another name", closed, false, func(path string) {
			sqlite(t, path, `drop index archive_uuid`, `alter table archive rename to archives`)
		}, func(t *testing.T, o outcome) {
			want := everything
			want.doubt, want.cursor = true, -1
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"an interior page is garbage", closed, false, func(path string) {
			overwrite(path, int64(rootPage(t, path, "archive")-1)*4096, bytes.Repeat([]byte{0xA5}, 4096))
		}, func(t *testing.T, o outcome) {
			want := everything
			want.doubt, want.cursor = true, -1
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"the accounts are garbage, with a backup", closed, true, func(path string) {
			overwrite(path, int64(rootPage(t, path, "account")-1)*4096, bytes.Repeat([]byte{0xA5}, 4096))
			overwrite(path, int64(rootPage(t, path, "sqlite_autoindex_account_1")-1)*4096, bytes.Repeat([]byte{0xA5}, 4096))
		}, func(t *testing.T, o outcome) {
			want := everything
			want.doubt, want.backup = true, true
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"garbage all over, no backup", closed, false, func(path string) {
			b := make([]byte, 1<<17)
			rand.Read(b)
			overwrite(path, 0, b)
		}, func(t *testing.T, o outcome) {
			if want := (outcome{login: askara.LoginRequired, doubt: true, cursor: -1}); o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"cut short", closed, false, func(path string) {
			info, _ := os.Stat(path)
			os.Truncate(path, info.Size()*3/4/4096*4096)
		}, func(t *testing.T, o outcome) {
			if !o.doubt || o.cursor != -1 || o.confirmed == 0 || o.confirmed == manyDelivered {
				t.Errorf("got %+v, want part of it, in doubt and from the beginning", o)
			}
		}},
		{"cut short, with a backup", closed, true, func(path string) {
			info, _ := os.Stat(path)
			os.Truncate(path, info.Size()*3/4/4096*4096)
		}, func(t *testing.T, o outcome) {
			o.login = askara.LoginOK // may be in either half
			want := everything
			want.doubt, want.backup = true, true
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
		{"cut inside a page", closed, false, func(path string) {
			info, _ := os.Stat(path)
			os.Truncate(path, info.Size()-1000)
		}, func(t *testing.T, o outcome) {
			if o.confirmed < manyDelivered-100 || !o.note || !o.sameID {
				t.Errorf("got %+v want nearly all", o)
			}
		}},
		{"an index that is garbage", closed, false, func(path string) {
			page := rootPage(t, path, "archive_uuid")
			overwrite(path, int64(page-1)*4096, bytes.Repeat([]byte{0xA5}, 4096))
		}, func(t *testing.T, o outcome) {
			if o != everything {
				t.Errorf("got %+v want %+v, since nothing is lost", o, everything)
			}
		}},
		{"a page of finished documents", closed, false, func(path string) {
			overwrite(path, int64(leafPage(t, path, "archive")-1)*4096, bytes.Repeat([]byte{0xA5}, 4096))
		}, func(t *testing.T, o outcome) {
			if o.confirmed < manyDelivered-100 || o.confirmed == manyDelivered || !o.doubt || o.pending != 40 || o.login != askara.LoginOK || o.cursor != -1 {
				t.Errorf("got %+v want all but a page, in doubt", o)
			}
		}},
		{"a page of finished documents, with a backup", closed, true, func(path string) {
			overwrite(path, int64(leafPage(t, path, "archive")-1)*4096, bytes.Repeat([]byte{0xA5}, 4096))
		}, func(t *testing.T, o outcome) {
			want := everything
			want.doubt, want.backup = true, true
			if o != want {
				t.Errorf("got %+v want %+v", o, want)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := copyState(t, tc.from)
			if !tc.backups {
				if err := os.RemoveAll(filepath.Join(dir, "backup")); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "askara-sync.db")
			tc.damage(path)
			before := fingerprint(t, dir)
			s := open(t, dir)
			tc.check(t, look(t, s, id))

			// What was damaged is still there, byte for byte, under a dated name.
			report, err := s.Salvaged(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			after := fingerprint(t, dir)
			for _, part := range []string{"", "-wal"} {
				sum, had := before["askara-sync.db"+part]
				found := false
				for name, now := range after {
					found = found || now == sum && aside.MatchString(name)
				}
				if had && !found {
					t.Errorf("askara-sync.db%s was not set aside as it was: %v", part, report.SetAside)
				}
			}
			for _, name := range report.SetAside {
				if _, ok := after[name]; !ok || !aside.MatchString(name) {
					t.Errorf("the report names %q, which is not there", name)
				}
			}
			for name := range after {
				if strings.Contains(name, "salvage") || strings.Contains(name, "assembly") || strings.Contains(name, "repaired") {
					t.Errorf("%s is left behind", name)
				}
			}
			// It is settled once, and the repair is not repeated.
			if err := s.SettleSalvage(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			if report, err := s.Salvaged(t.Context()); report != nil || err != nil {
				t.Errorf("Salvaged after SettleSalvage: got %+v, %v", report, err)
			}
			record(t, s, documents(5000, 5010)...)
		})
	}
}

var aside = regexp.MustCompile(`^askara-sync\.db\.corrupt-\d{8}T\d{6}Z(-wal|-shm)?$`)

func TestRepairWaitsForOtherProcesses(t *testing.T) {
	dir := stateDir(t)
	s := lifetime(t, dir)
	path := filepath.Join(dir, "askara-sync.db")
	if err := os.WriteFile(filepath.Join(dir, "suspect"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{1}, 200), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	_, err = store.Open(t.Context(), store.Config{Dir: dir})
	if c, ok := errors.AsType[*store.CorruptError](err); !ok || !strings.Contains(err.Error(), "another process") || c.Hint() == "" {
		t.Errorf("Open beside another: got %v", err)
	}
	_ = s.Close()
	if got := open(t, dir); got == nil {
		t.Error("Open afterwards failed")
	}
}

func TestReadOnlyDoesNotRepair(t *testing.T) {
	dir := stateDir(t)
	if err := os.WriteFile(filepath.Join(dir, "askara-sync.db"), bytes.Repeat([]byte("junk"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, dir)
	_, err := store.Open(t.Context(), store.Config{Dir: dir, ReadOnly: true})
	if _, ok := errors.AsType[*store.CorruptError](err); !ok || !strings.Contains(askara.HintOf(err), "restart") {
		t.Errorf("Open: got %v, hint %q", err, askara.HintOf(err))
	}
	if after := fingerprint(t, dir); len(after) != 1 || after["askara-sync.db"] != before["askara-sync.db"] {
		t.Errorf("a read-only Open left %v", after)
	}
}

// TestRepairCutShort leaves the files as a kill after each rename would, when the new ledger is whole.
func TestRepairCutShort(t *testing.T) {
	source := stateDir(t)
	s := lifetime(t, source)
	live := copyState(t, source)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for steps := range 4 {
		t.Run(fmt.Sprintf("after %d renames", steps), func(t *testing.T) {
			dir := copyState(t, live)
			name := filepath.Join(dir, "askara-sync.db")
			repaired, err := os.ReadFile(filepath.Join(source, "askara-sync.db"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name+".repaired", repaired, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"-wal", "-shm", ""}[:steps] {
				if err := os.Rename(name+part, name+".corrupt-20200101T000000Z"+part); err != nil {
					t.Fatal(err)
				}
			}
			before := fingerprint(t, dir)
			s := open(t, dir)
			if st, err := s.Status(t.Context(), account); err != nil || st.Counts[askara.Confirmed] != manyDelivered {
				t.Errorf("Status: got %+v, %v", st.Counts, err)
			}
			after := fingerprint(t, dir)
			kept := 0
			for name, sum := range after {
				for _, was := range before {
					if aside.MatchString(name) && sum == was {
						kept++
						break
					}
				}
			}
			if kept != 3 {
				t.Errorf("%d files of the damaged ledger are kept, want 3", kept)
			}
			if _, err := os.Stat(name + ".repaired"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the interim name is left: %v", err)
			}
		})
	}
}
