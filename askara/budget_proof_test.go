package askara_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// What the proof counts for 12,000 documents: two requests each, and one for each 100 listed.
const (
	proofDocuments = 12_000
	proofRequests  = 2*proofDocuments + proofDocuments/100
	proofReserve   = 50
)

// process runs accounts in one Budget until the work is done or it is killed.
type process struct {
	budget *askara.Budget
	kill   context.CancelFunc
	done   sync.WaitGroup
}

// work is what is left to request, shared by all workers.
type work struct{ left, refused atomic.Int64 }

// next returns the kind of the next request, false when all are made.
func (w *work) next() (askara.Work, bool) {
	n := w.left.Load()
	for ; n > 0 && !w.left.CompareAndSwap(n, n-1); n = w.left.Load() {
	}
	switch {
	case n <= 0:
		return 0, false
	case n%201 == 0:
		return askara.WorkList, true
	case n%2 == 0:
		return askara.WorkConfirm, true
	default:
		return askara.WorkDownload, true
	}
}

// startProcess starts a process of two accounts with two workers each. A killed process neither gives back nor hears any answer.
func startProcess(ctx context.Context, store askara.BudgetStore, r *road, w *work) *process {
	ctx, cancel := context.WithCancel(ctx)
	p := &process{kill: cancel}
	p.budget = askara.NewBudget(askara.BudgetConfig{Burst: 5000, Refill: 500, RefillEvery: 15 * time.Minute, Reserve: proofReserve, Store: store})
	for range 4 {
		p.done.Go(func() {
			for ctx.Err() == nil {
				kind, ok := w.next()
				if !ok {
					return
				}
				if err := p.budget.Take(ctx, kind); err != nil {
					w.left.Add(1)
					return
				}
				there, _ := r.delay()
				time.Sleep(there)
				status, h := r.serve()
				back, _ := r.delay()
				time.Sleep(back)
				if status != 200 {
					w.refused.Add(1)
					w.left.Add(1)
				}
				if ctx.Err() == nil {
					p.budget.Answered(status, h)
				}
			}
		})
	}
	return p
}

// TestProofBackfill: the documented bucket, two processes, two accounts each, killed and started again all the time.
func TestProofBackfill(t *testing.T) {
	for _, test := range []struct {
		name  string
		drops bool
		ago   time.Duration // since the bucket's last refill
	}{
		{"steps", false, 0},
		{"steps just after a refill", false, 15*time.Minute - 3*time.Minute},
		{"steps just before a refill", false, 15*time.Minute - time.Minute},
		{"drops", true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newBucket(5000, 500, 15*time.Minute, test.ago)
				k.drops = test.drops
				r, store := newRoad(k, 7), &memory{}
				w := &work{}
				w.left.Store(proofRequests)
				began := time.Now()

				rnd := rand.New(rand.NewPCG(11, 11))
				kills := 0
				ps := []*process{startProcess(t.Context(), store, r, w), startProcess(t.Context(), store, r, w)}
				for w.left.Load() > 0 {
					time.Sleep(time.Duration(20+rnd.IntN(40)) * time.Minute)
					i := rnd.IntN(2)
					ps[i].kill()
					ps[i].done.Wait()
					kills++
					time.Sleep(time.Duration(rnd.IntN(60)) * time.Second)
					ps[i] = startProcess(t.Context(), store, r, w)
				}
				for _, p := range ps {
					p.done.Wait()
				}
				report(t, k, w, store, began, kills)
			})
		})
	}
}

// report checks the promises and prints the figures.
func report(t *testing.T, k *bucket, w *work, store *memory, began time.Time, kills int) {
	t.Helper()
	took := k.servedAt.Sub(began)
	least := k.least(began, proofRequests+proofReserve)
	used := 1 - (k.spare-proofReserve+k.overflowed)/(float64(k.limit)+k.granted)
	t.Logf("%d requests, %d refused, %d kills, %d transactions; lowest remainder %d; %v of at least %v: %.4f; %.2f %% of the budget used",
		k.served, k.refused, kills, store.updates, k.lowest, took.Round(time.Second), least, took.Seconds()/least.Seconds(), 100*used)
	if k.served != proofRequests || w.left.Load() != 0 {
		t.Errorf("served %d requests, want %d", k.served, proofRequests)
	}
	if k.refused != 0 || w.refused.Load() != 0 {
		t.Errorf("%d requests were refused, want none", k.refused)
	}
	if k.lowest < proofReserve {
		t.Errorf("the bucket fell to %d, want at least the reserve of %d", k.lowest, proofReserve)
	}
	if took.Seconds() > 1.02*least.Seconds() {
		t.Errorf("took %v, want at most 1.02 of %v", took, least)
	}
	if used < 0.99 {
		t.Errorf("used %.4f of the budget, want at least 0.99", used)
	}
	if kills < 5 {
		t.Errorf("only %d kills: the proof did not prove much", kills)
	}
	if most := proofRequests / 4; store.updates > most && !k.drops || store.updates > proofRequests {
		t.Errorf("%d transactions for %d requests", store.updates, proofRequests)
	}
}

// least is how long it takes at least until a bucket that was full when it began has given n requests.
func (k *bucket) least(began time.Time, n int) time.Duration {
	if k.drops {
		return time.Duration(n-k.limit) * (k.every / time.Duration(k.refill))
	}
	refills := (n - k.limit + k.refill - 1) / k.refill
	return k.first.Sub(began) + time.Duration(refills-1)*k.every
}
