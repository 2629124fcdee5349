package sandbox

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Fault is something that goes wrong with one request.
type Fault int

const (
	NoFault     Fault = iota
	DropBefore        // the connection drops before the request is looked at
	DropAfter         // the request is done, the answer is lost
	ErrorBefore       // 500, 502 or 503 instead
	ErrorAfter        // the same, though the request is done
	Spurious          // 429 with Retry-After: 1 though the bucket is not empty
	Slow              // the answer comes late
	Truncated         // the request is done, half of the answer arrives, then the connection drops
	Page              // a proxy's HTML page with status 200 instead
	Garbage           // the request is done, the answer is not what it says it is
	faultKinds
)

var faultNames = [faultKinds]string{"none", "drop before", "drop after", "error before", "error after", "spurious 429", "slow",
	"truncated", "page", "garbage"}

// String returns the fault's name.
func (f Fault) String() string {
	if f < 0 || f >= faultKinds {
		return "unknown"
	}
	return faultNames[f]
}

// AllFaults returns every fault, for tables of tests.
func AllFaults() []Fault {
	all := make([]Fault, 0, faultKinds)
	for f := NoFault + 1; f < faultKinds; f++ {
		all = append(all, f)
	}
	return all
}

// Faults are dealt out by chance. Whether the n-th request of a kind is hit depends on the seed, the kind and n alone.
type Faults struct {
	// Rate is the probability, 0 to 1.
	Rate float64
	// Kinds are the faults to choose from; none means all.
	Kinds []Fault
	// Only are the requests that can be hit; none means all.
	Only []Kind
	// Delay is how late Slow is; 0 means 3 s.
	Delay time.Duration
}

// Stage is a moment in the life of a request.
type Stage int

const (
	Before Stage = iota // it has arrived
	After               // it is done and nothing of the answer has been sent
)

// Hold stops one request at one stage until it is released or its client leaves.
type Hold struct {
	stage   Stage
	arrived chan struct{}
	release chan struct{}
	once    sync.Once
}

// Arrived is closed when the request has come to the stage.
func (h *Hold) Arrived() <-chan struct{} { return h.arrived }

// Release lets the request go on. It may be called more than once, and before the request arrives.
func (h *Hold) Release() { h.once.Do(func() { close(h.release) }) }

// plan is what befalls one request.
type plan struct {
	fault Fault
	delay time.Duration
	chip  uint64 // chance for details
	hold  *Hold
}

func (p plan) idle() bool { return p.fault == NoFault && p.hold == nil }

// recorded says that the answer must not be sent before it is whole.
func (p plan) recorded() bool {
	switch p.fault {
	case DropAfter, ErrorAfter, Truncated, Garbage:
		return true
	}
	return p.hold != nil && p.hold.stage == After
}

// wait stops at the hold if it is for the stage.
func (p plan) wait(ctx context.Context, at Stage) {
	if p.hold == nil || p.hold.stage != at {
		return
	}
	close(p.hold.arrived)
	select {
	case <-p.hold.release:
	case <-ctx.Done():
	}
}

type target struct {
	kind Kind
	n    int64
}

// plans holds what tests have ordered for single requests.
type plans struct {
	seed uint64
	mu   sync.Mutex
	by   map[target]plan
}

// Fail makes the n-th request of a kind from now on (1 is the next) fail.
func (s *Server) Fail(k Kind, n int, f Fault) {
	s.plans.put(target{k, s.tally.requests[k].Load() + int64(n)}, func(p *plan) { p.fault = f })
}

// Hold stops the n-th request of a kind from now on (1 is the next).
func (s *Server) Hold(k Kind, n int, at Stage) *Hold {
	h := &Hold{stage: at, arrived: make(chan struct{}), release: make(chan struct{})}
	s.plans.put(target{k, s.tally.requests[k].Load() + int64(n)}, func(p *plan) { p.hold = h })
	return h
}

func (ps *plans) put(t target, change func(*plan)) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.by == nil {
		ps.by = map[target]plan{}
	}
	p := ps.by[t]
	change(&p)
	ps.by[t] = p
}

// draw returns the plan of the n-th request of a kind.
func (ps *plans) draw(f *Faults, k Kind, n int64) plan {
	p := plan{delay: 3 * time.Second}
	if f.Delay > 0 {
		p.delay = f.Delay
	}
	ps.mu.Lock()
	if len(ps.by) > 0 {
		if ordered, ok := ps.by[target{k, n}]; ok {
			delete(ps.by, target{k, n})
			p.fault, p.hold = ordered.fault, ordered.hold
		}
	}
	ps.mu.Unlock()
	if f.Rate <= 0 && p.fault == NoFault {
		return p
	}
	rng := rand.New(rand.NewPCG(ps.seed^uint64(k)<<56, uint64(n)))
	if p.fault == NoFault && rng.Float64() < f.Rate && (len(f.Only) == 0 || slices.Contains(f.Only, k)) {
		p.fault = NoFault + 1 + Fault(rng.IntN(int(faultKinds-1)))
		if len(f.Kinds) > 0 {
			p.fault = f.Kinds[rng.IntN(len(f.Kinds))]
		}
	}
	p.chip = rng.Uint64()
	return p
}

// before does what the plan says of the time before the request is looked at; true means that it is answered.
func (s *Server) before(x *exchange, p plan) bool {
	ctx := x.r.Context()
	p.wait(ctx, Before)
	switch p.fault {
	case DropBefore:
		panic(http.ErrAbortHandler)
	case ErrorBefore:
		p.serverError(x.w)
		return true
	case Spurious:
		x.w.Header().Set("Retry-After", "1")
		problem(x.w, http.StatusTooManyRequests, "Too Many Requests", "")
		return true
	case Page:
		send(x.w, http.StatusOK, "text/html; charset=utf-8", []byte(proxyPage))
		return true
	case Slow:
		t := time.NewTimer(p.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		}
	}
	return false
}

// after sends what is left of a recorded answer.
func (s *Server) after(x *exchange, p plan, w http.ResponseWriter, rec *recorder) {
	lost := p.fault != NoFault && p.fault != Slow || x.r.Context().Err() != nil
	x.cut = x.cut || lost
	x.settle()
	switch p.fault {
	case DropAfter:
		panic(http.ErrAbortHandler)
	case ErrorAfter:
		p.serverError(w)
		return
	case Garbage:
		rec.body = slices.Clone(rec.body)
		for i := range rec.body { // of the same length, neither JSON nor a PDF
			rec.body[i] ^= 0x15
		}
		if len(rec.body) == 0 {
			rec.body = []byte("\x00\x15{")
		}
		if rec.status == http.StatusNoContent {
			rec.status = http.StatusOK
		}
		rec.header.Set("Content-Length", strconv.Itoa(len(rec.body)))
	}
	for k, v := range rec.header {
		w.Header()[k] = v
	}
	if p.fault == Truncated {
		w.Header().Set("Content-Length", strconv.Itoa(max(len(rec.body), 1)))
		if rec.status == http.StatusNoContent {
			rec.status = http.StatusOK
		}
		w.WriteHeader(rec.status)
		w.Write(rec.body[:len(rec.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(rec.status)
	w.Write(rec.body)
}

func (p plan) serverError(w http.ResponseWriter) {
	status := []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable}[p.chip%3]
	if p.chip>>8%2 == 0 {
		send(w, status, "text/html", []byte("<html><head><title>"+strconv.Itoa(status)+"</title></head><body><center><h1>"+
			http.StatusText(status)+"</h1></center><hr><center>nginx</center></body></html>"))
		return
	}
	problem(w, status, "An error occurred", http.StatusText(status))
}

const proxyPage = `<!DOCTYPE html><html><head><title>Connexion au réseau</title></head><body><h1>Veuillez vous identifier</h1>` +
	`<form><input name="user"><input name="password" type="password"></form></body></html>`

// recorder keeps an answer instead of sending it.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

// maxRecorded ends bodies that would never end.
const maxRecorded = 256 << 20

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if len(r.body)+len(b) > maxRecorded {
		return 0, http.ErrContentLength
	}
	r.body = append(r.body, b...)
	return len(b), nil
}

func (r *recorder) Flush() {}
