package sync

import (
	"context"
	"errors"
	"runtime/debug"

	"askara-sync/askara"
)

// errNotBegun says that a worker left a delivery alone because the pass is being stopped.
var errNotBegun = errors.New("not begun")

// download is a worker: it takes deliveries to staging until the channel is closed.
func (l *line) download(ctx, hard context.Context) {
	for d := range l.downloads {
		r := result{Delivery: d, err: errNotBegun}
		if ctx.Err() == nil {
			r.Receipt, r.err = l.fetch(ctx, hard, d)
		}
		l.fetched <- r
	}
}

func (l *line) fetch(ctx, hard context.Context, d askara.Delivery) (got askara.Receipt, err error) {
	defer l.rescue(d, &err)
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return askara.Receipt{}, errNotBegun
	}
	held := &slot{slots: l.slots}
	defer held.release()
	work := askara.WorkDownload
	if d.Backfill {
		work = askara.WorkBackfill
	}
	content, err := l.Source.Download(askara.WithStop(askara.WithWork(hard, work), ctx), d.Document)
	if err != nil {
		return askara.Receipt{}, stopped(ctx, err)
	}
	defer content.Body.Close()
	return l.Staging.Stage(hard, d, &body{content.Body, l.Pulse, held}, content.Size)
}

// confirm is a worker: it tells Askara about deliveries until the channel is closed.
func (l *line) confirm(ctx, hard context.Context) {
	for d := range l.confirms {
		r := result{Delivery: d, err: errNotBegun}
		if ctx.Err() == nil {
			r.confirmation, r.err = l.tell(ctx, hard, d)
		}
		l.answered <- r
	}
}

func (l *line) tell(ctx, hard context.Context, d askara.Delivery) (c askara.Confirmation, err error) {
	defer l.rescue(d, &err)
	c, err = l.Source.Confirm(askara.WithStop(hard, ctx), d.UUID, outcome(d))
	return c, stopped(ctx, err)
}

// stopped turns an error that only says that ctx ended into errNotBegun.
func stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errNotBegun
	}
	return err
}

// rescue turns a panic over one document into that document's failure: hostile bytes that find a bug must not keep the others
// waiting while the service restarts over and over. The panic's value may hold patient data, so only the place is logged.
func (l *line) rescue(d askara.Delivery, err *error) {
	if recover() != nil {
		*err = errBug{}
		l.Logger.Error("internal error", "document", d.UUID, "stack", string(debug.Stack()), "hint", "this is a bug, please report it")
	}
}

// errBug is a panic over one document.
type errBug struct{}

func (errBug) Error() string { return "internal error" }

// Fault says that the document is to blame until the bug is mended.
func (errBug) Fault() askara.Fault { return askara.FaultDocument }
