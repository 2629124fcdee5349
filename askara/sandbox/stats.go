package sandbox

import (
	"sync"
	"sync/atomic"
)

// Kind is what a request is for.
type Kind int

const (
	KindOther Kind = iota
	KindList
	KindDocument // one document's metadata
	KindPDF
	KindConfirm
	KindToken  // any grant
	KindDevice // the start of a device login; polls are KindToken
	KindMe
	KindDescription
	KindProbe // HEAD and OPTIONS
	KindWebhook
	KindFile    // on the other host
	KindPage    // for people; never counted against the limit, never faulty
	KindOutside // outside the prefix
	kinds
)

var kindNames = [kinds]string{"other", "list", "document", "pdf", "confirm", "token", "device", "me", "description", "probe",
	"webhook", "file", "page", "outside"}

// String returns the kind's name in lower case.
func (k Kind) String() string {
	if k < 0 || k >= kinds {
		return "unknown"
	}
	return kindNames[k]
}

// Stats is what the server has seen since it was made.
type Stats struct {
	// Requests by kind, those refused and those lost included. Total leaves pages out.
	Requests map[Kind]int
	Total    int
	// Limited counts true answers 429, by kind; spurious ones are Faults[Spurious].
	Limited map[Kind]int
	// Unauthorized counts requests with a missing, burned or expired access token.
	Unauthorized int
	// Faults that were dealt out.
	Faults map[Fault]int
	// MaxConcurrent is the highest number of requests in the server at one time.
	MaxConcurrent int

	// Refreshes that burned a token and made a pair.
	Refreshes int
	// Reuses counts grants asked for with a burned refresh token. Of these, ReusesAnswered had been answered whole as far as
	// the server knows: nobody may send such a token again. ReusesLost are those whose answer was lost.
	Reuses, ReusesAnswered, ReusesLost int
	// RefusalsLost counts refused refreshes whose refusal did not leave: the client has to ask again.
	RefusalsLost int
	// AnswersLost counts refreshes that burned a token and whose answer did not leave.
	AnswersLost int
	// Logins counts pairs granted for a code, whether by device or by browser.
	Logins int

	// ForeignBearer counts requests on the other host that carried an Authorization header: must stay 0.
	ForeignBearer int
	// Outside counts requests outside the prefix: must stay 0.
	Outside int
	// Visited counts documents that were looked at to make lists: a keyed page looks at little more than it shows.
	Visited int
	// Downloads counts PDFs whose last byte was written; Bytes their sizes.
	Downloads int
	Bytes     int64
	// Confirmed and Failed count accepted confirmations, repeats included. Early counts those of success for documents that
	// had never been downloaded whole.
	Confirmed, Failed, Early int
}

// tally counts. What every request touches is atomic.
type tally struct {
	requests, limited         [kinds]atomic.Int64
	faults                    [faultKinds]atomic.Int64
	running, most             atomic.Int64
	unauthorized, foreign     atomic.Int64
	downloads, bytes          atomic.Int64
	confirmed, failed, early  atomic.Int64
	mu                        sync.Mutex
	refreshes, logins, lost   int
	reuses, answered, reuseOf int
	refusalsLost              int
}

// begin counts a request and returns its number among those of its kind, from 1.
func (t *tally) begin(k Kind) int64 {
	now := t.running.Add(1)
	for most := t.most.Load(); now > most && !t.most.CompareAndSwap(most, now); most = t.most.Load() {
	}
	return t.requests[k].Add(1)
}

func (t *tally) end()           { t.running.Add(-1) }
func (t *tally) refused(k Kind) { t.limited[k].Add(1) }
func (t *tally) fault(f Fault)  { t.faults[f].Add(1) }

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	t := s.tally
	st := Stats{
		Requests: map[Kind]int{}, Limited: map[Kind]int{}, Faults: map[Fault]int{},
		Unauthorized: int(t.unauthorized.Load()), MaxConcurrent: int(t.most.Load()),
		ForeignBearer: int(t.foreign.Load()), Outside: int(t.requests[KindOutside].Load()),
		Downloads: int(t.downloads.Load()), Bytes: t.bytes.Load(),
		Confirmed: int(t.confirmed.Load()), Failed: int(t.failed.Load()), Early: int(t.early.Load()),
	}
	for k := range kinds {
		if n := int(t.requests[k].Load()); n > 0 {
			st.Requests[k] = n
			if k != KindPage {
				st.Total += n
			}
		}
		if n := int(t.limited[k].Load()); n > 0 {
			st.Limited[k] = n
		}
	}
	for f := NoFault + 1; f < faultKinds; f++ {
		if n := int(t.faults[f].Load()); n > 0 {
			st.Faults[f] = n
		}
	}
	s.archive.mu.Lock()
	st.Visited = s.archive.visited
	s.archive.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	st.Refreshes, st.Logins, st.AnswersLost = t.refreshes, t.logins, t.lost
	st.Reuses, st.ReusesAnswered, st.ReusesLost, st.RefusalsLost = t.reuses, t.answered, t.reuseOf, t.refusalsLost
	return st
}
