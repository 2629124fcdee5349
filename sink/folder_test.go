package sink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/sink"
	askarasync "askara-sync/sync"

	"golang.org/x/sys/unix"
)

var (
	_ askarasync.Staging     = (*sink.Folder)(nil)
	_ askarasync.Destination = (*sink.Folder)(nil)
)

// notes is a Notebook in memory.
type notes struct {
	mu sync.Mutex
	m  map[string]string
}

func (n *notes) Note(_ context.Context, key string) (string, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v, ok := n.m[key]
	return v, ok, nil
}

func (n *notes) SetNote(_ context.Context, key, value string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.m == nil {
		n.m = map[string]string{}
	}
	n.m[key] = value
	return nil
}

// config is a folder in a fresh directory: in memory where there is such a place, since these tests sync thousands of times.
func config(t testing.TB) sink.FolderConfig {
	t.Helper()
	dir := t.TempDir()
	if memory, err := os.MkdirTemp("/dev/shm", "askara-sync-test-"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(memory) })
		dir = memory
	}
	return sink.FolderConfig{Path: filepath.Join(dir, "inbox"), LedgerID: "ledger-1", Notebook: &notes{}, Location: time.UTC}
}

func open(t testing.TB, c sink.FolderConfig) *sink.Folder {
	t.Helper()
	f, err := sink.OpenFolder(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// uuidOf is the n-th document's uuid. Its first digits tell it apart.
func uuidOf(n int) string { return fmt.Sprintf("%08x-9d1b-4c7e-8a55-1f2d3c4b5a69", 0xa0000000+n) }

// deliveryOf is the first revision of the n-th document.
func deliveryOf(n int) askara.Delivery {
	return askara.Delivery{Account: "default", UUID: uuidOf(n), Revision: 1, Document: askara.Document{
		UUID: uuidOf(n), Title: "Lettre de consultation", ValidatedAt: time.Date(2026, 2, 24, 10, 30, 0, 0, time.UTC),
		Patient: askara.Patient{FirstName: "Anne", LastName: "Martin"}, Raw: []byte(`{"uuid":"` + uuidOf(n) + `"}`),
	}}
}

// pdf is the n-th document's content, large enough to be read in several parts.
func pdf(n int) []byte {
	return append([]byte("%PDF-1.7\n"), bytes.Repeat(fmt.Appendf(nil, "document %d\n", n), 20000)...)
}

// stage stages one delivery and fills in its receipt.
func stage(t testing.TB, f *sink.Folder, d *askara.Delivery, content []byte) {
	t.Helper()
	r, err := f.Stage(t.Context(), *d, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Size != int64(len(content)) || r.SHA256 != sha256.Sum256(content) {
		t.Fatalf("receipt says %d bytes, sum %x", r.Size, r.SHA256)
	}
	d.Receipt, d.State = r, askara.Staged
}

// deliver flushes and delivers a batch and expects success.
func deliver(t testing.TB, f *sink.Folder, batch []askara.Delivery) {
	t.Helper()
	if err := f.Flush(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for i, err := range f.Deliver(t.Context(), batch) {
		if err != nil {
			t.Fatalf("delivery %d: %v", i, err)
		}
	}
}

// list returns the names in a directory, sorted.
func list(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// staged lists the files of an account that are in staging.
func staged(t testing.TB, f *sink.Folder, account string) []string {
	t.Helper()
	tray := filepath.Join(sink.StagingOf(f), sink.TrayOf(account))
	if _, err := os.Stat(tray); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return slices.DeleteFunc(list(t, tray), func(n string) bool { return n == "identity.json" })
}

// content reads a file of the folder.
func content(t testing.TB, c sink.FolderConfig, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.Path, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantFault checks an error's fault and that it says what to do.
func wantFault(t testing.TB, err error, want askara.Fault, hint string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	if got := askara.FaultOf(err); got != want {
		t.Errorf("fault of %q: got %d, want %d", err, got, want)
	}
	if got := askara.HintOf(err); !strings.Contains(got, hint) || hint == "" && got != "" {
		t.Errorf("hint of %q: got %q, want %q in it", err, got, hint)
	}
	for _, secret := range []string{"Lettre", "Martin", "Anne", ".pdf"} {
		if strings.Contains(err.Error()+askara.HintOf(err), secret) {
			t.Errorf("error tells %q: %v", secret, err)
		}
	}
}

func TestBatchArrivesWholeUnderItsNames(t *testing.T) {
	for _, way := range sink.Ways() {
		t.Run(way, func(t *testing.T) {
			c := config(t)
			f := open(t, c)
			sink.ForcePlacing(f, way)
			batch := make([]askara.Delivery, 5)
			var wg sync.WaitGroup
			for i := range batch {
				batch[i] = deliveryOf(i)
				wg.Go(func() { stage(t, f, &batch[i], pdf(i)) })
			}
			wg.Wait()
			if got := list(t, c.Path); len(got) != 0 {
				t.Fatalf("before Deliver the folder holds %q", got)
			}
			deliver(t, f, batch)
			if got := list(t, c.Path); len(got) != len(batch) {
				t.Fatalf("the folder holds %q", got)
			}
			for i, d := range batch {
				want := "2026-02-24_Martin_Lettre de consultation_" + sink.ShortID(uuidOf(i)) + ".pdf"
				if d.Receipt.Name != want {
					t.Errorf("got name %q, want %q", d.Receipt.Name, want)
				}
				if !bytes.Equal(content(t, c, want), pdf(i)) {
					t.Errorf("document %d has other bytes", i)
				}
				if got, err := f.Settle(t.Context(), &d); err != nil || got != askara.SettledDelivered {
					t.Errorf("settled as %v, %v", got, err)
				}
			}
			if got := staged(t, f, "default"); len(got) != 0 {
				t.Errorf("staging holds %q", got)
			}
		})
	}
}

// broken is a body that fails with an error of its own after some bytes.
func broken(n int, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(pdf(1)[:n]), failing{err})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBadDocumentLeavesNothing(t *testing.T) {
	const magic = "%PDF-1.7 "
	whole := pdf(1)
	tests := []struct {
		name string
		body io.Reader
		size int64
		want askara.Fault
		hint string
	}{
		{"empty", strings.NewReader(""), 0, askara.FaultDocument, ""},
		{"short", strings.NewReader("%PD"), -1, askara.FaultDocument, ""},
		{"login page", strings.NewReader("<!doctype html>"), -1, askara.FaultDocument, ""},
		{"magic not at the start", strings.NewReader("\n%PDF-1.4"), -1, askara.FaultDocument, ""},
		{"truncated", bytes.NewReader(whole[:1000]), int64(len(whole)), askara.FaultDocument, ""},
		{"truncated in the magic", strings.NewReader("%P"), 10, askara.FaultDocument, ""},
		{"longer than announced", bytes.NewReader(whole), 1000, askara.FaultDocument, ""},
		{"endless", readerFunc(func(p []byte) (int, error) { return copy(p, magic), nil }), 1000, askara.FaultDocument, ""},
		{"endless and not announced", readerFunc(func(p []byte) (int, error) { return copy(p, magic), nil }), -1, askara.FaultPermanent,
			"limits.max_document_size"},
		{"announced too large", bytes.NewReader(whole), 1 << 40, askara.FaultPermanent, "limits.max_document_size"},
		{"too large", bytes.NewReader(slices.Concat(whole, whole)), -1, askara.FaultPermanent, "limits.max_document_size"},
		{"connection lost", broken(1000, io.ErrUnexpectedEOF), -1, askara.FaultService, ""},
		{"connection lost at once", broken(0, io.ErrClosedPipe), -1, askara.FaultService, ""},
		{"own fault", broken(1000, &sink.Error{Op: "x", Kind: askara.FaultLimited}), -1, askara.FaultLimited, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(t)
			c.MaxSize, c.Sidecar = int64(len(whole)), "json"
			f := open(t, c)
			_, err := f.Stage(t.Context(), deliveryOf(1), tt.body, tt.size)
			wantFault(t, err, tt.want, tt.hint)
			if got := staged(t, f, "default"); len(got) != 0 {
				t.Errorf("staging holds %q", got)
			}
			// One bad document does not hold up the next.
			d := deliveryOf(2)
			stage(t, f, &d, pdf(1))
			deliver(t, f, []askara.Delivery{d})
		})
	}
}

func TestCancelledDownloadLeavesNothing(t *testing.T) {
	f := open(t, config(t))
	ctx, cancel := context.WithCancel(t.Context())
	body := io.MultiReader(bytes.NewReader(pdf(1)), readerFunc(func(p []byte) (int, error) {
		cancel()
		return copy(p, "more"), nil
	}))
	if _, err := f.Stage(ctx, deliveryOf(1), body, -1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
	if got := staged(t, f, "default"); len(got) != 0 {
		t.Errorf("staging holds %q", got)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestModesDoNotDependOnTheUmask(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	for _, mode := range []fs.FileMode{0, 0o600, 0o664} {
		c := config(t)
		c.FileMode, c.Sidecar = mode, "json"
		f := open(t, c)
		d := deliveryOf(1)
		stage(t, f, &d, pdf(1))
		batch := []askara.Delivery{d}
		deliver(t, f, batch)
		if mode == 0 {
			mode = 0o640
		}
		for _, name := range list(t, c.Path) {
			info, err := os.Stat(filepath.Join(c.Path, name))
			if err != nil || info.Mode() != mode {
				t.Errorf("got mode %v, %v, want %v", info.Mode(), err, mode)
			}
		}
		info, err := os.Stat(sink.StagingOf(f))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("staging has mode %v, %v", info.Mode(), err)
		}
	}
}
