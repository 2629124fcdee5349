package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"askara-sync/store"
)

// TestAFileThatWasCutIsNoticed cuts a few bytes off the end: SQLite fills them with zeros and says nothing.
func TestAFileThatWasCutIsNoticed(t *testing.T) {
	for _, cut := range []int64{1, 100, 4096} {
		dir := filepath.Join(t.TempDir(), "state")
		s, err := store.Open(t.Context(), store.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetNote(t.Context(), "key", "value"); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "askara-sync.db")
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, info.Size()-cut); err != nil {
			t.Fatal(err)
		}
		if s, err = store.Open(t.Context(), store.Config{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		report, err := s.Salvaged(t.Context())
		if err != nil || report == nil {
			t.Errorf("%d bytes were cut off, and the ledger was not repaired: %+v, %v", cut, report, err)
		}
		s.Close()
	}
}
