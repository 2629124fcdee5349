package sink_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/sink"

	"golang.org/x/sys/unix"
)

func TestVerify(t *testing.T) {
	tests := []struct {
		name   string
		change func(path string) error
		want   sink.Verdict
	}{
		{"untouched", func(string) error { return nil }, sink.Fine},
		{"taken", os.Remove, sink.Missing},
		{"under another name", func(p string) error { return os.Rename(p, strings.TrimSuffix(p, ".pdf")+" (2).pdf") }, sink.Fine},
		{"under another name, and foreign bytes under its own", func(p string) error {
			if err := os.Rename(p, strings.TrimSuffix(p, ".pdf")+" (2).pdf"); err != nil {
				return err
			}
			return os.WriteFile(p, []byte("foreign"), 0o600)
		}, sink.Fine},
		{"changed", func(p string) error { return os.WriteFile(p, pdf(2), 0o600) }, sink.Changed},
		{"same size, other bytes", func(p string) error {
			b := pdf(1)
			b[len(b)-1] ^= 1
			return os.WriteFile(p, b, 0o600)
		}, sink.Changed},
		{"a pipe", func(p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			return unix.Mkfifo(p, 0o600)
		}, sink.Changed},
		{"a link to it", func(p string) error {
			elsewhere := filepath.Join(filepath.Dir(filepath.Dir(p)), "elsewhere")
			if err := os.Rename(p, elsewhere); err != nil {
				return err
			}
			return os.Symlink(elsewhere, p)
		}, sink.Changed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(t)
			f := open(t, c)
			d := deliveryOf(1)
			stage(t, f, &d, pdf(1))
			deliver(t, f, []askara.Delivery{d})
			if got, err := f.Verify(t.Context(), d); err != nil || got != sink.Fine {
				t.Fatalf("at first: got %v, %v", got, err)
			}
			if err := tt.change(filepath.Join(c.Path, d.Receipt.Name)); err != nil {
				t.Fatal(err)
			}
			if got, err := f.Verify(t.Context(), d); err != nil || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestVerifyOfAMissingFolderIsNoVerdict(t *testing.T) {
	c := config(t)
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	deliver(t, f, []askara.Delivery{d})
	if err := os.Rename(c.Path, c.Path+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := f.Verify(t.Context(), d)
	wantFault(t, err, askara.FaultDestination, "mounted")
}

func TestKnown(t *testing.T) {
	for _, sidecar := range []string{"none", "json"} {
		c := config(t)
		c.Sidecar = sidecar
		f := open(t, c)
		want := map[string]askara.Delivery{}
		for i := range 3 {
			d := deliveryOf(i)
			d.Revision = i + 1
			stage(t, f, &d, pdf(i))
			deliver(t, f, []askara.Delivery{d})
			want[d.Receipt.Name] = d
		}
		write(t, filepath.Join(c.Path, "foreign.pdf"), []byte("%PDF-foreign"))
		write(t, filepath.Join(c.Path, "foreign.json"), []byte(`{"uuid":1}`))
		write(t, filepath.Join(c.Path, "foreign.txt"), nil)
		if err := os.Mkdir(filepath.Join(c.Path, "directory.pdf"), 0o755); err != nil {
			t.Fatal(err)
		}
		found := 0
		for got, err := range f.Known(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			found++
			d, ok := want[got.Receipt.Name]
			if !ok {
				if got.Receipt.Name != "foreign.pdf" || got.UUID != "" || got.Revision != 1 {
					t.Errorf("got %+v", got)
				}
				continue
			}
			if got.Receipt.SHA256 != d.Receipt.SHA256 || got.Receipt.Size != d.Receipt.Size || got.Revision != d.Revision || got.State != askara.Delivered {
				t.Errorf("got %+v", got)
			}
			if (got.UUID == d.UUID) != (sidecar == "json") || sidecar == "json" &&
				(got.Account != "default" || !got.Document.ValidatedAt.Equal(d.Document.ValidatedAt)) {
				t.Errorf("%s: got %+v", sidecar, got)
			}
			if got.Document.Title != "" || got.Document.Patient.LastName != "" {
				t.Error("it tells of the patient")
			}
		}
		if found != len(want)+1 {
			t.Errorf("got %d, want %d", found, len(want)+1)
		}
		for range f.Known(t.Context()) {
			break // and nothing is left open or blocked
		}
	}
}

func TestHas(t *testing.T) {
	tests := []struct {
		name, tmpl, sidecar string
	}{
		{"by name", "", "none"},
		{"by sidecar", "{{.Title}}", "json"},
		{"by bytes alone", "{{.Title}}", "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(t)
			c.Name, c.Sidecar = tt.tmpl, tt.sidecar
			f := open(t, c)
			d := deliveryOf(1)
			stage(t, f, &d, pdf(1))
			batch := []askara.Delivery{d}
			deliver(t, f, batch)
			d = batch[0]
			f = open(t, c)
			for range 2 { // it may be asked again
				if name, ok := f.Has(t.Context(), d.UUID, d.Receipt.SHA256); !ok || name != d.Receipt.Name {
					t.Errorf("got %q, %v", name, ok)
				}
			}
			if _, ok := f.Has(t.Context(), d.UUID, sha256.Sum256(pdf(2))); ok {
				t.Error("it has other bytes")
			}
			// One file is one document, even if another has the same bytes.
			if _, ok := f.Has(t.Context(), uuidOf(2), d.Receipt.SHA256); ok {
				t.Error("it has another document")
			}
			if err := os.Remove(filepath.Join(c.Path, d.Receipt.Name)); err != nil {
				t.Fatal(err)
			}
			if _, ok := f.Has(t.Context(), d.UUID, d.Receipt.SHA256); ok {
				t.Error("it still has what was taken")
			}
		})
	}
}

func FuzzSidecar(f *testing.F) {
	f.Add([]byte(`{"uuid":"x","revision":1,"sha256":"`+strings.Repeat("0", 64)+`","file":"a.pdf"}`), "x")
	f.Add([]byte(`{`), "x")
	f.Add([]byte(`{"uuid":"x","revision":1e99}`), "../x")
	c := config(f)
	folder := open(f, c)
	f.Fuzz(func(t *testing.T, foreign []byte, uuid string) {
		d := deliveryOf(1)
		d.UUID = uuid
		stage(t, folder, &d, []byte("%PDF-1.4"))
		beside := strings.TrimSuffix(d.Receipt.Name, ".pdf") + ".json"
		write(t, filepath.Join(c.Path, beside), foreign)
		batch := []askara.Delivery{d}
		deliver(t, folder, batch)
		for known, err := range folder.Known(t.Context()) {
			if err != nil || known.Receipt.Name != batch[0].Receipt.Name {
				t.Errorf("got %+v, %v", known, err)
			}
		}
		if string(content(t, c, beside)) != string(foreign) {
			t.Error("a foreign file was changed")
		}
		for _, name := range []string{beside, batch[0].Receipt.Name} {
			if err := os.Remove(filepath.Join(c.Path, name)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
