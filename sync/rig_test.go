package sync_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/sink"
	"askara-sync/store"
	"askara-sync/sync"
)

// rig is a whole line but for the command: sandbox, client, ledger, folder and runner.
type rig struct {
	server *sandbox.Server
	client *askara.Client
	store  *store.Store
	folder *sink.Folder
	inbox  string
	log    *strings.Builder
	config sync.Config
}

// token is a login that needs no refresh.
type token askara.Secret

func (t token) Token(context.Context) (askara.Secret, error) { return askara.Secret(t), nil }
func (t token) Renew(context.Context, askara.Secret) (askara.Secret, error) {
	return askara.Secret(t), nil
}

func newRig(t *testing.T, c sandbox.Config) *rig {
	t.Helper()
	dir := scratch(t)
	c.AccessTTL = 10 * 365 * 24 * time.Hour // logins are not what is tested here
	g := &rig{server: sandbox.New(c), inbox: filepath.Join(dir, "inbox"), log: &strings.Builder{}}
	access, _ := g.server.Login("")
	base, err := url.Parse("https://api.askara.example" + c.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	g.client = askara.NewClient(askara.Config{
		BaseURL: base, Contract: askara.DefaultContract(), Transport: g.server.RoundTripper(), Tokens: token(access),
	})
	decode := func(raw []byte) (askara.Document, error) { return askara.DecodeDocument(raw, askara.DefaultContract()) }
	if g.store, err = store.Open(t.Context(), store.Config{Dir: filepath.Join(dir, "state"), Decode: decode}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.store.Close() })
	if g.folder, err = sink.OpenFolder(t.Context(), sink.FolderConfig{
		Path: g.inbox, LedgerID: g.store.ID(), Notebook: g.store, MaxSize: 10 << 20,
	}); err != nil {
		t.Fatal(err)
	}
	g.config = sync.Config{
		Account: "default", Source: g.client, Catalog: g.store, Queue: g.store, Requests: g.store,
		Staging: g.folder, Destination: g.folder, Overlap: 10 * time.Minute, Confirm: true, Sent: g.client.Requests,
		Logger: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return g
}

// scratch is a directory in memory where there is one: these tests are about order, not about what a disk keeps.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "askara-sync-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// pass runs one pass as a person would ask for it.
func (g *rig) pass(t *testing.T) (askara.Pass, error) {
	t.Helper()
	return sync.New(g.config).Run(t.Context(), sync.Request{Manual: true})
}

// must runs one pass that has to succeed.
func (g *rig) must(t *testing.T) askara.Pass {
	t.Helper()
	p, err := g.pass(t)
	if err != nil {
		t.Fatalf("pass: %v", err)
	}
	return p
}

// files returns the names in the watched folder.
func (g *rig) files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(g.inbox)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// once fails unless each validated document of the server is in the folder exactly once, whole, and confirmed.
func (g *rig) once(t *testing.T) {
	t.Helper()
	delivered := map[[32]byte]int{}
	for _, name := range g.files(t) {
		b, err := os.ReadFile(filepath.Join(g.inbox, name))
		if err != nil {
			t.Fatal(err)
		}
		delivered[sha256.Sum256(b)]++
	}
	want := 0
	for _, d := range g.server.Documents() {
		if d.Status != "validated" {
			continue
		}
		want++
		if n := delivered[d.SHA256]; n != 1 {
			t.Errorf("document %s is in the folder %d times", d.UUID, n)
		}
		if !d.Confirmed() {
			t.Errorf("document %s was not confirmed", d.UUID)
		}
		if len(d.Confirms) > 0 && d.Confirms[0].Downloads == 0 {
			t.Errorf("document %s was confirmed before it was downloaded", d.UUID)
		}
	}
	if got := len(g.files(t)); got != want {
		t.Errorf("%d files in the folder, want %d", got, want)
	}
}
