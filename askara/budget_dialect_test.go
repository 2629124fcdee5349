package askara_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// soak lets two Budgets of three workers each request all they can for a time.
func soak(t *testing.T, r *road, store askara.BudgetStore, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for range 2 {
		b := askara.NewBudget(askara.BudgetConfig{Burst: 1000, Refill: 200, RefillEvery: 15 * time.Minute, Reserve: 50, Store: store})
		for range 3 {
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
}

// Whatever a server writes into the headers of accepted requests, nothing is refused and next to nothing is left unused.
func TestHeaderDialects(t *testing.T) {
	reset := func(at func(refill time.Time) string) func(http.Header, int, time.Time, bool) {
		return func(h http.Header, remaining int, refill time.Time, refused bool) {
			rateHeader(h, 1000, remaining, refill)
			h.Set("X-RateLimit-Reset", at(refill))
		}
	}
	for _, test := range []struct {
		name   string
		header func(http.Header, int, time.Time, bool)
		lose   float64
		drops  bool
	}{
		{"reset is now", nil, 0, false},
		{"reset is the next refill", reset(func(refill time.Time) string { return strconv.FormatInt(refill.Unix(), 10) }), 0, false},
		{"reset is the next refill in milliseconds", reset(func(refill time.Time) string { return strconv.FormatInt(refill.UnixMilli(), 10) }), 0, false},
		{"reset is past", reset(func(time.Time) string { return strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10) }), 0, false},
		{"reset is negative", reset(func(time.Time) string { return "-1" }), 0, false},
		{"reset is in ten years", reset(func(time.Time) string { return strconv.FormatInt(time.Now().AddDate(10, 0, 0).Unix(), 10) }), 0, false},
		{"reset is always in five hours", reset(func(time.Time) string { return strconv.FormatInt(time.Now().Add(5*time.Hour).Unix(), 10) }), 0, false},
		{"reset is always in a minute", reset(func(time.Time) string { return strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10) }), 0, false},
		{"drops, reset is the next drop", nil, 0, true},
		{"answers get lost", nil, 0.02, false},
		{"answers get lost, drops", nil, 0.02, true},
		{"no headers", func(http.Header, int, time.Time, bool) {}, 0, false},
		{"no headers, drops", func(http.Header, int, time.Time, bool) {}, 0, true},
		{"no headers, answers get lost", func(http.Header, int, time.Time, bool) {}, 0.02, false},
		{"no reset", func(h http.Header, remaining int, _ time.Time, _ bool) {
			rateHeader(h, 1000, remaining, time.Now())
			h.Del("X-RateLimit-Reset")
		}, 0, false},
		{"the limit alone", func(h http.Header, _ int, _ time.Time, _ bool) { h.Set("X-RateLimit-Limit", "1000") }, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newBucket(1000, 200, 15*time.Minute, 0)
				k.header, k.drops = test.header, test.drops
				r := newRoad(k, 9)
				r.lose = test.lose
				soak(t, r, &memory{}, 3*time.Hour+time.Minute)
				t.Logf("served %d, %d refused, lowest %d, %v left", k.served, k.refused, k.lowest, k.level)
				if k.refused != 0 || k.lowest < 45 {
					t.Errorf("%d were refused, the bucket fell to %d; want none, and about the reserve of 50", k.refused, k.lowest)
				}
				if k.level > 300 || k.served < 3_100 {
					t.Errorf("served %d, and %v were left", k.served, k.level)
				}
			})
		})
	}
}

// The header's limit wins over the setting, be it smaller or larger.
func TestLimitHeaderWins(t *testing.T) {
	for _, limit := range []int{60, 500, 3_000} {
		synctest.Test(t, func(t *testing.T) {
			k, store := newBucket(limit, 200, 15*time.Minute, 0), &memory{}
			soak(t, newRoad(k, 4), store, 3*time.Hour+time.Minute)
			t.Logf("limit %d: served %d, lowest %d", limit, k.served, k.lowest)
			if got := store.state(t).Limit; got != limit {
				t.Errorf("limit %d: kept %d", limit, got)
			}
			if k.refused != 0 || k.level > 300 {
				t.Errorf("limit %d: %d refused, %v left", limit, k.refused, k.level)
			}
		})
	}
}

// A raised limit is used, and a lowered one obeyed, in the middle of everything.
func TestLimitChanges(t *testing.T) {
	for _, limit := range []int{500, 4_000} {
		synctest.Test(t, func(t *testing.T) {
			k, store := newBucket(1000, 200, 15*time.Minute, 0), &memory{}
			r := newRoad(k, 4)
			time.AfterFunc(10*time.Second, func() {
				k.mu.Lock()
				k.limit, k.level = limit, float64(limit)
				k.mu.Unlock()
			})
			soak(t, r, store, time.Hour)
			t.Logf("limit %d: served %d, refused %d, lowest %d, left %v", limit, k.served, k.refused, k.lowest, k.level)
			if got := store.state(t).Limit; got != limit {
				t.Errorf("limit %d: kept %d", limit, got)
			}
			if k.refused != 0 || k.level > 300 {
				t.Errorf("limit %d: %d refused, %v left", limit, k.refused, k.level)
			}
		})
	}
}

// Headers of two limits take turns: both are obeyed.
func TestTwoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newBucket(5000, 500, 15*time.Minute, 0), &memory{}
		const perMinute = 60
		var window time.Time
		left, over, turn := perMinute, 0, 0
		k.header = func(h http.Header, remaining int, refill time.Time, refused bool) {
			if w := time.Now().Truncate(time.Minute); !w.Equal(window) {
				window, left = w, perMinute
			}
			if left--; left < 0 {
				over++
			}
			if turn++; turn%2 == 0 {
				rateHeader(h, perMinute, max(left, 0), window.Add(time.Minute))
			} else {
				rateHeader(h, 5000, remaining, time.Now())
			}
		}
		soak(t, newRoad(k, 4), store, time.Hour)
		t.Logf("served %d in an hour at %d a minute, %d over it", k.served, perMinute, over)
		if over != 0 || k.served < 60*perMinute*7/10 {
			t.Errorf("served %d, %d over the second limit", k.served, over)
		}
	})
}

// Refusals for reasons of the server's own: neither frozen nor hammering.
func TestRefusals(t *testing.T) {
	for _, after := range []string{"", "0", "-1", "86400", "99999999999999999999", "soon", "30", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"} {
		for _, headers := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(&memory{}, nil)
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
				defer cancel()
				var mu sync.Mutex
				sent := 0
				last, longest := time.Now(), time.Duration(0)
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						for b.Take(ctx, askara.WorkDownload) == nil {
							mu.Lock()
							sent++
							longest = max(longest, time.Since(last))
							last = time.Now()
							mu.Unlock()
							time.Sleep(50 * time.Millisecond)
							h := http.Header{}
							if headers {
								h = answer(5000, 4000)
							}
							h.Set("Retry-After", after)
							b.Answered(http.StatusTooManyRequests, h)
						}
					})
				}
				all.Wait()
				t.Logf("Retry-After %q, headers %v: %d requests in 4 hours, longest wait %v", after, headers, sent, longest)
				if sent < 14 || sent > 40 {
					t.Errorf("Retry-After %q: sent %d requests in 4 hours of refusals", after, sent)
				}
				if longest > 15*time.Minute+time.Second {
					t.Errorf("Retry-After %q: waited %v", after, longest)
				}
			})
		}
	}
}

// What a killed process held comes back; what a suspended one held is not sent when it wakes.
func TestLeaseOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, store := newBucket(5000, 500, 15*time.Minute, 0), &memory{}
		slept := newBudget(store, nil)
		for range 300 { // until its chunks are large
			must(t, slept, askara.WorkDownload)
			slept.Answered(k.serve())
		}
		held := store.state(t).Leases[0].Outstanding // as of the last lease: some of it is sent
		if held < 20 {
			t.Fatalf("only %d held: nothing to prove", held)
		}
		other := newBudget(store, nil)
		drain(t, other, k, askara.WorkDownload)
		if left := int(k.level); left < 60 {
			t.Fatalf("%d left: another used what is leased", left)
		}
		time.Sleep(3 * time.Minute) // no refill comes in that time
		drain(t, other, k, askara.WorkDownload)
		if k.level > 56 || k.refused != 0 {
			t.Errorf("%v left, %d refused: want that what the dead one held is used", k.level, k.refused)
		}
		if n := drain(t, slept, k, askara.WorkDownload); n > 0 {
			t.Errorf("the sleeper sent %d of what it once held, down to %d", n, k.lowest)
		}
	})
}

// Real goroutines and no bubble, for the race detector.
func TestBudgetConcurrently(t *testing.T) {
	k, store := newBucket(5000, 500, 15*time.Minute, 0), &memory{}
	var all sync.WaitGroup
	for range 2 {
		b := newBudget(store, func(askara.BudgetWait) {})
		for w := range 8 {
			all.Go(func() {
				for range 200 {
					if err := b.Take(t.Context(), askara.Work(w%5)); err != nil {
						t.Error(err)
						return
					}
					b.Answered(k.serve())
				}
			})
		}
		all.Go(func() {
			for range 20 {
				if _, err := b.State(t.Context()); err != nil {
					t.Error(err)
				}
				if err := b.Return(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if k.served != 3200 || k.refused != 0 {
		t.Errorf("served %d, refused %d", k.served, k.refused)
	}
}
