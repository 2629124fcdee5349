package askara_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

func newBudget(store askara.BudgetStore, waits func(askara.BudgetWait)) *askara.Budget {
	return askara.NewBudget(askara.BudgetConfig{Burst: 5000, Refill: 500, RefillEvery: 15 * time.Minute, Reserve: 50, Store: store, OnWait: waits})
}

// answer is an accepted answer's header in the dialect that the bucket documents.
func answer(limit, remaining int) http.Header {
	h := http.Header{}
	rateHeader(h, limit, remaining, time.Now())
	return h
}

// drain takes and answers requests of kind w until one would have to wait; it returns how many there were.
func drain(t *testing.T, b *askara.Budget, k *bucket, w askara.Work) int {
	t.Helper()
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		err := b.Take(ctx, w)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Answered(k.serve())
	}
}

func TestReserveIsForLoginsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newBucket(1000, 500, 15*time.Minute, 0), &memory{}
		b := newBudget(store, nil)
		backfill := drain(t, b, k, askara.WorkBackfill)
		fresh := drain(t, b, k, askara.WorkList)
		if fresh == 0 {
			t.Errorf("the backfill left nothing to fresh documents")
		}
		if k.lowest < 50 || backfill+fresh < 940 {
			t.Errorf("took %d and %d, down to %d; want all but the reserve of 50", backfill, fresh, k.lowest)
		}
		if login := drain(t, b, k, askara.WorkLogin); login < 50 || k.lowest != 0 || k.refused != 0 {
			t.Errorf("a login got %d, down to %d, %d refused; want all that is left and no refusal", login, k.lowest, k.refused)
		}
	})
}

func TestHeadersCorrectDownAndUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newBucket(5000, 500, 15*time.Minute, 0), &memory{}
		k.take(4800)
		b := newBudget(store, nil)
		if n := drain(t, b, k, askara.WorkDownload); k.lowest < 50 || k.refused != 0 || n < 140 {
			t.Fatalf("%d requests, down to %d, %d refused; want about 145 and none refused", n, k.lowest, k.refused)
		}
		k.mu.Lock()
		k.level = 3000 // Askara was generous: the next answer, a login's, says so
		k.mu.Unlock()
		must(t, b, askara.WorkLogin)
		b.Answered(k.serve())
		if n := drain(t, b, k, askara.WorkDownload); n < 2900 || k.refused != 0 {
			t.Fatalf("%d requests after the bucket was filled, %d refused; want some 2945", n, k.refused)
		}
	})
}

// An answer that was overtaken by others tells an old remainder.
func TestOldAnswerDoesNotRaise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		b := newBudget(store, nil)
		must(t, b, askara.WorkList) // its answer will be late
		b.Answered(200, answer(5000, 300))
		must(t, b, askara.WorkList)
		late := answer(5000, 299)
		for remaining := 298; remaining > 70; remaining-- {
			must(t, b, askara.WorkDownload)
			b.Answered(200, answer(5000, remaining))
		}
		b.Answered(200, late)
		state, err := b.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			err := b.Take(ctx, askara.WorkDownload)
			cancel()
			if err != nil {
				break
			}
			if taken++; taken > 30 {
				t.Fatalf("an old answer raised the budget: state %+v", state)
			}
		}
		if taken < 10 {
			t.Errorf("took %d of the 20 above the reserve", taken)
		}
	})
}

func TestBetterWorkFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newBucket(1000, 500, 15*time.Minute, 0), &memory{}
		b := newBudget(store, nil)
		drain(t, b, k, askara.WorkConfirm)

		type turn struct {
			work askara.Work
			n    int
		}
		var mu sync.Mutex
		var got []turn
		var all sync.WaitGroup
		for n := range 3 {
			for _, w := range []askara.Work{askara.WorkBackfill, askara.WorkDownload, askara.WorkList, askara.WorkConfirm} {
				all.Go(func() {
					if err := b.Take(t.Context(), w); err != nil {
						t.Error(err)
					}
					mu.Lock()
					got = append(got, turn{w, n})
					mu.Unlock()
					b.Answered(k.serve())
				})
				synctest.Wait()
			}
		}
		all.Wait()
		if !slices.IsSortedFunc(got, func(a, b turn) int {
			if a.work != b.work {
				return int(a.work - b.work)
			}
			return a.n - b.n
		}) || len(got) != 12 {
			t.Errorf("turns %v, want the best work first, and the first come first", got)
		}
	})
}

func TestWaitEndsWithContextAndWithStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newBucket(1000, 500, 15*time.Minute, 0), &memory{}
		b := newBudget(store, nil)
		drain(t, b, k, askara.WorkDownload)
		start := time.Now()

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := b.Take(ctx, askara.WorkDownload); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("Take returned %v after %v, want the context's error at once", err, time.Since(start))
		}
		stop, end := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, end)
		if err := b.Take(askara.WithStop(t.Context(), stop), askara.WorkDownload); !errors.Is(err, context.Canceled) ||
			time.Since(start) != 2*time.Second {
			t.Errorf("Take returned %v after %v, want the stop to end it at once", err, time.Since(start))
		}
		if err := b.Take(ctx, askara.WorkLogin); !errors.Is(err, context.Canceled) {
			t.Errorf("Take under an ended context returned %v", err)
		}
	})
}

func TestWaitIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newBucket(1000, 500, 15*time.Minute, 0), &memory{}
		var told []askara.BudgetWait
		b := newBudget(store, func(w askara.BudgetWait) { told = append(told, w) })
		drain(t, b, k, askara.WorkDownload)
		told = nil
		start := time.Now()
		if err := b.Take(t.Context(), askara.WorkDownload); err != nil {
			t.Fatal(err)
		}
		b.Answered(k.serve())
		if len(told) < 2 {
			t.Fatalf("told %v, want a beginning and an end", told)
		}
		first, last := told[0], told[len(told)-1]
		if first.Work != askara.WorkDownload || !first.Until.After(start) || first.Until.After(start.Add(16*time.Minute)) {
			t.Errorf("the beginning was told as %+v", first)
		}
		if last != (askara.BudgetWait{}) {
			t.Errorf("the last word was %+v, want that it is over", last)
		}
		if state := store.state(t); state.Limit != 1000 {
			t.Errorf("the state's limit is %d, want the header's 1000", state.Limit)
		}
	})
}

// Other software of the clinic draws on the same bucket, at random and in gulps.
func TestOthersDraw(t *testing.T) {
	for _, drops := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k := newBucket(5000, 500, 15*time.Minute, 0)
			k.drops = drops
			r, store := newRoad(k, 3), &memory{}
			rnd := rand.New(rand.NewPCG(5, 5))
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Hour)
			defer cancel()
			var all sync.WaitGroup
			all.Go(func() {
				for ctx.Err() == nil {
					k.take(rnd.IntN(8))
					time.Sleep(time.Duration(rnd.IntN(60)) * time.Second)
				}
			})
			begin := time.Now()
			for range 2 {
				b := newBudget(store, nil)
				for range 4 {
					all.Go(func() {
						for {
							if _, err := r.request(ctx, b, askara.WorkDownload); err != nil {
								return
							}
						}
					})
				}
			}
			all.Wait()
			k.fill()
			t.Logf("drops %v: %d served beside others' %d, %d left, %d refused, lowest %d, in %v", drops, k.served, k.drawn, int(k.level), k.refused, k.lowest, time.Since(begin))
			if k.refused != 0 {
				t.Errorf("%d requests were refused", k.refused)
			}
			if k.level > 600 { // what came since the last refill, and the reserve
				t.Errorf("%v requests were left", k.level)
			}
			if k.overflowed != 0 {
				t.Errorf("%v requests were never used: the bucket was full", k.overflowed)
			}
		})
	}
}

func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{fail: errors.New("disk full")}
		b := newBudget(store, nil)
		if err := b.Take(t.Context(), askara.WorkList); !errors.Is(err, store.fail) {
			t.Fatalf("Take returned %v, want the store's error", err)
		}
		store.fail = nil
		must(t, b, askara.WorkList)
	})
}

func TestReturnGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		b := newBudget(store, nil)
		for range 100 {
			must(t, b, askara.WorkList)
			b.Answered(200, nil) // without headers nothing else would bring it back
		}
		if err := b.Return(t.Context()); err != nil {
			t.Fatal(err)
		}
		if state := store.state(t); state.Remaining != 4900 || state.Granted != state.Settled {
			t.Errorf("after 100 of 5000 requests the state is %+v", state)
		}
	})
}

// Between two leases neither a Take nor its answer allocates anything.
func TestTakeAllocatesNothing(t *testing.T) {
	store := &memory{}
	b, h := newBudget(store, nil), answer(5000, 4990)
	request := func() {
		if err := b.Take(t.Context(), askara.WorkDownload); err != nil {
			t.Fatal(err)
		}
		b.Answered(200, h)
	}
	for range 300 { // until leases are large
		request()
	}
	for leases := store.updates; store.updates == leases; {
		request()
	}
	leases := store.updates
	if allocs := testing.AllocsPerRun(100, request); allocs != 0 || store.updates != leases {
		t.Errorf("%v allocations, %d leases", allocs, store.updates-leases)
	}
}

func BenchmarkTake(b *testing.B) {
	budget := askara.NewBudget(askara.BudgetConfig{Burst: 1 << 30, Store: &memory{}})
	b.ReportAllocs()
	for b.Loop() {
		if err := budget.Take(b.Context(), askara.WorkDownload); err != nil {
			b.Fatal(err)
		}
		budget.Answered(0, nil)
	}
}

func BenchmarkTakeAndAnswered(b *testing.B) {
	budget, h := newBudget(&memory{}, nil), answer(5000, 4990)
	b.ReportAllocs()
	for b.Loop() {
		if err := budget.Take(b.Context(), askara.WorkDownload); err != nil {
			b.Fatal(err)
		}
		budget.Answered(200, h)
	}
}
