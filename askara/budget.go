package askara

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// BudgetConfig configures a Budget.
type BudgetConfig struct {
	// Burst, Refill and RefillEvery are the bucket as Askara documents it, used until and unless headers tell otherwise; zero
	// means 5000 requests, and 500 more every 15 minutes.
	Burst, Refill int
	RefillEvery   time.Duration
	// Reserve is how many requests are left for other software of the clinic; only a login may use them.
	Reserve int
	// Store is what all processes share.
	Store BudgetStore
	// OnWait, where it is set, is told when requests begin to wait for the bucket, when the expected end of that moves, and, by the
	// zero value, when it is over. Calls come one at a time; they hold requests up, so it returns at once and takes no request.
	OnWait func(BudgetWait)
	// Logger nil discards.
	Logger *slog.Logger
}

// BudgetWait is a wait for the bucket to fill.
type BudgetWait struct {
	// Work is the best that waits.
	Work Work
	// Until is when more is expected; zero says that the wait is over.
	Until time.Time
}

// Budget keeps requests within Askara's rate limit, so that no request is refused that the headers of earlier answers could have
// prevented, and a reserve is left. It is a Limiter, for all accounts of a process; Budgets of several processes share what is in
// the Store, where each leases requests by the chunk. It is corrected by the headers of every answer. It starts no goroutine.
type Budget struct {
	policy policy
	store  BudgetStore
	onWait func(BudgetWait)
	logger *slog.Logger
	holder string

	mu sync.Mutex
	// pool is what is leased and not used; known is what the bucket held beside it, reserve included.
	pool, known int
	floors      [WorkBackfill + 1]int
	leasedUntil time.Time
	// stale: an answer told what the state has to know before anything else is sent.
	stale  bool
	flight flight
	// limit is the one that the flight measures, 0 while none is known.
	limit int
	// granted is all that this process was ever granted; others is the same of all other processes, as last read.
	granted, others int64
	answers         int // since the beginning, as far as they matter for growing chunks
	news            news
	// probeAt is how many requests had been sent when this process was granted a probe; -1 without one.
	probeAt int64

	queue   [WorkBackfill + 1][]*waiter
	syncing bool
	// askAt is when asking the store again may help work from askFor on; waiting is what OnWait is to know.
	askAt  time.Time
	askFor Work
	// expected is when more is expected, where nothing was got.
	expected time.Time
	waiting  BudgetWait

	toldMu sync.Mutex
	told   BudgetWait
}

var _ Limiter = (*Budget)(nil)

// NewBudget returns a Budget. It touches nothing until it is used.
func NewBudget(config BudgetConfig) *Budget {
	p := policy{burst: config.Burst, refill: config.Refill, every: config.RefillEvery, reserve: max(config.Reserve, 0)}
	if p.burst <= 0 {
		p.burst = 5000
	}
	if p.refill <= 0 {
		p.refill = 500
	}
	if p.every <= 0 {
		p.every = 15 * time.Minute
	}
	logger := config.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Budget{policy: p, store: config.Store, onWait: config.OnWait, logger: logger, holder: rand.Text(), probeAt: -1}
}

// Take blocks until a request for work of kind w may be sent, or until ctx, or the stop that ctx carries, ends: then it returns that
// context's error at once. An error of the store is returned as it is, wrapped. While requests are scarce, better work goes first,
// and among equals who came first.
func (b *Budget) Take(ctx context.Context, w Work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w = min(max(w, WorkLogin), WorkBackfill)
	now := wallClock()
	b.mu.Lock()
	if h := b.head(); (h == nil || h.work > w) && b.usable(w, now) {
		b.use(now)
		b.mu.Unlock()
		return nil
	}
	b.mu.Unlock()
	return b.wait(ctx, w)
}

// Answered learns from an answer. It does not block, whatever the store does.
func (b *Budget) Answered(status int, h http.Header) {
	now := wallClock()
	rate := parseRate(h, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = min(b.answers+1, maxChunk)
	switch main := b.main(rate, now); {
	case main:
		b.flight.answer(rate.remaining, now)
		b.news.header, b.news.reset, b.news.bare = true, rate.reset, 0
		if most := rate.remaining - b.pool; most < b.known {
			b.stale = b.stale || b.known-most > max(8, b.known/20)
			b.known = most
		}
	case rate.ok:
		b.flight.answer(-1, now)
		b.news.seen++
		b.news.other(BudgetLimit{Limit: rate.limit, Remaining: rate.remaining, ResetsAt: rate.reset, SeenAt: now})
		b.stale = b.stale || rate.remaining <= rate.limit/10+b.pool
	default:
		b.flight.answer(-1, now)
		if status != 0 {
			b.news.bare++
		}
	}
	if status == http.StatusTooManyRequests {
		b.refused(h, now)
	}
	if h := b.head(); h != nil && b.promising() {
		b.askAt = time.Time{}
		h.poke()
	}
}

// promising says that asking the store may help those who wait: a probe was answered, or there is more than was known.
func (b *Budget) promising() bool {
	m := b.flight.measure()
	return b.stale || b.probeAt >= 0 || m.hasLeast && m.least-(b.others-m.base) > int64(b.known+b.pool)
}

// main says whether headers speak of the main limit: the largest that is seen.
func (b *Budget) main(r rateHeaders, now time.Time) bool {
	if r.ok && r.limit > b.limit {
		b.limit = r.limit
		b.flight.restart(now)
		b.known = min(b.known, r.limit)
	}
	return r.ok && r.limit == b.limit
}

// refused takes note of a refusal; nothing is sent before the state knows of it.
func (b *Budget) refused(h http.Header, now time.Time) {
	b.stale, b.news.refused = true, true
	if wait, ok := parseRetryAfter(h, now); ok {
		b.news.asked = true
		b.news.retryAfter = max(b.news.retryAfter, wait)
	}
}

// usable says whether work of kind w may take from the pool. The pool is the top of what the bucket holds, so it may be out of
// bounds for work that has to leave more.
func (b *Budget) usable(w Work, now time.Time) bool {
	return b.pool > 0 && !b.stale && b.known+b.pool > b.floors[w] && now.Before(b.leasedUntil)
}

// use takes one request from the pool.
func (b *Budget) use(now time.Time) {
	b.pool--
	b.flight.send(now)
}

// sync reports to the store and asks for requests for work of kind w, most at most; most 0 asks for none. It is called with b.mu
// held and returns with it held; meanwhile it is not.
func (b *Budget) sync(ctx context.Context, w Work, most int) (grant, error) {
	b.syncing = true
	r := report{holder: b.holder, granted: b.granted, unsent: b.pool, open: b.flight.open(), measure: b.flight.measure(),
		limit: b.limit, news: b.news, probed: b.probeAt >= 0 && b.flight.answered > b.probeAt}
	// What was posted is not posted again. Should the store fail it is, but the pool is not used again: the store may have
	// failed after it took the pool back.
	b.pool, b.news, b.stale = 0, news{}, false
	fresh := b.flight.fresh
	b.flight.fresh = false
	b.mu.Unlock()

	var g grant
	var after BudgetState
	var refused bool
	err := b.store.UpdateBudget(ctx, func(s *BudgetState) error {
		now, before := wallClock(), s.BlockedUntil
		g = grant{}
		b.policy.open(s, now)
		b.policy.settle(s, r, now)
		if most > 0 {
			g = b.policy.take(s, demand{holder: b.holder, work: w, most: most}, now)
		}
		refused = r.news.refused && !s.BlockedUntil.Equal(before)
		after = s.clone()
		return nil
	})

	b.mu.Lock()
	b.syncing = false
	if err != nil {
		later := b.news
		b.news = r.news
		b.news.merge(later)
		b.flight.fresh = b.flight.fresh || fresh
		b.stale = true
		return grant{}, fmt.Errorf("update budget: %w", err)
	}
	if refused {
		b.logger.Warn("refused by the rate limit", "until", after.BlockedUntil, "in_a_row", after.Refusals)
	}
	b.adopt(&after, g, r)
	return g, nil
}

// adopt takes over the state after a sync.
func (b *Budget) adopt(s *BudgetState, g grant, r report) {
	b.granted += int64(g.n)
	b.pool, b.known = g.n, s.Remaining
	b.leasedUntil = wallClock().Add(leaseTime)
	if l := s.lease(b.holder); l != nil {
		b.leasedUntil = l.ExpiresAt
	}
	b.others = s.Granted - b.granted
	b.flight.base = b.others - s.outstanding(b.holder)
	for w := range b.floors {
		b.floors[w] = b.policy.floor(s, Work(w))
	}
	if r.probed {
		b.probeAt = -1
	}
	if s.Probe.Holder == b.holder && g.n > 0 {
		b.probeAt = b.flight.sent
		b.floors = [WorkBackfill + 1]int{} // a probe may always be sent
	}
	if !s.HeaderAt.IsZero() && s.Limit != b.limit {
		b.limit = s.Limit
		b.flight.restart(wallClock())
	}
}

// errUnchanged makes a store keep the state as it was.
var errUnchanged = errors.New("budget unchanged")

// State returns what is known of the bucket at present.
func (b *Budget) State(ctx context.Context) (BudgetState, error) {
	var out BudgetState
	err := b.store.UpdateBudget(ctx, func(s *BudgetState) error {
		out = s.clone()
		b.policy.open(&out, wallClock())
		return errUnchanged
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return BudgetState{}, fmt.Errorf("read budget: %w", err)
	}
	return out, nil
}

// Return gives back what is leased and was not sent, for other processes, and keeps what the last answers told. It is for the end of a
// process, or of a Budget; without it both come right by later headers only.
func (b *Budget) Return(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.syncing || b.granted == 0 {
		return nil
	}
	_, err := b.sync(ctx, WorkBackfill, 0)
	if h := b.head(); h != nil {
		h.poke()
	}
	return err
}

// Estimate returns how long so many requests take at Askara's limit, from what is known at present.
func (b *Budget) Estimate(ctx context.Context, requests int) (time.Duration, error) {
	s, err := b.State(ctx)
	if err != nil {
		return 0, err
	}
	return b.policy.estimate(&s, requests), nil
}

// wallClock is now without its monotonic part: leases are compared with what other processes wrote, and a suspended machine's
// leases expire.
func wallClock() time.Time { return time.Now().Round(0) }
