package systemd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"askara-sync/store"
)

func TestDowngradeIsRefusedWhereTheLedgerIsNewer(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(dir, "askara-sync.db")
	schema := store.SchemaVersion()
	empty := filepath.Join(dir, "empty.db")
	writeFile(t, empty, "", 0o600)
	short := filepath.Join(dir, "short.db")
	writeFile(t, short, "SQLite format 3", 0o600)
	tests := []struct {
		name, ledger string
		readable     int
		args         []string
		refused      bool
	}{
		{"same schema", ledger, schema, []string{"upgrade", "1.0-1", "0.9-1"}, false},
		{"newer program", ledger, schema + 1, []string{"upgrade", "1.0-1", "1.1-1"}, false},
		{"older program", ledger, schema - 1, []string{"upgrade", "1.0-1", "0.9-1"}, true},
		{"older program, rpm", ledger, schema - 1, []string{"2"}, true},
		{"older program, installed anew beside kept state", ledger, schema - 1, []string{"install"}, true},
		{"going back after a refusal", ledger, schema - 1, []string{"abort-upgrade", "0.9-1"}, false},
		{"no ledger", filepath.Join(dir, "none.db"), 0, []string{"install"}, false},
		{"an empty ledger", empty, 0, []string{"install"}, false},
		{"not a ledger", short, 0, []string{"install"}, false},
	}
	for _, test := range tests {
		out, err := preinst(t, test.ledger, test.readable, test.args...)
		if refused := err != nil; refused != test.refused {
			t.Errorf("%s: refused %v, want %v (%v)\n%s", test.name, refused, test.refused, err, out)
		}
		if test.refused && (!strings.Contains(out, "older than the one that wrote "+ledger) || !strings.Contains(out, "nothing was changed")) {
			t.Errorf("%s: not clear:\n%s", test.name, out)
		}
	}
}
