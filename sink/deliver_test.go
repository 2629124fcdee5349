package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/sink"

	"github.com/google/go-cmp/cmp"
)

// everyWay runs a test for each way of placing.
func everyWay(t *testing.T, test func(t *testing.T, way string)) {
	for _, way := range sink.Ways() {
		t.Run(way, func(t *testing.T) { test(t, way) })
	}
}

func openWay(t testing.TB, c sink.FolderConfig, way string) *sink.Folder {
	t.Helper()
	f := open(t, c)
	sink.ForcePlacing(f, way)
	return f
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestForeignFileIsNeverReplaced(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		for _, sidecar := range []string{"none", "json"} {
			for _, late := range []bool{false, true} {
				c := config(t)
				c.Sidecar = sidecar
				f := openWay(t, c, way)
				name := "2026-02-24_Martin_Lettre de consultation_" + sink.ShortID(uuidOf(1)) + ".pdf"
				foreign := func() { write(t, filepath.Join(c.Path, name), []byte("%PDF-1.4 foreign")) }
				d := deliveryOf(1)
				if !late {
					foreign()
				}
				stage(t, f, &d, pdf(1))
				if late {
					foreign()
				}
				batch := []askara.Delivery{d}
				deliver(t, f, batch)
				want := strings.TrimSuffix(name, ".pdf") + " (2).pdf"
				if got := batch[0].Receipt.Name; got != want {
					t.Errorf("got name %q, want %q", got, want)
				}
				if !bytes.Equal(content(t, c, want), pdf(1)) || string(content(t, c, name)) != "%PDF-1.4 foreign" {
					t.Error("the files have other bytes")
				}
				wantNames := []string{want, name}
				if sidecar == "json" {
					beside := strings.TrimSuffix(want, ".pdf") + ".json"
					wantNames = append(wantNames, beside)
					var s struct{ File string }
					if err := json.Unmarshal(content(t, c, beside), &s); err != nil || s.File != want {
						t.Errorf("sidecar says %q, %v", s.File, err)
					}
				}
				slices.Sort(wantNames)
				if diff := cmp.Diff(wantNames, list(t, c.Path)); diff != "" {
					t.Error(diff)
				}
				if got := staged(t, f, "default"); len(got) != 0 {
					t.Errorf("staging holds %q", got)
				}
			}
		}
	})
}

// TestForeignSidecarIsNeverReplaced: the PDF goes where both names are free.
func TestForeignSidecarIsNeverReplaced(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		c := config(t)
		c.Sidecar = "json"
		f := openWay(t, c, way)
		d := deliveryOf(1)
		stage(t, f, &d, pdf(1))
		first := strings.TrimSuffix(d.Receipt.Name, ".pdf")
		write(t, filepath.Join(c.Path, first+".json"), []byte(`{"foreign":true}`))
		deliver(t, f, []askara.Delivery{d})
		if diff := cmp.Diff([]string{first + " (2).json", first + " (2).pdf", first + ".json"}, list(t, c.Path)); diff != "" {
			t.Error(diff)
		}
		if got := string(content(t, c, first+".json")); got != `{"foreign":true}` {
			t.Errorf("the foreign file says %q", got)
		}
	})
}

// pausing is a context that tells when something waits for its end.
type pausing struct {
	context.Context
	paused func()
}

func (p pausing) Done() <-chan struct{} {
	p.paused()
	return p.Context.Done()
}

// TestForeignFileBetweenSidecarAndPDF: the sidecar that is in place already goes along.
func TestForeignFileBetweenSidecarAndPDF(t *testing.T) {
	c := config(t)
	c.Sidecar = "json"
	f := openWay(t, c, "link and unlink") // it pauses between the two
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	first := strings.TrimSuffix(d.Receipt.Name, ".pdf")
	var pauses int
	ctx := pausing{t.Context(), func() {
		if pauses++; pauses == 1 {
			content(t, c, first+".json") // it is there, or the test ends
			write(t, filepath.Join(c.Path, first+".pdf"), []byte("foreign"))
		}
	}}
	batch := []askara.Delivery{d}
	if err := errors.Join(f.Deliver(ctx, batch)...); err != nil || pauses == 0 {
		t.Fatalf("deliver: %v, with %d pauses", err, pauses)
	}
	if diff := cmp.Diff([]string{first + " (2).json", first + " (2).pdf", first + ".pdf"}, list(t, c.Path)); diff != "" {
		t.Error(diff)
	}
	if got := string(content(t, c, first+".pdf")); got != "foreign" {
		t.Errorf("the foreign file says %q", got)
	}
}

func TestNamesDifferAlsoWithoutCase(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		c := config(t)
		c.Name = "{{.Title}}"
		f := openWay(t, c, way)
		write(t, filepath.Join(c.Path, "NOTE.PDF"), []byte("foreign"))
		var batch []askara.Delivery
		for i, title := range []string{"Note", "note", "E\u0301T\u00c9", "\u00e9te\u0301", "Straße", "STRASSE", "note (2)"} {
			d := deliveryOf(i)
			d.Document.Title = title
			stage(t, f, &d, pdf(i))
			batch = append(batch, d)
		}
		chosen := map[string]bool{}
		for _, d := range batch {
			chosen[strings.ToUpper(strings.ReplaceAll(d.Receipt.Name, "ß", "SS"))] = true
		}
		if len(chosen) != len(batch) {
			t.Errorf("only %d names were chosen for %d staged documents", len(chosen), len(batch))
		}
		deliver(t, f, batch[:3])
		deliver(t, f, batch[3:])
		names := list(t, c.Path)
		if len(names) != len(batch)+1 {
			t.Errorf("the folder holds %q", names)
		}
		seen := map[string]string{}
		for _, name := range names {
			folded := strings.ToUpper(strings.ReplaceAll(name, "ß", "SS"))
			if other, ok := seen[folded]; ok {
				t.Errorf("%q and %q are the same file to Windows", name, other)
			}
			seen[folded] = name
		}
		for i, d := range batch {
			if !bytes.Equal(content(t, c, d.Receipt.Name), pdf(i)) {
				t.Errorf("document %d is not under its name %q", i, d.Receipt.Name)
			}
		}
	})
}

// TestNamesOfAnEarlierRunDifferToo: rows that come from the ledger were never chosen in this process.
func TestNamesOfAnEarlierRunDifferToo(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		c := config(t)
		f := openWay(t, c, way)
		batch := []askara.Delivery{deliveryOf(1), deliveryOf(2)}
		stage(t, f, &batch[0], pdf(1))
		stage(t, f, &batch[1], pdf(2))
		batch[0].Receipt.Name, batch[1].Receipt.Name = "Note.pdf", "NOTE.pdf"
		deliver(t, openWay(t, c, way), batch)
		if diff := cmp.Diff([]string{"NOTE (2).pdf", "Note.pdf"}, list(t, c.Path)); diff != "" {
			t.Error(diff)
		}
	})
}

// Two accounts share a folder, each through a Folder of its own, with names that collide.
func TestTwoAccountsShareAFolder(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		const each = 20
		c := config(t)
		c.Name = "{{.Title}}"
		var wg sync.WaitGroup
		for _, account := range []string{"paris", "Paris"} {
			wg.Go(func() {
				f := openWay(t, c, way)
				for i := range each {
					d := deliveryOf(i)
					d.Account, d.UUID = account, fmt.Sprint(account, i)
					d.Document.Title = []string{"Note", "NOTE"}[i%2]
					stage(t, f, &d, []byte("%PDF-"+d.UUID))
					deliver(t, f, []askara.Delivery{d})
					if err := f.Sweep(t.Context(), account, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		contents, folded := map[string]bool{}, map[string]bool{}
		for _, name := range list(t, c.Path) {
			contents[string(content(t, c, name))] = true
			folded[strings.ToLower(name)] = true
		}
		if len(contents) != 2*each || len(folded) != 2*each {
			t.Errorf("got %d documents under %d names, want %d", len(contents), len(folded), 2*each)
		}
	})
}

func TestSidecar(t *testing.T) {
	c := config(t)
	c.Sidecar = "json"
	f := open(t, c)
	d := deliveryOf(1)
	d.Document.Type, d.Document.UpdatedAt = "letter", time.Date(2026, 2, 24, 11, 0, 0, 5e8, time.FixedZone("", 3600))
	d.Document.Patient.DateOfBirth = time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)
	d.Document.User = askara.User{LastName: "Durand", RPPS: "10001234567"}
	content1 := []byte("%PDF-1.7 content")
	stage(t, f, &d, content1)
	deliver(t, f, []askara.Delivery{d})
	want := `{
  "uuid": "a0000001-9d1b-4c7e-8a55-1f2d3c4b5a69",
  "revision": 1,
  "title": "Lettre de consultation",
  "type": "letter",
  "created_at": null,
  "updated_at": "2026-02-24T11:00:00.5+01:00",
  "validated_at": "2026-02-24T10:30:00Z",
  "patient": {
    "uuid": null,
    "first_name": "Anne",
    "last_name": "Martin",
    "date_of_birth": "1970-01-02",
    "gender": null,
    "external_id": null
  },
  "user": {
    "uuid": null,
    "first_name": null,
    "last_name": "Durand",
    "rpps": "10001234567"
  },
  "organization": null,
  "sha256": "` + fmt.Sprintf("%x", d.Receipt.SHA256) + `",
  "size": 16,
  "file": "2026-02-24_Martin_Lettre de consultation_a0000001.pdf",
  "account": "default",
  "askara": {
    "uuid": "a0000001-9d1b-4c7e-8a55-1f2d3c4b5a69"
  }
}
`
	if diff := cmp.Diff(want, string(content(t, c, strings.TrimSuffix(d.Receipt.Name, ".pdf")+".json"))); diff != "" {
		t.Error(diff)
	}
	// Without anything but a uuid, and with a raw document that is none.
	d = askara.Delivery{Account: "default", UUID: "x", Revision: 1, Document: askara.Document{Raw: []byte("{"), CreatedAt: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)}}
	stage(t, f, &d, content1)
	deliver(t, f, []askara.Delivery{d})
	var got map[string]any
	if err := json.Unmarshal(content(t, c, strings.TrimSuffix(d.Receipt.Name, ".pdf")+".json"), &got); err != nil || got["askara"] != nil || got["created_at"] != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRevisionGetsANameOfItsOwn(t *testing.T) {
	c := config(t)
	f := open(t, c)
	one, two := deliveryOf(1), deliveryOf(1)
	two.Revision = 2
	stage(t, f, &one, pdf(1))
	stage(t, f, &two, pdf(2))
	deliver(t, f, []askara.Delivery{one, two})
	stem := strings.TrimSuffix(one.Receipt.Name, ".pdf")
	if diff := cmp.Diff([]string{stem + ".pdf", stem + "_r2.pdf"}, list(t, c.Path)); diff != "" {
		t.Error(diff)
	}
}

// TestBadRowDoesNotHoldUpTheBatch: each delivery has its own outcome.
func TestBadRowDoesNotHoldUpTheBatch(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		c := config(t)
		f := openWay(t, c, way)
		batch := make([]askara.Delivery, 6)
		for i := range batch {
			batch[i] = deliveryOf(i)
			stage(t, f, &batch[i], pdf(i))
		}
		tray := filepath.Join(sink.StagingOf(f), sink.TrayOf("default"))
		if err := os.Remove(filepath.Join(tray, batch[0].Receipt.Staged)); err != nil {
			t.Fatal(err)
		}
		batch[1].Receipt.Name = "../escaped.pdf"
		batch[2].Receipt.Staged = "../identity.json"
		batch[3].Receipt.Name = "identity.exe"
		errs := f.Deliver(t.Context(), batch)
		for i, err := range errs {
			if (err != nil) != (i < 4) {
				t.Errorf("delivery %d: %v", i, err)
			}
			if err != nil && strings.Contains(err.Error(), "Martin") {
				t.Errorf("error tells a name: %v", err)
			}
		}
		if got := list(t, c.Path); len(got) != 2 {
			t.Errorf("the folder holds %q", got)
		}
		if got := list(t, filepath.Dir(c.Path)); len(got) != 2 {
			t.Errorf("beside the folder there is %q", got)
		}
	})
}

func TestEveryNameTakenParksTheDocumentOnly(t *testing.T) {
	c := config(t)
	c.Name, c.Sidecar = "{{.Title}}", "json"
	f := open(t, c)
	d, e := deliveryOf(1), deliveryOf(2)
	d.Document.Title, e.Document.Title = "Note", "Note"
	stage(t, f, &d, pdf(1))
	for i := 1; i < 120; i++ {
		name := "Note.pdf"
		if i > 1 {
			name = fmt.Sprintf("note (%d).PDF", i)
		}
		write(t, filepath.Join(c.Path, name), []byte("foreign"))
	}
	stage(t, f, &e, pdf(2))
	batch := []askara.Delivery{d, e}
	deliver(t, f, batch) // under random names in the end
	for i, d := range batch {
		if !bytes.Equal(content(t, c, d.Receipt.Name), pdf(i+1)) {
			t.Errorf("document %d is not under its name %q", i, d.Receipt.Name)
		}
		wantUsable(t, d.Receipt.Name)
	}
}
