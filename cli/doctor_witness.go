package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"askara-sync/askara"
)

// budgetPatience is how long a request waits for the budget: a person waits with it.
const budgetPatience = 3 * time.Second

// mostRequests is how many requests to Askara an examination may take.
const mostRequests = 15

// ration lets through so many requests, within the budget that all programs of the clinic share.
type ration struct {
	limiter askara.Limiter // nil where there is no ledger, and so no budget

	mu   sync.Mutex
	left int
}

// Take implements askara.Limiter. It does not wait for a budget that is spent: a person waits.
func (r *ration) Take(ctx context.Context, w askara.Work) error {
	r.mu.Lock()
	if r.left == 0 {
		r.mu.Unlock()
		return &rationError{fmt.Errorf("doctor asks no more than %d requests", mostRequests)}
	}
	r.left--
	r.mu.Unlock()
	if r.limiter == nil {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, budgetPatience)
	defer cancel()
	err := r.limiter.Take(short, w)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return &rationError{errors.New("the request limit is used up for now")}
	}
	return err
}

// Answered implements askara.Limiter.
func (r *ration) Answered(status int, h http.Header) {
	if r.limiter != nil {
		r.limiter.Answered(status, h)
	}
}

// has says whether so many requests are left.
func (r *ration) has(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left >= n
}

func (r *ration) used() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return mostRequests - r.left
}

// rationError is a request that was not made.
type rationError struct{ err error }

func (e *rationError) Error() string       { return e.err.Error() }
func (e *rationError) Fault() askara.Fault { return askara.FaultLimited }
func (e *rationError) Hint() string {
	return "run doctor again when there is more: askara-sync status shows when"
}

// witness keeps what the API's last answer looked like.
type witness struct {
	base http.RoundTripper
	host string

	mu   sync.Mutex
	last testimony
}

// testimony is what is kept of an answer.
type testimony struct {
	status int
	header http.Header
	at     time.Time
	head   []byte // how the body begins
}

// maxHead is how much of a body is kept.
const maxHead = 512

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil || req.URL.Host != w.host {
		return resp, err
	}
	w.mu.Lock()
	w.last = testimony{status: resp.StatusCode, header: resp.Header, at: time.Now()}
	w.mu.Unlock()
	resp.Body = &heard{ReadCloser: resp.Body, witness: w}
	return resp, nil
}

// seen returns the last answer; its status is 0 where none came.
func (w *witness) seen() testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.last
	t.head = bytes.Clone(t.head)
	return t
}

// heard is a body whose beginning is kept.
type heard struct {
	io.ReadCloser
	witness *witness
}

// Read implements io.Reader.
func (h *heard) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	h.witness.mu.Lock()
	if t := &h.witness.last; len(t.head) < maxHead {
		t.head = append(t.head, p[:min(n, maxHead-len(t.head))]...)
	}
	h.witness.mu.Unlock()
	return n, err
}
