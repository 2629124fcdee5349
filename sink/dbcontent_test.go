package sink_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/sink"
)

// fileCases are about content = "file": a row and a file together.
func fileCases() []databaseCase {
	return []databaseCase{
		{name: "stopped between file and row", run: func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 3)
			// A foreign file has the first one's name, so that the ledger's idea of the name is wrong after the crash.
			name := batch[0].Receipt.Name
			if err := os.WriteFile(filepath.Join(f.folder.Path, name), []byte("foreign"), 0o600); err != nil {
				t.Fatal(err)
			}
			sub := []askara.Delivery{batch[0], batch[1]}
			for _, err := range f.config.Folder.Deliver(t.Context(), sub) {
				if err != nil {
					t.Fatal(err)
				}
			}
			if sub[0].Receipt.Name == name {
				t.Fatal("the foreign file's name was taken")
			}
			f.once(t, nil)
			d = f.prepared(t)
			for i := range batch {
				if s, err := d.Settle(t.Context(), &batch[i]); err != nil || s != askara.SettledDelivered {
					t.Errorf("settle: got %v, %v; want delivered", s, err)
				}
			}
			if batch[0].Receipt.Name != sub[0].Receipt.Name {
				t.Error("the receipt does not have the file's name")
			}
			f.once(t, batch)
		}},
		{name: "foreign file has the name", run: func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			if err := os.WriteFile(filepath.Join(f.folder.Path, batch[1].Receipt.Name), []byte("foreign"), 0o600); err != nil {
				t.Fatal(err)
			}
			putAll(t, d, batch)
			f.once(t, batch)
			if n := len(list(t, f.folder.Path)); n != 4 {
				t.Errorf("%d files are in the folder, want 4", n)
			}
		}},
		{name: "row refused", kinds: servers, run: func(t *testing.T, f *fixture) {
			f.prepared(t)
			statement := "alter table askara_documents alter column title type varchar(20)"
			if f.kind == sink.KindMySQL {
				statement = "alter table askara_documents modify title varchar(20)"
			}
			f.exec(t, statement)
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			batch[1].Document.Title = strings.Repeat("SECRET", 9)
			errs := d.Deliver(t.Context(), batch)
			wantTrouble(t, errs[1], askara.FaultPermanent, "title")
			f.once(t, onlyDelivered(t, batch, errs, 2))
			if n := len(list(t, f.folder.Path)); n != 2 {
				t.Errorf("%d files are in the folder, want 2: none for the row that was refused", n)
			}
		}},
		{name: "staged file gone", run: func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			batch[1].Receipt.Staged = strings.Replace(batch[1].Receipt.Staged, ".", "x.", 1)
			errs := d.Deliver(t.Context(), batch)
			if errs[1] == nil {
				t.Error("a document without a file was delivered")
			}
			f.once(t, onlyDelivered(t, batch, errs, 2))
		}},
	}
}

func TestDatabaseFiles(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		for _, c := range fileCases() {
			if c.kinds == "" || strings.Contains(c.kinds, e.kind) {
				t.Run(c.name, func(t *testing.T) {
					f := e.fixture(t)
					f.withFiles()
					c.run(t, f)
				})
			}
		}
	})
}
