package sync

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"askara-sync/askara"
)

const (
	// look is how often a waiting loop looks at the clock: timers stand still while a machine sleeps, and clocks get set.
	look = 30 * time.Second
	// rest is the longest that failing passes are put off; with the schedule's own interval it bounds how late a recovery is seen.
	rest = 15 * time.Minute
)

// LoopConfig is what a Loop needs. Fields without a stated zero value are required.
type LoopConfig struct {
	// Next returns when the next pass is due, strictly after the given time.
	Next func(after time.Time) time.Time
	// Jitter is how much later than scheduled a pass may start, so that many clinics do not ask at the same second.
	Jitter time.Duration
	// Pass runs one pass over every account. Its error only decides how long to rest.
	Pass func(ctx context.Context) error
	// Keep looks after the logins between passes and returns when it wants to be called again; nil, or a zero time: with the
	// next pass.
	Keep func(ctx context.Context) time.Time
	// Waiting is told when the next pass begins; nil tells nobody.
	Waiting func(next time.Time)
	// Pulse is told that waiting is in order.
	Pulse *Pulse
}

// Loop runs passes one at a time: one at the start, then by schedule. Ticks that come while a pass runs, or while the machine
// sleeps, are one pass and not several.
type Loop struct {
	LoopConfig
	wake chan struct{}
	next atomic.Int64 // unix milliseconds; 0 while a pass runs
}

// NewLoop returns a Loop; Run starts it.
func NewLoop(c LoopConfig) *Loop { return &Loop{LoopConfig: c, wake: make(chan struct{}, 1)} }

// Wake begins a pass now, or right after the one that runs. It does not block.
func (l *Loop) Wake() {
	select {
	case l.wake <- struct{}{}:
	default: // one is asked for already
	}
}

// NextAt returns when the next pass begins; zero while one runs.
func (l *Loop) NextAt() time.Time {
	ms := l.next.Load()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Run blocks until ctx ends and the pass in flight has come to its end.
func (l *Loop) Run(ctx context.Context) {
	failures := 0
	for {
		l.next.Store(0)
		err := l.Pass(ctx)
		if ctx.Err() != nil {
			return
		}
		failures++
		if err == nil || askara.FaultOf(err) != askara.FaultService {
			failures = 0
		}
		if !l.wait(ctx, l.after(time.Now(), failures)) {
			return
		}
	}
}

// after returns when the pass after now is due.
func (l *Loop) after(now time.Time, failures int) time.Time {
	if failures > 0 {
		now = now.Add(min(rest, time.Minute<<min(failures, 10)))
	}
	next := l.Next(now)
	if l.Jitter > 0 {
		next = next.Add(rand.N(l.Jitter))
	}
	return next.Round(0) // wall clock: the schedule means what the clock on the wall shows
}

// wait returns true when the next pass is due, false when ctx has ended.
func (l *Loop) wait(ctx context.Context, next time.Time) bool {
	l.next.Store(next.UnixMilli())
	if l.Waiting != nil {
		l.Waiting(next)
	}
	t := time.NewTimer(0)
	defer t.Stop()
	keep := time.Time{} // due at once
	latest := time.Now().Round(0)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-l.wake:
			return true
		case <-t.C:
		}
		now := time.Now().Round(0)
		if !now.Before(next) || now.Before(latest.Add(-look)) {
			return true // it is due, or the clock was set back, by years perhaps, and nobody knows when it is
		}
		latest = later(latest, now)
		if l.Keep != nil && !now.Before(keep) {
			if keep = l.Keep(ctx).Round(0); keep.IsZero() {
				keep = next
			}
		}
		l.Pulse.Wait(now.Add(look))
		t.Reset(max(0, min(look, next.Sub(now), max(time.Second, keep.Sub(now)))))
	}
}
