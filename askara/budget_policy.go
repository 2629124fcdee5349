package askara

import (
	"time"

	"golang.org/x/time/rate"
)

// What is done with the budget is decided here: by pure functions of the state and of the time they are told.

const (
	// maxChunk is how many requests one lease holds at most: enough that a transaction is rare, few enough that a killed
	// process takes little with it.
	maxChunk = 200
	// probeMoney is kept above the reserve, beside one request that always is, while it is not known when the next refill
	// comes: to pay for looking.
	probeMoney = 4
	// sureProbes of it are not spent on looks: what was learned of the refill may be wrong, and then the first probe at a time that is
	// sure finds nothing.
	sureProbes = 2
	// dripChunk is how many drops are worth waiting for: one by one, each request would be a wait of its own.
	dripChunk = 20
	// lookDrops is how many drops must be due before looking whether the bucket fills by drops: enough to be told from chance.
	lookDrops = 10
	// precision is the part of a period to which the time of a step is worth knowing.
	precision = 256
	// tick is added to the time a refill is expected at, since clocks and roads differ.
	tick = 250 * time.Millisecond
	// firstBackoff is the wait after a refusal that does not say how long; it doubles.
	firstBackoff = 15 * time.Second
	// peek is how often a process looks whether another one's probe is answered; glance is how often it looks otherwise.
	peek   = 500 * time.Millisecond
	glance = 30 * time.Second
)

// policy is the configured model of the bucket.
type policy struct {
	burst, refill int
	every         time.Duration
	reserve       int
}

// open makes the state fit to decide upon at now: a first state, a changed setting, a clock that was set back, leases that have
// expired, and refills that only the model can tell.
func (p policy) open(s *BudgetState, now time.Time) {
	if s.Limit <= 0 {
		s.Limit, s.Remaining = p.burst, p.burst
		s.Refill = BudgetRefill{ConfirmedAt: now, Since: now, After: now.Add(-p.every), Before: now}
	}
	if s.HeaderAt.IsZero() && s.Limit != p.burst {
		s.Limit, s.Remaining = p.burst, min(s.Remaining, p.burst)
	}
	s.Remaining = min(max(s.Remaining, 0), s.Limit)
	if s.UpdatedAt.After(now.Add(clockSlack)) {
		p.setBack(s, now)
	}
	s.expire(now)
	if n := now.Sub(s.Refill.ConfirmedAt) / p.every; s.bare() && n > 0 {
		// A whole period holds one step at least, whenever it began, and as many drops.
		s.Remaining = int(min(int64(s.Remaining)+int64(n)*int64(p.refill), int64(s.Limit)))
		s.Refill.ConfirmedAt = s.Refill.ConfirmedAt.Add(n * p.every)
	}
	s.UpdatedAt = now
}

// setBack forgets all times, which a clock set back has made wrong; no wait may grow from that.
func (p policy) setBack(s *BudgetState, now time.Time) {
	if limit := now.Add(p.every); s.BlockedUntil.After(limit) {
		s.BlockedUntil = limit
	}
	for i := range s.Leases {
		if limit := now.Add(leaseTime); s.Leases[i].ExpiresAt.After(limit) {
			s.Leases[i].ExpiresAt = limit
		}
	}
	s.Others, s.Probe, s.Reset, s.RaisedAt = nil, BudgetProbe{}, time.Time{}, time.Time{}
	if !s.HeaderAt.IsZero() {
		s.HeaderAt = now
	}
	mode := s.Refill.Mode
	s.Refill = BudgetRefill{Mode: mode, ConfirmedAt: now, Since: now, After: now.Add(-p.every), Before: now}
}

// reserved is what only a login may use. A bucket that is small keeps half of it in use.
func (p policy) reserved(s *BudgetState) int { return min(p.reserve, s.Limit/2) }

// floor is what work of kind w leaves in the bucket. It never falls with w.
func (p policy) floor(s *BudgetState, w Work) int {
	if w <= WorkLogin {
		return 0
	}
	floor := p.reserved(s) + min(1, s.Limit/100)
	if _, _, width := p.window(s); s.Refill.Mode != RefillSteps || width > p.every/precision {
		floor += min(probeMoney, s.Limit/100)
	}
	if w >= WorkBackfill {
		floor += min(p.refill/10, s.Limit/100) // fresh documents find something at any time
	}
	return floor
}

// chunk is how many of free requests one of so many holders gets at once: ever fewer as they run out.
func chunk(free, holders int) int {
	if free <= 0 {
		return 0
	}
	return min(max(free/(4*holders), 1), maxChunk)
}

// demand is what a process asks of the state.
type demand struct {
	holder string
	work   Work
	most   int // how many requests at most, from 1
}

// grant is what it gets: n requests, or a time at which to ask again.
type grant struct {
	n int
	// at is when to ask again; expected is when more is expected, which may be later.
	at, expected time.Time
}

// take grants requests out of an open state.
func (p policy) take(s *BudgetState, r demand, now time.Time) grant {
	s.ResetsAt = time.Time{}
	until, sure := p.obstacle(s, r.work)
	if until.IsZero() {
		free := s.Remaining - p.floor(s, r.work)
		if r.work <= WorkLogin {
			free = max(s.Remaining-p.reserved(s), min(s.Remaining, 1)) // one at a time out of the reserve
		}
		for _, o := range s.Others {
			free = min(free, o.Remaining-p.spare(o)) // positive: no obstacle
		}
		n := min(chunk(free, s.holders(r.holder, now)), r.most)
		p.lend(s, r.holder, n, now)
		return grant{n: n}
	}
	s.ResetsAt = until
	if out := s.Probe.Until; now.Before(out) {
		if s.Probe.Holder != r.holder {
			out = earlier(out, now.Add(peek))
		}
		return grant{at: out, expected: later(until, now)}
	}
	if now.Before(until) {
		return grant{at: earlier(until, now.Add(glance)), expected: until}
	}
	s.Recount = false
	s.Probe = BudgetProbe{Holder: r.holder, Until: now.Add(probeTime), Sure: sure, ByReset: p.byReset(s, until)}
	p.lend(s, r.holder, 1, now)
	return grant{n: 1}
}

// lend moves n requests into holder's lease and renews it.
func (p policy) lend(s *BudgetState, holder string, n int, now time.Time) {
	s.Remaining = max(s.Remaining-n, 0)
	s.Granted += int64(n)
	for i := range s.Others {
		s.Others[i].Remaining = max(s.Others[i].Remaining-n, 0)
	}
	l := s.lease(holder)
	if l == nil {
		s.Leases = append(s.Leases, BudgetLease{Holder: holder})
		l = &s.Leases[len(s.Leases)-1]
	}
	l.Outstanding += n
	l.ExpiresAt = now.Add(leaseTime)
}

// obstacle returns the time before which work of kind w must not go on, and at which one probe may; zero where nothing is in its way.
// sure says that at that time there must be something, by all that is known.
func (p policy) obstacle(s *BudgetState, w Work) (until time.Time, sure bool) {
	if s.Refusals > 0 {
		return s.BlockedUntil, true
	}
	switch {
	case s.Remaining > p.floor(s, w):
	case s.Recount && !s.bare() && s.Remaining > p.reserved(s):
		until = s.UpdatedAt
	default:
		until, sure = p.next(s, w)
	}
	for _, o := range s.Others {
		if o.Remaining <= p.spare(o) {
			until = later(until, p.otherReset(o))
		}
	}
	return until, sure
}

// spare is what is left of a second limit, for requests that are under way.
func (p policy) spare(o BudgetLimit) int { return min(p.reserve, o.Limit/10) }

// otherReset is when a second limit may be tried again: when it says so, otherwise after a minute.
func (p policy) otherReset(o BudgetLimit) time.Time {
	if o.ResetsAt.After(o.SeenAt) {
		return earlier(o.ResetsAt.Add(tick), o.SeenAt.Add(p.every))
	}
	return o.SeenAt.Add(min(time.Minute, p.every))
}

// next returns when a spent bucket is worth a probe, and whether there must be something by then.
func (p policy) next(s *BudgetState, w Work) (at time.Time, sure bool) {
	f := s.Refill
	switch {
	case s.bare():
		return f.ConfirmedAt.Add(p.every), true
	case f.Mode == RefillDrops:
		return p.drip(s, w), true
	}
	at, sure = p.nextStep(s)
	if s.Reset.After(f.ConfirmedAt) && s.ResetMisses < 2 {
		reset := earlier(s.Reset.Add(tick), f.ConfirmedAt.Add(4*p.every))
		if f.Fruitless > 0 || reset.Before(at) {
			return reset, true
		}
	}
	return at, sure
}

// byReset says whether a probe at until is one that a header had named.
func (p policy) byReset(s *BudgetState, until time.Time) bool {
	return s.Refusals == 0 && !s.Reset.IsZero() && until.Equal(s.Reset.Add(tick))
}

// nextStep returns when to look for the next step. While its time is known only roughly and there is money to look, that is the
// middle of what is possible: each look halves it.
func (p policy) nextStep(s *BudgetState) (at time.Time, sure bool) {
	f := s.Refill
	after, before, width := p.window(s)
	switch f.Fruitless {
	case 0:
	case 1:
		return f.ConfirmedAt.Add(p.every / 60), true
	case 2:
		return f.ConfirmedAt.Add(p.every / 15), true
	default:
		return f.ConfirmedAt.Add(p.every), true
	}
	if width <= p.every/precision || s.Remaining <= p.reserved(s)+min(sureProbes, s.Limit/100) {
		return before.Add(min(tick, p.every/precision)), true
	}
	at = after.Add(width / 2)
	if look := f.ConfirmedAt.Add(p.dripTime(lookDrops)); f.Mode == RefillUnknown && look.Before(at) {
		at = look
	}
	if p.drawn(s, at.Sub(f.ConfirmedAt)) >= s.Remaining {
		return before.Add(min(tick, p.every/precision)), true // others may have left nothing by then
	}
	return at, false
}

// drawn is what other software may take in a time, going by what it took: twice that, to be safe.
func (p policy) drawn(s *BudgetState, d time.Duration) int {
	f := s.Refill
	if f.Drawn == 0 {
		return 0
	}
	span := max(s.UpdatedAt.Sub(f.DrawnSince), p.every/60)
	return lookDrops + int(min(2*float64(f.Drawn)*d.Seconds()/span.Seconds(), maxRateCount))
}

// window returns the time in which the first step after ConfirmedAt comes: after < step <= before.
func (p policy) window(s *BudgetState) (after, before time.Time, width time.Duration) {
	f := s.Refill
	after, before = f.After, f.Before
	// The least number of periods that takes before beyond ConfirmedAt.
	if periods := f.ConfirmedAt.Sub(before)/p.every + 1; !before.After(f.ConfirmedAt) {
		after, before = after.Add(periods*p.every), before.Add(periods*p.every)
	}
	after = later(after, f.ConfirmedAt)
	return after, before, before.Sub(after)
}

// drip is when drops enough for work of kind w will have fallen.
func (p policy) drip(s *BudgetState, w Work) time.Time {
	bucket := rate.NewLimiter(rate.Every(p.every/time.Duration(p.refill)), s.Limit)
	start := s.Refill.ConfirmedAt
	bucket.ReserveN(start, s.Limit-s.Remaining)
	want := bucket.ReserveN(start, min(p.floor(s, w)+dripChunk, s.Limit))
	if !want.OK() {
		return start.Add(p.every)
	}
	return start.Add(min(want.DelayFrom(start), p.every) + tick)
}

// dripTime is how long n drops take.
func (p policy) dripTime(n int) time.Duration {
	return min(time.Duration(n)*(p.every/time.Duration(p.refill)), p.every)
}

// refuse takes note of a refusal that was answered at now. A wait that was asked for is obeyed within bounds: at most a period of the
// refill, and longer each time that it did not help.
func (p policy) refuse(s *BudgetState, retryAfter time.Duration, asked bool, now time.Time) {
	if s.bare() {
		s.Remaining, s.Refill.ConfirmedAt = 0, now
	}
	if s.Refusals > 0 && now.Before(s.BlockedUntil) {
		if asked { // others of the same moment
			s.BlockedUntil = later(s.BlockedUntil, now.Add(min(retryAfter, p.every)))
		}
		return
	}
	s.Refusals = min(s.Refusals+1, 16)
	least := time.Second
	if s.Refusals > 1 {
		least = min(firstBackoff<<(s.Refusals-2), p.every)
	}
	wait := min(firstBackoff<<(s.Refusals-1), p.every)
	switch at, _ := p.nextStep(s); {
	case asked:
		wait = retryAfter
	case s.Reset.After(now):
		wait = s.Reset.Sub(now) + tick
	case s.Remaining == 0 && !s.bare() && at.After(now):
		wait = max(wait, at.Sub(now))
	}
	s.BlockedUntil = now.Add(min(max(wait, least), p.every))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// estimate is how long so many requests take, at least, from a state on.
func (p policy) estimate(s *BudgetState, requests int) time.Duration {
	short := requests - max(s.Remaining-p.reserved(s), 0)
	if short <= 0 {
		return 0
	}
	refills := (short + p.refill - 1) / p.refill
	return time.Duration(refills) * p.every
}
