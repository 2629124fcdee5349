package askara

import (
	"context"
	"net/http"
	"sync"
)

// Work is what a request is for. When the budget is short, better work goes first.
type Work int

// The kinds of work, best first. Without a login nothing works; a confirmation finishes what is delivered; a list tells what is
// fresh; a backfill has time.
const (
	WorkLogin Work = iota
	WorkConfirm
	WorkList
	WorkDownload
	WorkBackfill
)

// String returns the work's name in lower case, for logs.
func (w Work) String() string {
	switch w {
	case WorkLogin:
		return "login"
	case WorkConfirm:
		return "confirm"
	case WorkList:
		return "list"
	case WorkDownload:
		return "download"
	case WorkBackfill:
		return "backfill"
	}
	return "unknown"
}

// Limiter decides when a request may be sent to the API. It is safe for concurrent use.
type Limiter interface {
	// Take blocks until a request of this kind may be sent, or until ctx ends. It is asked before every request to the API's
	// host, repeats included.
	Take(ctx context.Context, w Work) error
	// Answered tells the outcome of a request that Take let through; status 0 and a nil header mean that no answer came.
	Answered(status int, h http.Header)
}

// workKey is the context key of WithWork.
type workKey struct{}

// WithWork marks what is done under the context as work of kind w, so that a backfill's requests wait behind fresh ones.
func WithWork(ctx context.Context, w Work) context.Context {
	return context.WithValue(ctx, workKey{}, w)
}

// WorkFrom returns the kind of work that ctx carries, otherwise def.
func WorkFrom(ctx context.Context, def Work) Work {
	if w, ok := ctx.Value(workKey{}).(Work); ok {
		return w
	}
	return def
}

// stopKey is the context key of WithStop.
type stopKey struct{}

// WithStop returns ctx with a second context that ends waiting alone: when stop ends, whatever waits for the budget, for a
// repetition or for a login gives up at once, while a request under way goes on until ctx itself ends.
func WithStop(ctx, stop context.Context) context.Context {
	return context.WithValue(ctx, stopKey{}, stop)
}

// Waiting returns the context to wait under: it ends with ctx and with the stop that ctx carries. The caller calls cancel.
func Waiting(ctx context.Context) (wait context.Context, cancel context.CancelFunc) {
	stop, ok := ctx.Value(stopKey{}).(context.Context)
	if !ok {
		return ctx, func() {}
	}
	w := &waiting{Context: ctx, stop: stop}
	return w, w.cancel
}

// waiting is a context that ends with either of two. Mostly nobody has to wait, and then it has cost nothing: every request has two.
type waiting struct {
	context.Context
	stop context.Context

	mu    sync.Mutex
	wait  context.Context // made when somebody waits
	end   context.CancelFunc
	ended bool
}

// Done implements context.Context.
func (w *waiting) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wait == nil {
		wait, cancel := context.WithCancel(w.Context)
		unwatch := context.AfterFunc(w.stop, cancel)
		w.wait, w.end = wait, func() { unwatch(); cancel() }
		if w.ended || w.stop.Err() != nil {
			w.end() // now, where AfterFunc would do it in a moment
		}
	}
	return w.wait.Done()
}

// Err implements context.Context.
func (w *waiting) Err() error {
	if err := w.Context.Err(); err != nil {
		return err
	}
	if w.stop.Err() != nil {
		return context.Canceled
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return context.Canceled
	}
	return nil
}

func (w *waiting) cancel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.end != nil {
		w.end()
	}
}
