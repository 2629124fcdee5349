package sandbox

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// bucket is the application's token bucket. Steps come on a grid that starts with the server.
type bucket struct {
	burst, refill int
	every         time.Duration
	drops         bool

	mu     sync.Mutex
	tokens float64
	at     time.Time // up to when refills are in tokens
}

func newBucket(burst, refill int, every time.Duration, drops bool) *bucket {
	return &bucket{burst: burst, refill: refill, every: every, drops: drops, tokens: float64(burst), at: time.Now()}
}

// reading is what the bucket says after a request.
type reading struct {
	ok        bool
	remaining int
	reset     time.Time // when there is more: the next step, or the next drop
}

// take spends n; where they are not there, nothing is spent.
func (b *bucket) take(n int, now time.Time) reading {
	b.mu.Lock()
	defer b.mu.Unlock()
	elapsed := max(now.Sub(b.at), 0)
	if b.drops {
		b.tokens = min(float64(b.burst), b.tokens+float64(b.refill)*float64(elapsed)/float64(b.every))
		b.at = b.at.Add(elapsed)
	} else if steps := elapsed / b.every; steps > 0 {
		b.tokens = min(float64(b.burst), b.tokens+float64(b.refill)*float64(steps))
		b.at = b.at.Add(steps * b.every)
	}
	r := reading{ok: b.tokens >= float64(n)}
	if r.ok {
		b.tokens -= float64(n)
	}
	r.remaining = max(int(b.tokens), 0)
	r.reset = b.at.Add(b.every)
	if b.drops {
		missing := max(float64(r.remaining+1)-b.tokens, 0)
		r.reset = b.at.Add(time.Duration(missing / float64(b.refill) * float64(b.every)))
	}
	return r
}

// SpendBudget takes n requests out of the bucket, as the clinic's other software would. Where fewer are left it takes those.
func (s *Server) SpendBudget(n int) {
	now := time.Now()
	n = min(n, s.bucket.take(0, now).remaining)
	s.bucket.take(n, now)
}

// Budget returns how many requests the bucket still holds.
func (s *Server) Budget() int { return s.bucket.take(0, time.Now()).remaining }

// admit takes one request from the bucket, sets the headers and answers 429 where there is none.
func (s *Server) admit(x *exchange) bool {
	if s.config.Burst < 0 {
		return true
	}
	now := time.Now()
	r := s.bucket.take(1, now)
	x.limitHeaders(r, s.config.Burst, now)
	if r.ok {
		return true
	}
	s.tally.refused(x.kind)
	x.retryAfter(r.reset, now)
	problem(x.w, http.StatusTooManyRequests, "Too Many Requests", "Rate limit exceeded.")
	return false
}

// seconds is the first whole second that is not before t: a client that waits until then does not come too early.
func seconds(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }

// limitHeaders tells r in the way of the dialect.
func (x *exchange) limitHeaders(r reading, limit int, now time.Time) {
	remaining, reset := r.remaining, seconds(r.reset)
	if x.c.ResetNow && r.ok {
		reset = now.Unix()
	}
	switch x.c.LimitHeaders {
	case HeadersAbsent:
		return
	case HeadersWrong: // a constant that has nothing to do with the bucket
		limit, remaining, reset = 10, 9, now.Unix()
	case HeadersGarbage:
		h := x.w.Header()
		h.Set("X-Ratelimit-Limit", "lots")
		h.Set("X-Ratelimit-Remaining", "-7")
		h.Set("X-Ratelimit-Reset", "99999999999999999999")
		return
	case HeadersOther: // a login limiter's, of which one is always left
		limit, remaining, reset = 60, 1, now.Add(time.Minute).Unix()
	}
	h := x.w.Header()
	h["X-Ratelimit-Limit"] = []string{strconv.Itoa(limit)}
	h["X-Ratelimit-Remaining"] = []string{strconv.Itoa(remaining)}
	h["X-Ratelimit-Reset"] = []string{strconv.FormatInt(reset, 10)}
}

// retryAfter sets Retry-After in the way of the dialect.
func (x *exchange) retryAfter(reset, now time.Time) {
	switch x.c.RetryAfter {
	case RetryAbsent:
	case RetrySeconds:
		x.w.Header().Set("Retry-After", strconv.FormatInt(max(int64((reset.Sub(now)+time.Second-1)/time.Second), 0), 10))
	case RetryDate:
		x.w.Header().Set("Retry-After", time.Unix(seconds(reset), 0).UTC().Format(http.TimeFormat))
	default:
		x.w.Header().Set("Retry-After", x.c.RetryAfter)
	}
}
