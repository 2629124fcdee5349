package sync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"askara-sync/askara"
)

const (
	// linger is how long staged documents wait for others to share their commits with while more are under way. It bounds what
	// batching adds to a document's latency.
	linger = 200 * time.Millisecond
	// stagers is how many documents each worker may have between the end of the download and the end of staging: syncing a file is
	// mostly waiting, and a file system commits files that are synced at the same time together.
	stagers = 4
	// supply is how many batches are read from the queue at once: what is busy is read again each time.
	supply = 3
	// outage is how many service faults in a row, without any success, count as an outage.
	outage = 8
)

// line is the delivery line of a pass: its one goroutine owns all state and every commit; workers only download and confirm.
//
//	due rows → downloads → [workers] → fetched → batch: flush, save, move, save → confirms → [workers] → answered → next save
type line struct {
	*pass
	downloads chan askara.Delivery
	confirms  chan askara.Delivery
	fetched   chan result
	answered  chan result
	slots     chan struct{} // held while a document is on its way from Askara

	busy      map[int64]bool    // rows in the line, which Due must not give out again
	ready     []askara.Delivery // due, not handed to a worker yet
	open      []askara.Delivery // to be confirmed, not handed to a worker yet
	staged    []askara.Delivery // to be moved into place with the next commit
	settled   []askara.Delivery // other rows to be saved with the next commit
	saved     []askara.Delivery // room for what is being saved
	doubtful  []result          // service faults that count against the document only if there was no outage
	fetching  int               // handed to downloads, not back from fetched
	asking    int               // handed to confirms, not back from answered
	drained   bool              // the ledger has no more due rows to download
	reopened  bool              // nor to confirm, but for those of this pass
	closing   bool              // begin nothing new
	repoll    bool              // closing because it is time to look for fresh documents
	worked    bool              // something succeeded
	suspected int               // service faults in a row
	failure   error             // what ended the pass
	abort     func()            // makes workers begin nothing more
}

// result is what a worker made of a delivery.
type result struct {
	askara.Delivery
	confirmation askara.Confirmation
	err          error
}

// deliver takes everything due through the line. It reports true where it stopped only to look for fresh documents. When ctx
// ends nothing new is begun; hard bounds what was begun.
func (p *pass) deliver(ctx, hard context.Context) (again bool, err error) {
	waiting, err := p.Queue.Waiting(hard, p.Account, askara.Pending, askara.Staged)
	if err != nil {
		return false, fmt.Errorf("count waiting documents: %w", err)
	}
	p.total = p.sum.Delivered + waiting
	p.watch()

	depth := p.Batch + p.Workers
	l := &line{
		pass:      p,
		downloads: make(chan askara.Delivery, depth), confirms: make(chan askara.Delivery, depth),
		fetched: make(chan result, depth+p.Workers), answered: make(chan result, depth+p.Workers),
		busy: map[int64]bool{}, slots: make(chan struct{}, p.Workers),
	}
	if p.suspect {
		l.suspected = outage - 1
	}
	begin, abort := context.WithCancel(ctx)
	defer abort()
	l.abort = abort
	var workers errgroup.Group
	for range p.Workers * stagers {
		workers.Go(func() error { l.download(begin, hard); return nil })
	}
	for range p.Workers {
		workers.Go(func() error { l.confirm(begin, hard); return nil })
	}
	if err = l.run(ctx, hard); err != nil {
		abort() // what waits in the channels is not worth its requests any more
	}
	close(l.downloads)
	close(l.confirms)
	_ = workers.Wait() // workers return no errors: results carry them
	return l.repoll, errors.Join(l.failure, err)
}

// run is the line's loop. Its error is one of the ledger: nothing can be relied on after it.
func (l *line) run(ctx, hard context.Context) error {
	var poll <-chan time.Time
	if l.request.Poll > 0 {
		t := time.NewTimer(l.request.Poll)
		defer t.Stop()
		poll = t.C
	}
	pause := time.NewTimer(linger)
	defer pause.Stop()
	stop := ctx.Done()
	for {
		if err := l.feed(hard); err != nil {
			return err
		}
		if l.due() {
			if err := l.commit(hard); err != nil {
				return err
			}
			l.dispatch()
		}
		if l.fetching+l.asking+len(l.staged)+len(l.settled) == 0 && len(l.ready)+len(l.open) == 0 {
			return l.finish(hard)
		}
		if len(l.staged)+len(l.settled) == 0 {
			pause.Reset(linger)
		}
		select {
		case r := <-l.fetched:
			l.fetching--
			l.take(r)
		case r := <-l.answered:
			l.asking--
			l.takeAnswer(r)
		case <-pause.C:
			if err := l.commit(hard); err != nil {
				return err
			}
		case <-poll:
			l.repoll = !l.closing
			l.close()
		case <-stop:
			stop = nil
			l.repoll = false
			l.close()
		}
	}
}

// due says whether a commit is worth its syncs now: a batch is full, or nothing more can join it.
func (l *line) due() bool {
	if len(l.staged) >= l.Batch {
		return true
	}
	idle := l.fetching == 0 && len(l.ready) == 0
	return idle && (len(l.staged) > 0 || l.asking == 0 && len(l.open) == 0)
}

// close lets the line run empty. Workers drop what they have not begun once ctx has ended; what waits in a channel otherwise
// is still done, since it is at most a batch.
func (l *line) close() {
	l.closing = true
	for _, d := range l.ready {
		delete(l.busy, d.ID)
	}
	for _, d := range l.open {
		delete(l.busy, d.ID)
	}
	l.ready, l.open = nil, nil
}

// end closes the line because of an error that concerns every document.
func (l *line) end(err error) {
	if l.failure == nil {
		l.failure = err
	}
	l.repoll = false
	l.abort()
	l.close()
}

// reopen takes up confirmations that earlier passes could not make: they are cheap and come first.
func (l *line) reopen(ctx context.Context) error {
	due, err := l.Queue.Due(ctx, l.Account, time.Now(), l.Batch+len(l.busy), askara.Delivered, askara.Parked)
	if err != nil {
		return fmt.Errorf("read unconfirmed documents: %w", err)
	}
	l.open = unseen(due, l.busy)
	l.reopened = len(l.open) == 0
	return nil
}

// feed keeps the workers supplied.
func (l *line) feed(ctx context.Context) error {
	if l.Confirm && !l.closing && !l.reopened && len(l.open) == 0 {
		if err := l.reopen(ctx); err != nil {
			return err
		}
	}
	if !l.closing && !l.drained && len(l.ready) == 0 {
		due, err := l.Queue.Due(ctx, l.Account, time.Now(), supply*l.Batch+len(l.busy), askara.Pending)
		if err != nil {
			return fmt.Errorf("read due documents: %w", err)
		}
		l.ready = unseen(due, l.busy)
		l.drained = len(l.ready) == 0
	}
	l.dispatch()
	return nil
}

// dispatch hands out as much as the channels take.
func (l *line) dispatch() {
	for len(l.ready) > 0 && l.fetching < cap(l.downloads) {
		l.downloads <- l.ready[0]
		l.ready = l.ready[1:]
		l.fetching++
	}
	for len(l.open) > 0 && l.asking < cap(l.confirms) {
		l.confirms <- l.open[0]
		l.open = l.open[1:]
		l.asking++
	}
}

// take sorts what came of a download.
func (l *line) take(r result) {
	l.Pulse.Beat()
	switch {
	case errors.Is(r.err, errNotBegun):
		delete(l.busy, r.ID)
	case r.err != nil:
		l.takeFailure(r)
	case r.Previous != (askara.Checksum{}) && r.Receipt.SHA256 == r.Previous:
		l.success()
		r.State = askara.Unchanged
		l.settled = append(l.settled, r.Delivery)
		l.Logger.Info("document came again unchanged", "document", r.UUID, "revision", r.Revision-1)
	default:
		l.success()
		l.staged = append(l.staged, r.Delivery)
	}
}

func (l *line) success() {
	l.worked = true
	l.suspected = 0
}

func (l *line) takeFailure(r result) {
	switch judge(r.err, l.worked) {
	case endPass:
		delete(l.busy, r.ID)
		l.end(r.err)
	case suspicious:
		l.doubtful = append(l.doubtful, r)
		l.suspect(r.err)
	default:
		l.fail(&r.Delivery, r.err)
		l.settled = append(l.settled, r.Delivery)
	}
}

// suspect counts a fault that may be everybody's.
func (l *line) suspect(err error) {
	if l.suspected++; l.suspected >= outage {
		l.end(err)
	}
}

// takeAnswer sorts what came of a confirmation.
func (l *line) takeAnswer(r result) {
	l.Pulse.Beat()
	if errors.Is(r.err, errNotBegun) {
		delete(l.busy, r.ID)
		return
	}
	if r.err == nil {
		l.success()
		l.confirmedNow(&r.Delivery, r.confirmation)
		l.settled = append(l.settled, r.Delivery)
		return
	}
	switch judge(r.err, l.worked) {
	case endPass:
		delete(l.busy, r.ID)
		l.sum.Unconfirmed++
		l.end(r.err)
		return
	case suspicious:
		l.suspect(r.err)
	}
	l.unconfirmed(&r.Delivery, r.err)
	l.settled = append(l.settled, r.Delivery)
}

// commit makes the batch durable at its destination and in the ledger. On return the staged documents are delivered,
// saved and queued to be confirmed; those that failed are saved with their reasons.
func (l *line) commit(ctx context.Context) error {
	batch, others := l.staged, l.settled
	if len(batch)+len(others) == 0 {
		return nil
	}
	defer l.reuse(batch, others)
	if len(batch) > 0 {
		if err := l.Destination.Flush(ctx, batch); err != nil {
			l.release(batch)
			l.end(fmt.Errorf("flush staging: %w", err))
			batch = nil
		}
	}
	for i := range batch {
		batch[i].State = askara.Staged
	}
	l.saved = append(append(l.saved[:0], others...), batch...)
	if err := l.Queue.Save(ctx, l.saved); err != nil {
		return fmt.Errorf("save documents: %w", err)
	}
	l.release(others)
	if len(batch) == 0 {
		return nil
	}

	errs := l.Destination.Deliver(ctx, batch)
	done := l.saved[:0]
	for i, d := range batch {
		switch err := errs[i]; {
		case err == nil:
			l.deliveredNow(&d)
		case judge(err, true) == endPass:
			delete(l.busy, d.ID) // stays Staged: the next pass settles it
			l.end(fmt.Errorf("deliver: %w", err))
			continue
		default:
			l.fail(&d, err)
		}
		done = append(done, d)
	}
	if err := l.Queue.Save(ctx, done); err != nil {
		return fmt.Errorf("save delivered documents: %w", err)
	}
	for _, d := range done {
		if l.Confirm && !l.closing && d.State == askara.Delivered {
			l.open = append(l.open, d)
			continue
		}
		delete(l.busy, d.ID)
	}
	l.watch()
	return nil
}

// reuse keeps the room that a batch took for the next one: deliveries are large, and there are as many batches as there is time.
func (l *line) reuse(batch, others []askara.Delivery) {
	clear(batch)
	clear(others)
	clear(l.saved)
	l.staged, l.settled = batch[:0], others[:0]
}

func (l *line) release(rows []askara.Delivery) {
	for _, d := range rows {
		delete(l.busy, d.ID)
	}
}

// finish decides what the doubtful failures were: in an outage nobody's, otherwise each document's own.
func (l *line) finish(ctx context.Context) error {
	if len(l.doubtful) == 0 {
		return nil
	}
	down := l.suspected >= outage
	for _, r := range l.doubtful {
		if down {
			r.Attempts-- // fail counts it; an outage is not the document's fault
		}
		l.fail(&r.Delivery, r.err)
		l.settled = append(l.settled, r.Delivery)
	}
	l.doubtful = nil
	return l.commit(ctx)
}
