package askara_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"askara-sync/askara"
)

// bucket is Askara's side: a token bucket as documented, with the headers of section 4.
type bucket struct {
	mu                  sync.Mutex
	limit, refill       int
	every               time.Duration
	drops               bool
	level               float64
	at                  time.Time // of the last refill
	first               time.Time // of the one after the start
	served, refused     int
	granted, overflowed float64
	drawn               int     // by other software
	spare               float64 // what was left when the last refill came
	servedAt            time.Time
	lowest              int // of what remained after one of our requests
	header              func(h http.Header, remaining int, refill time.Time, refused bool)
}

// newBucket returns a full one whose last refill was some time ago.
func newBucket(limit, refill int, every, ago time.Duration) *bucket {
	return &bucket{limit: limit, refill: refill, every: every, level: float64(limit), at: time.Now().Add(-ago), first: time.Now().Add(every - ago), lowest: limit}
}

// fill adds what is due.
func (k *bucket) fill() {
	period := k.every
	amount := float64(k.refill)
	if k.drops {
		period, amount = k.every/time.Duration(k.refill), 1
	}
	for now := time.Now(); now.Sub(k.at) >= period; k.at = k.at.Add(period) {
		k.spare = k.level
		more := min(amount, float64(k.limit)-k.level)
		k.level += more
		k.granted += more
		k.overflowed += amount - more
	}
}

// take draws n for other software, if so many are there.
func (k *bucket) take(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fill()
	n = min(n, int(k.level))
	k.level -= float64(n)
	k.drawn += n
}

// serve handles one of our requests.
func (k *bucket) serve() (int, http.Header) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fill()
	status := http.StatusOK
	if k.level >= 1 {
		k.level--
		k.served++
		k.servedAt = time.Now()
		k.lowest = min(k.lowest, int(k.level))
	} else {
		status = http.StatusTooManyRequests
		k.refused++
	}
	h := http.Header{}
	write := k.header
	if write == nil {
		write = symfony(k.limit)
	}
	next := k.at.Add(k.every)
	if k.drops {
		next = k.at.Add(k.every / time.Duration(k.refill))
	}
	write(h, int(k.level), next, status != http.StatusOK)
	return status, h
}

// symfony writes headers as such servers do: on an accepted request the reset is now.
func symfony(limit int) func(http.Header, int, time.Time, bool) {
	return func(h http.Header, remaining int, refill time.Time, refused bool) {
		reset := time.Now()
		if refused {
			reset = refill
			h.Set("Retry-After", strconv.Itoa(int(time.Until(refill)/time.Second)+1))
		}
		rateHeader(h, limit, remaining, reset)
	}
}

func rateHeader(h http.Header, limit, remaining int, reset time.Time) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
}

// memory is a BudgetStore in memory that forgets nothing and shares nothing but bytes, as a ledger does.
type memory struct {
	mu      sync.Mutex
	raw     []byte
	updates int
	fail    error
}

func (m *memory) UpdateBudget(ctx context.Context, fn func(*askara.BudgetState) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(ctx.Err(), m.fail); err != nil {
		return err
	}
	m.updates++
	var s askara.BudgetState
	if m.raw != nil {
		if err := json.Unmarshal(m.raw, &s); err != nil {
			return err
		}
	}
	if err := fn(&s); err != nil {
		return err
	}
	var err error
	m.raw, err = json.Marshal(s)
	return err
}

// state reads what is kept.
func (m *memory) state(t *testing.T) askara.BudgetState {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var s askara.BudgetState
	if m.raw != nil {
		if err := json.Unmarshal(m.raw, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// road is the way to a server and back, on which requests overtake each other.
type road struct {
	*bucket
	mu  sync.Mutex
	rnd *rand.Rand
	// least and most are how long each half of the way takes.
	least, most time.Duration
	lose        float64 // the part of the answers that never come
}

func newRoad(k *bucket, seed uint64) *road {
	return &road{bucket: k, rnd: rand.New(rand.NewPCG(seed, 1)), least: 5 * time.Millisecond, most: 120 * time.Millisecond}
}

func (r *road) delay() (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.least + time.Duration(r.rnd.Int64N(int64(r.most-r.least))), r.rnd.Float64() < r.lose
}

// request sends one request within budget b, and reports whether it was accepted.
func (r *road) request(ctx context.Context, b *askara.Budget, w askara.Work) (int, error) {
	if err := b.Take(ctx, w); err != nil {
		return 0, err
	}
	there, lost := r.delay()
	time.Sleep(there)
	status, h := r.serve()
	back, _ := r.delay()
	time.Sleep(back)
	if lost {
		b.Answered(0, nil)
		return 0, nil
	}
	b.Answered(status, h)
	return status, nil
}

// must makes a Take that has to succeed at once in a bubble.
func must(t *testing.T, b *askara.Budget, w askara.Work) {
	t.Helper()
	start := time.Now()
	if err := b.Take(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(start); waited > 0 {
		t.Fatalf("Take(%v) waited %v", w, waited)
	}
}
