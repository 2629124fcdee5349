package store_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"askara-sync/askara"
	"askara-sync/store"
)

// sqlite runs statements on a database file with a connection of the test's own.
func sqlite(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// stateDir returns a private directory.
func stateDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpenRefuses(t *testing.T) {
	ours := func(t *testing.T, path string) {
		s, err := store.Open(t.Context(), store.Config{Dir: filepath.Dir(path)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, says, hint string
		make             func(t *testing.T, path string)
	}{
		{"newer schema", "schema 99", "install the newer version again", func(t *testing.T, path string) {
			ours(t, path)
			sqlite(t, path, `pragma user_version = 99`)
		}},
		{"other program's database", "another program", "set state_dir", func(t *testing.T, path string) {
			sqlite(t, path, `pragma application_id = 1234`, `create table x (y)`, `pragma journal_mode = wal`)
		}},
		{"database without a mark", "another program", "set state_dir", func(t *testing.T, path string) {
			sqlite(t, path, `create table x (y)`)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := stateDir(t)
			path := filepath.Join(dir, "askara-sync.db")
			tc.make(t, path)
			before := fingerprint(t, dir)
			for _, readOnly := range []bool{false, true} {
				_, err := store.Open(t.Context(), store.Config{Dir: dir, ReadOnly: readOnly})
				if askara.FaultOf(err) != askara.FaultConfiguration || !strings.Contains(err.Error(), tc.says) ||
					!strings.Contains(askara.HintOf(err), tc.hint) {
					t.Errorf("Open: got %v, hint %q", err, askara.HintOf(err))
				}
			}
			after := fingerprint(t, dir)
			for name, sum := range before {
				if after[name] != sum {
					t.Errorf("%s was touched", name)
				}
			}
			for name := range after {
				if _, ok := before[name]; !ok && !strings.HasSuffix(name, ".lock") {
					t.Errorf("%s was made", name)
				}
			}
		})
	}
}

// fingerprint maps the files of a directory to their checksums.
func fingerprint(t testing.TB, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		sums[entry.Name()] = hex.EncodeToString(sum[:])
	}
	return sums
}

// TestSchemaIsFrozen fails where a schema that is in the field was changed, rather than a new one appended.
func TestSchemaIsFrozen(t *testing.T) {
	_, dir := fresh(t)
	want, err := os.ReadFile("testdata/schema1.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "askara-sync.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got string
	if err := db.QueryRow(`select group_concat(sql || ';', char(10)) from (select sql from sqlite_schema where sql is not null order by name)`).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got+"\n" != string(want) {
		t.Errorf("the schema of a new ledger is not that of testdata/schema1.sql:\n%s", got)
	}
}

// TestUpgradeFromEverySchema opens a ledger that each earlier version wrote and finds in it what was put there.
func TestUpgradeFromEverySchema(t *testing.T) {
	files, err := filepath.Glob("testdata/ledger*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no ledgers in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := stateDir(t)
			sqlite(t, filepath.Join(dir, "askara-sync.db"), string(script))
			s := open(t, dir)
			if s.ID() != "6ba7b810-9dad-41d1-80b4-00c04fd430c8" {
				t.Errorf("ID: got %s", s.ID())
			}
			c, err := s.Cursor(t.Context(), account)
			if err != nil || !c.At.Equal(epoch) || c.Pages != 2 || c.PageSize != 100 {
				t.Errorf("Cursor: got %+v, %v", c, err)
			}
			// 1 is confirmed, 2 delivered, 3 pending, 4 parked.
			got := record(t, s, documents(1, 6)...)
			if want := (askara.Recorded{New: 1, Known: 4}); got != want {
				t.Errorf("Record: got %+v want %+v", got, want)
			}
			st, err := s.Status(t.Context(), account)
			if err != nil || st.All != 2 || st.Counts[askara.Pending] != 2 || st.Counts[askara.Parked] != 1 || st.LastPass == nil || st.LastPass.Listed != 4 {
				t.Errorf("Status: got %+v, %v", st, err)
			}
			due := dueNow(t, s, askara.Pending)
			if len(due) != 2 || due[0].UUID != uuidOf(3) || due[0].Document.Title != "Ordonnance" {
				t.Errorf("Due: got %+v", due)
			}
			if l, err := s.LoadLogin(t.Context(), account); err != nil || l.State != askara.LoginRequired || l.Reason != "gone" {
				t.Errorf("LoadLogin: got %+v, %v", l, err)
			}
			if v, _, err := s.Note(t.Context(), "marker"); v != "here" || err != nil {
				t.Errorf("Note: got %q, %v", v, err)
			}
		})
	}
}

// query reads one value with a connection of the test's own.
func query(t testing.TB, path, text string, arg, dest any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(text, arg).Scan(dest); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
