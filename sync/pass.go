package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"askara-sync/askara"
)

// Config is what a Runner needs. Every field without a stated zero value is required.
type Config struct {
	// Account is the configured name; it is in every log line and every row.
	Account string

	Source      Source
	Catalog     Catalog
	Queue       Queue
	Requests    Requests
	Staging     Staging
	Destination Destination

	// Siblings are the other accounts that deliver to the same destination: what one of them has is not delivered twice.
	Siblings []string
	// Workers download at once, and as many confirm at once; zero means 4.
	Workers int
	// Batch is how many documents share two commits and two directory syncs; zero means 64.
	Batch int
	// Overlap is how far behind the cursor each walk begins.
	Overlap time.Duration
	// MaxAttempts is after how many faults of its own a document is parked; zero means 10.
	MaxAttempts int
	// Confirm is false where Askara is not to be told.
	Confirm bool
	// Grace is how long documents that were begun may take after the pass is told to stop; zero means 25 seconds.
	Grace time.Duration
	// Sent returns how many requests the source has sent so far; nil counts none.
	Sent func() int64
	// Pulse is told of every bit of progress; nil means that nobody watches.
	Pulse *Pulse
	// Logger must not be nil.
	Logger *slog.Logger
}

// Request says what kind of pass is wanted. The zero value is the regular one.
type Request struct {
	// Since and Until ask for a backfill of Since <= order < Until besides the regular walk. A zero Until is open.
	Since, Until time.Time
	// Poll is how often a long pass looks for fresh documents again; zero means never.
	Poll time.Duration
	// Manual says that a person waits for the result, so that nothing is put off that could be done now.
	Manual bool
	// Watch is told of the progress, from the pass's own goroutine; nil for none.
	Watch func(Progress)
}

// Progress is how far a pass has come.
type Progress struct {
	Account string
	// Listed counts items of the pages read so far, Total the documents to be delivered, as far as they are known.
	Listed, Total int
	// Delivered, Failed and Confirmed count documents, Bytes what was delivered.
	Delivered, Failed, Confirmed int
	Bytes                        int64
}

// Runner runs passes of one account, one at a time: the caller holds the account's pass lock.
type Runner struct {
	Config
}

// New returns a Runner. It touches nothing.
func New(c Config) *Runner {
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Batch <= 0 {
		c.Batch = 64
	}
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = 10
	}
	if c.Grace <= 0 {
		c.Grace = 25 * time.Second
	}
	if c.Sent == nil {
		c.Sent = func() int64 { return 0 }
	}
	if c.Pulse == nil {
		c.Pulse = NewPulse()
	}
	c.Logger = c.Logger.With("account", c.Account)
	return &Runner{c}
}

// UnfinishedError says that a pass ended in order and left work for a later one.
type UnfinishedError struct{ Failed, Unconfirmed int }

// Error implements error.
func (e *UnfinishedError) Error() string {
	switch {
	case e.Failed > 0 && e.Unconfirmed > 0:
		return fmt.Sprintf("%d documents failed and %d could not be confirmed", e.Failed, e.Unconfirmed)
	case e.Failed > 0:
		return fmt.Sprintf("%d documents failed", e.Failed)
	}
	return fmt.Sprintf("%d documents could not be confirmed", e.Unconfirmed)
}

// Fault implements the classification of package askara: it will succeed later.
func (e *UnfinishedError) Fault() askara.Fault { return askara.FaultService }

// Hint says what a person can do.
func (e *UnfinishedError) Hint() string {
	return "they are tried again by themselves; `askara-sync status` lists them with their reasons"
}

// Run runs one pass and blocks until it is done. When ctx ends, nothing new is begun, documents in flight get Grace to finish,
// and the pass returns with ctx's error. The returned record is valid whatever the error: it is saved in the ledger too.
//
// The error's Fault says what became of the pass: none where everything was done, an *UnfinishedError where documents
// failed, else what stopped it.
func (r *Runner) Run(ctx context.Context, q Request) (askara.Pass, error) {
	hard, release := graceful(ctx, r.Grace)
	defer release()

	sent := r.Sent()
	record, err := r.Requests.SavePass(hard, askara.Pass{Account: r.Account, StartedAt: time.Now()})
	if err != nil {
		return record, fmt.Errorf("begin the pass: %w", err)
	}
	p := &pass{Runner: r, request: q, sum: record}
	err = p.run(ctx, hard)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && p.sum.Failed+p.sum.Unconfirmed > 0 {
		err = &UnfinishedError{p.sum.Failed, p.sum.Unconfirmed}
	}

	p.sum.Duration = time.Since(p.sum.StartedAt)
	p.sum.Requests = r.Sent() - sent
	if err != nil {
		p.sum.Error = err.Error()
	}
	if _, serr := r.Requests.SavePass(hard, p.sum); serr != nil {
		err = errors.Join(err, fmt.Errorf("record the pass: %w", serr))
	}
	return p.sum, err
}

// pass is the state of one pass in progress.
type pass struct {
	*Runner
	request Request
	sum     askara.Pass
	total   int // documents to be delivered, as far as known
	// suspect: the service could not give its list, so the first document that it cannot give either shows an outage.
	suspect bool
}

func (p *pass) run(ctx, hard context.Context) error {
	if err := p.Staging.Prepare(hard); err != nil {
		return fmt.Errorf("prepare the destination: %w", err)
	}
	if err := p.settle(hard); err != nil {
		return fmt.Errorf("settle what was interrupted: %w", err)
	}
	if err := p.enlist(ctx); err != nil {
		return err
	}
	for {
		// What is already known is worth more than what may come: a list that fails must not keep known documents waiting,
		// unless it failed for a reason that stops the rest as well.
		listErr := p.discover(ctx)
		if listErr != nil && stops(listErr) {
			return listErr
		}
		p.suspect = askara.FaultOf(listErr) == askara.FaultService
		again, err := p.deliver(ctx, hard)
		if p.suspect && askara.FaultOf(err) == askara.FaultService {
			return listErr
		}
		if err != nil || listErr != nil {
			return errors.Join(err, listErr)
		}
		if !again || ctx.Err() != nil {
			return nil
		}
	}
}

// stops says whether an error of a list makes the rest of the pass pointless: nobody is logged in, a setting is wrong, or the pass is being
// stopped. A fault of the service may be one of the list alone, over one document on a page perhaps.
func stops(err error) bool {
	switch askara.FaultOf(err) {
	case askara.FaultLogin, askara.FaultConfiguration, askara.FaultLimited:
		return true
	}
	return errors.Is(err, context.Canceled)
}

// watch tells whoever watches how far the pass has come.
func (p *pass) watch() {
	p.Pulse.Beat()
	if p.request.Watch == nil {
		return
	}
	p.request.Watch(Progress{
		Account: p.Account, Listed: p.sum.Listed, Total: p.total, Delivered: p.sum.Delivered,
		Failed: p.sum.Failed, Confirmed: p.sum.Confirmed, Bytes: p.sum.Bytes,
	})
}

// graceful returns a context that outlives ctx by grace, so that what was begun can be finished.
func graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-hard.Done():
		}
	})
	return hard, func() { unwatch(); cancel() }
}
