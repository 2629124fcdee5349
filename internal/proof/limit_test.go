package proof_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/sink"
	"askara-sync/store"
	"askara-sync/sync"
)

// TestLimit takes a backfill through Askara's documented request limit: two accounts, two processes that share one ledger and
// stop and start all the time, with and without giving back what they had leased. Hours pass in seconds.
func TestLimit(t *testing.T) {
	for name, drops := range map[string]bool{"in steps": false, "drop by drop": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { limit(t, count(0, 1_000, 12_000), drops) })
		})
	}
}

const (
	limitReserve = 50
	limitEvery   = 15 * time.Minute
)

func limit(t *testing.T, documents int, drops bool) {
	// The short version has a bucket in proportion, so that it too lives on refills.
	burst, refill := 5000*documents/12_000, 500*documents/12_000
	server := sandbox.New(sandbox.Config{
		Burst: burst, Refill: refill, RefillEvery: limitEvery, DropByDrop: drops, AccessTTL: 365 * 24 * time.Hour,
	})
	begin := time.Now()
	people := []string{"", "paris"}
	for _, person := range people {
		server.AddHistory(documents/2, begin.Add(-300*24*time.Hour), begin.Add(-48*time.Hour), sandbox.Document{Size: 2048, Person: person})
	}
	dir, err := os.MkdirTemp("/dev/shm", "askara-sync-limit-")
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)

	rng := rand.New(rand.NewPCG(1, 2))
	starts := 0
	for done := false; !done; starts++ {
		if starts > 500 {
			t.Fatal("no end in sight")
		}
		// Each process has both accounts, and each account is in both in turn.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute+time.Duration(rng.Int64N(int64(3*time.Hour))))
		gentle := rng.IntN(2) == 0
		finished := make([]bool, len(people))
		var group errgroup.Group
		for i, person := range people {
			group.Go(func() error {
				p, err := startProcess(t, server, dir, burst, refill)
				if err != nil {
					return err
				}
				defer p.stop(gentle)
				err = p.pass(ctx, person)
				finished[i] = err == nil
				if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
					return nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		cancel()
		done = finished[0] && finished[1]
	}

	took := time.Since(begin)
	stats := server.Stats()
	refused := 0
	for _, n := range stats.Limited {
		refused += n
	}
	confirmed := 0
	for _, d := range server.Documents() {
		if d.Confirmed() && d.Requests == 1 {
			confirmed++
		}
	}
	usable := burst - limitReserve
	steps := (stats.Total - usable + refill - 1) / refill
	least := time.Duration(steps) * limitEvery
	if drops {
		least = time.Duration(float64(stats.Total-usable) / float64(refill) * float64(limitEvery))
	}
	had := float64(usable) + float64(took)/float64(limitEvery)*float64(refill)
	if !drops {
		had = float64(usable + int(took/limitEvery)*refill)
	}
	used := float64(stats.Total) / had
	ratio := float64(took) / float64(least)
	t.Logf("figures: %d documents, %d requests, %d starts, %s, %.4f of the least time, %.2f %% of the budget used, %d refused",
		documents, stats.Total, starts, took.Round(time.Second), ratio, used*100, refused)
	if refused != 0 {
		t.Errorf("%d requests were refused", refused)
	}
	if confirmed != documents {
		t.Errorf("%d of %d documents were downloaded once and confirmed", confirmed, documents)
	}
	if ratio > 1.02 {
		t.Errorf("it took %.4f of the least time", ratio)
	}
	// The last refill is only used as far as there was something left to do.
	if left := float64(refill) / had; used < 0.99-left {
		t.Errorf("%.2f %% of the budget was used", used*100)
	}
}

// process is what a process of the program holds: its own handle on the ledger, and its own budget.
type process struct {
	server *sandbox.Server
	store  *store.Store
	budget *askara.Budget
	dir    string
}

func startProcess(t *testing.T, server *sandbox.Server, dir string, burst, refill int) (*process, error) {
	decode := func(raw []byte) (askara.Document, error) { return askara.DecodeDocument(raw, askara.DefaultContract()) }
	s, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(dir, "state"), Decode: decode})
	if err != nil {
		return nil, err
	}
	b := askara.NewBudget(askara.BudgetConfig{Burst: burst, Refill: refill, RefillEvery: limitEvery, Reserve: limitReserve, Store: s})
	return &process{server: server, store: s, budget: b, dir: dir}, nil
}

// stop ends the process; a rude one keeps what it has leased, as one that is killed does.
func (p *process) stop(gentle bool) {
	if gentle {
		_ = p.budget.Return(context.Background())
	}
	_ = p.store.Close()
}

// pass runs one pass of the person's account.
func (p *process) pass(ctx context.Context, person string) error {
	name := "account" + person
	access, _ := p.server.Login(person)
	client := askara.NewClient(askara.Config{
		BaseURL: &url.URL{Scheme: "https", Host: "api.askara.example"}, Contract: askara.DefaultContract(),
		Transport: p.server.RoundTripper(), Tokens: granted(access), Limiter: p.budget,
	})
	folder, err := sink.OpenFolder(ctx, sink.FolderConfig{
		Path: filepath.Join(p.dir, name), LedgerID: p.store.ID(), Notebook: p.store, MaxSize: 1 << 20,
	})
	if err != nil {
		return err
	}
	unlock, err := p.store.LockPass(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	_, err = sync.New(sync.Config{
		Account: name, Source: client, Catalog: p.store, Queue: p.store, Requests: p.store, Staging: folder, Destination: folder,
		Overlap: 10 * time.Minute, Confirm: true, Logger: slog.New(slog.DiscardHandler),
	}).Run(ctx, sync.Request{Manual: true})
	return err
}

// granted is a token that needs no refresh.
type granted askara.Secret

func (g granted) Token(context.Context) (askara.Secret, error) { return askara.Secret(g), nil }
func (g granted) Renew(context.Context, askara.Secret) (askara.Secret, error) {
	return askara.Secret(g), nil
}
