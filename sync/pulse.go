package sync

import (
	"sync/atomic"
	"time"
)

// Pulse tells work that progresses from work that is stuck, for the service manager's watchdog. Its methods are safe for
// concurrent use and never block.
type Pulse struct {
	last  atomic.Int64 // unix nanoseconds of the last progress
	until atomic.Int64 // unix nanoseconds until which waiting is in order
}

// NewPulse returns a Pulse that has just beaten.
func NewPulse() *Pulse {
	p := &Pulse{}
	p.Beat()
	return p
}

// Beat says that something was done.
func (p *Pulse) Beat() { p.last.Store(time.Now().UnixNano()) }

// Wait says that nothing will be done until t, and that this is in order: the budget is spent, or the next pass is not due.
func (p *Pulse) Wait(t time.Time) {
	p.Beat()
	p.until.Store(t.UnixNano())
}

// Alive says whether something was done within limit, or waiting was in order until then.
func (p *Pulse) Alive(limit time.Duration) bool {
	latest := max(p.last.Load(), p.until.Load())
	return time.Since(time.Unix(0, latest)) <= limit
}
