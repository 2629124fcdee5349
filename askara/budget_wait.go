package askara

import (
	"context"
	"slices"
	"time"
)

// waiter is a Take that waits. The head of the queue, the first of the best work, asks the store for all; the others sleep until
// they are the head.
type waiter struct {
	work Work
	wake chan struct{}
}

// poke wakes the waiter if it sleeps.
func (w *waiter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

const (
	// minSpin is the least time between two questions to the store that got nothing.
	minSpin = 50 * time.Millisecond
	// minNotice is the shortest wait that OnWait is told of.
	minNotice = 2 * time.Second
)

// head returns who is first in the queue, nil when it is empty.
func (b *Budget) head() *waiter {
	for i := range b.queue {
		if len(b.queue[i]) > 0 {
			return b.queue[i][0]
		}
	}
	return nil
}

// wait is Take's slow part.
func (b *Budget) wait(ctx context.Context, w Work) error {
	ctx, cancel := Waiting(ctx)
	defer cancel()
	b.mu.Lock()
	me := &waiter{work: w, wake: make(chan struct{}, 1)}
	b.queue[w] = append(b.queue[w], me)
	err := b.takeTurn(ctx, me)
	b.queue[w] = slices.DeleteFunc(b.queue[w], func(o *waiter) bool { return o == me })
	h := b.head()
	if h == nil || err == nil {
		b.waiting = BudgetWait{}
	}
	if h != nil {
		h.poke()
	}
	b.mu.Unlock()
	b.notify()
	return err
}

// takeTurn returns nil when me has taken its request. It is called and returns with b.mu held.
func (b *Budget) takeTurn(ctx context.Context, me *waiter) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		now := wallClock()
		var until time.Time
		switch {
		case b.head() != me || b.syncing:
		case b.usable(me.work, now):
			b.use(now)
			return nil
		case now.Before(b.askAt) && me.work >= b.askFor:
			until = b.askAt
			if b.expected.Sub(now) >= minNotice {
				b.waiting = BudgetWait{Work: me.work, Until: b.expected}
			}
		default:
			if err := b.ask(ctx, me.work); err != nil {
				return err
			}
			continue
		}
		b.mu.Unlock()
		b.notify()
		err := sleepUntil(ctx, me.wake, until, now)
		b.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// ask asks the store for work of kind w and notes when to ask again if it gives nothing.
func (b *Budget) ask(ctx context.Context, w Work) error {
	b.askAt, b.askFor = time.Time{}, w
	before := b.flight.answered
	g, err := b.sync(ctx, w, min(1+b.answers, maxChunk))
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	now := wallClock()
	if g.n == 0 {
		if b.flight.answered == before { // otherwise what came meanwhile may have changed everything
			b.askAt = later(g.at, now.Add(minSpin))
		}
		b.expected = g.expected
	}
	if h := b.head(); h != nil && h.work < w {
		h.poke()
	}
	return nil
}

// sleepUntil waits for a wake, for until unless it is zero, or for the end of ctx, whose error it returns.
func sleepUntil(ctx context.Context, wake <-chan struct{}, until, now time.Time) error {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(until.Sub(now))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-due:
	}
	return nil
}

// notify tells OnWait what it has not been told yet.
func (b *Budget) notify() {
	if b.onWait == nil {
		return
	}
	b.toldMu.Lock()
	defer b.toldMu.Unlock()
	b.mu.Lock()
	waiting := b.waiting
	b.mu.Unlock()
	moved := waiting.Until.Sub(b.told.Until).Abs()
	if waiting.Work == b.told.Work && moved < time.Second {
		return
	}
	b.told = waiting
	b.onWait(waiting)
}
