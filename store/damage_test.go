package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"askara-sync/askara"
	"askara-sync/store"
)

// TestDamageThatIsMetLater damages the ledger under an open store: the error tells, and the next Open repairs.
func TestDamageThatIsMetLater(t *testing.T) {
	garbage := bytes.Repeat([]byte{0xA5}, 4096)
	t.Run("a table", func(t *testing.T) {
		damageLater(t, func(path string) (int64, []byte) { return int64(leafPage(t, path, "archive")-1) * 4096, garbage })
	})
	t.Run("an index", func(t *testing.T) {
		damageLater(t, func(path string) (int64, []byte) { return int64(rootPage(t, path, "archive_uuid")-1) * 4096, garbage })
	})
	t.Run("the order of rows", func(t *testing.T) {
		damageLater(t, func(path string) (int64, []byte) {
			offset := int64(leafPage(t, path, "archive")-1)*4096 + 8 // the pointers to the first two cells
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p := b[offset : offset+4]
			return offset, []byte{p[2], p[3], p[0], p[1]}
		})
	})
}

func damageLater(t *testing.T, where func(path string) (int64, []byte)) {
	dir := stateDir(t)
	if err := lifetime(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "askara-sync.db")
	offset, patch := where(path)
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(patch, offset); err != nil {
		t.Fatal(err)
	}
	err = s.Backup(t.Context())
	if _, ok := errors.AsType[*store.CorruptError](err); !ok || askara.FaultOf(err) != askara.FaultDestination {
		t.Errorf("Backup of a damaged ledger: got %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(dir, "backup")); len(entries) != 0 {
		t.Errorf("a damaged ledger was backed up: %v", entries)
	}
	if _, err := os.Stat(filepath.Join(dir, "suspect")); err != nil {
		t.Errorf("nothing tells the next start to look: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if report, err := s.Salvaged(t.Context()); report == nil || err != nil {
		t.Errorf("Salvaged: got %v, %v", report, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "suspect")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mark is left behind: %v", err)
	}
}

// rootPage returns the number of the first page of a table or an index.
func rootPage(t testing.TB, path, name string) (page int) {
	t.Helper()
	query(t, path, `select rootpage from sqlite_schema where name = ?`, name, &page)
	return page
}

// leafPage returns the number of a page that holds rows of a table.
func leafPage(t testing.TB, path, name string) (page int) {
	t.Helper()
	query(t, path, `select pageno from dbstat where name = ? and pagetype = 'leaf' order by pageno limit 1 offset 5`, name, &page)
	return page
}
