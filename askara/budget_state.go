package askara

import (
	"context"
	"slices"
	"time"
)

// BudgetStore keeps the one BudgetState that every process and every account of this ledger shares.
type BudgetStore interface {
	// UpdateBudget runs fn on the state in one short transaction, alone among all processes, and keeps what fn made of it
	// unless fn returns an error. The state is zero before the first time. fn may run more than once.
	UpdateBudget(ctx context.Context, fn func(*BudgetState) error) error
}

// BudgetState is what is known of Askara's bucket, and who may draw on it. It is kept as JSON; the zero value is a bucket of which
// nothing is known. Limit, Remaining, ResetsAt and UpdatedAt are for people and programs; the rest belongs to Budget.
type BudgetState struct {
	// Limit is what the bucket holds when it is full.
	Limit int `json:"limit"`
	// Remaining is what it holds at least, the reserve included, beside what processes have already been granted.
	Remaining int `json:"remaining"`
	// ResetsAt is when more is expected; zero while there is enough.
	ResetsAt time.Time `json:"resets_at,omitzero"`
	// UpdatedAt is when this was last written.
	UpdatedAt time.Time `json:"updated_at,omitzero"`

	// Granted and Settled count requests ever granted, and those of them that can no longer take anything from the bucket: they
	// have been answered, or given back. They only rise. The difference is what may still arrive there.
	Granted int64         `json:"granted"`
	Settled int64         `json:"settled"`
	Leases  []BudgetLease `json:"leases,omitempty"`
	// Recount: a lease expired that was not empty, so there may be more than Remaining.
	Recount bool        `json:"recount,omitempty"`
	Probe   BudgetProbe `json:"probe,omitzero"`

	// RaisedAt is when the last answer came that raised Remaining: what came before it does not lower it any more.
	RaisedAt time.Time `json:"raised_at,omitzero"`

	// BlockedUntil is the end of the wait after a refusal; Refusals counts refusals in a row, each after such a wait.
	BlockedUntil time.Time `json:"blocked_until,omitzero"`
	Refusals     int       `json:"refusals,omitempty"`

	// HeaderAt is when headers last told what remains, zero when they never did; Bare counts answers in a row without any.
	HeaderAt time.Time `json:"header_at,omitzero"`
	Bare     int       `json:"bare,omitempty"`
	// Reset is what the last header said that had a time in the future; ResetMisses counts how often that was wrong.
	Reset       time.Time `json:"reset,omitzero"`
	ResetMisses int       `json:"reset_misses,omitempty"`
	// Others are limits of another size that also appear in headers; Unseen counts headers since Limit itself last appeared.
	Others []BudgetLimit `json:"others,omitempty"`
	Unseen int           `json:"unseen,omitempty"`

	// Refill says how the bucket was seen to fill.
	Refill BudgetRefill `json:"refill"`
}

// BudgetLease is what one process may still send, and what it has sent without an answer yet.
type BudgetLease struct {
	Holder      string    `json:"holder"`
	Outstanding int       `json:"outstanding"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// BudgetProbe is the single request that goes out to see whether there is more. The zero value is none.
type BudgetProbe struct {
	Holder string    `json:"holder,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Sure: a refill was certain by all that was known. ByReset: a header had named the time.
	Sure    bool `json:"sure,omitempty"`
	ByReset bool `json:"by_reset,omitempty"`
}

// BudgetLimit is a second limit that answers speak of.
type BudgetLimit struct {
	Limit     int       `json:"limit"`
	Remaining int       `json:"remaining"`
	ResetsAt  time.Time `json:"resets_at,omitzero"`
	SeenAt    time.Time `json:"seen_at"`
}

// BudgetRefill is what has been learned of the refill.
type BudgetRefill struct {
	Mode RefillMode `json:"mode,omitempty"`
	// After and Before bound the time of one step: After < step <= Before. The others are whole periods away.
	After  time.Time `json:"after,omitzero"`
	Before time.Time `json:"before,omitzero"`
	// ConfirmedAt: every refill until then is part of Remaining.
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`
	// Fruitless counts probes in a row that were sure of a refill and found none.
	Fruitless int `json:"fruitless,omitempty"`
	// Since and Gain measure a rate: how much has come since then.
	Since time.Time `json:"since,omitzero"`
	Gain  int       `json:"gain,omitempty"`
	// Drawn is what other software took since DrawnSince, as far as it was noticed.
	Drawn      int       `json:"drawn,omitempty"`
	DrawnSince time.Time `json:"drawn_since,omitzero"`
}

// RefillMode is how a bucket fills.
type RefillMode string

const (
	// RefillUnknown is treated as steps, which is the later of the two.
	RefillUnknown RefillMode = ""
	// RefillSteps: the whole refill at once.
	RefillSteps RefillMode = "steps"
	// RefillDrops: one by one, evenly.
	RefillDrops RefillMode = "drops"
)

const (
	// leaseTime is how long a lease lives without being renewed: longer than a request lasts, short enough that what a killed
	// process held is soon counted again.
	leaseTime = 2 * time.Minute
	// leaseMemory is how long an expired lease is remembered, so that its holder may come back for what it did not send.
	leaseMemory = 12 * time.Hour
	// probeTime is how long everybody waits for the answer to a probe before another may go out.
	probeTime = 45 * time.Second
	// bareAnswers in a row without headers mean that the server sends none.
	bareAnswers = 3
	// clockSlack is how far ahead of the clock the state may be written before the clock must have been set back.
	clockSlack = time.Minute
)

// outstanding is what processes other than holder hold or have under way.
func (s *BudgetState) outstanding(holder string) int64 {
	var n int64
	for _, l := range s.Leases {
		if l.Holder != holder {
			n += int64(l.Outstanding)
		}
	}
	return n
}

// holders counts the processes that take part, holder included.
func (s *BudgetState) holders(holder string, now time.Time) int {
	n := 1
	for _, l := range s.Leases {
		if l.Holder != holder && now.Before(l.ExpiresAt) {
			n++
		}
	}
	return n
}

// lease returns holder's lease, nil where it has none.
func (s *BudgetState) lease(holder string) *BudgetLease {
	i := slices.IndexFunc(s.Leases, func(l BudgetLease) bool { return l.Holder == holder })
	if i < 0 {
		return nil
	}
	return &s.Leases[i]
}

// expire settles the leases whose holders have not been heard of: what they held counts as sent, until a header tells better.
func (s *BudgetState) expire(now time.Time) {
	for i := range s.Leases {
		if l := &s.Leases[i]; !now.Before(l.ExpiresAt) {
			s.Recount = s.Recount || l.Outstanding > 0
			s.Settled += int64(l.Outstanding)
			l.Outstanding = 0
		}
	}
	s.Leases = slices.DeleteFunc(s.Leases, func(l BudgetLease) bool { return now.Sub(l.ExpiresAt) > leaseMemory })
	if !now.Before(s.Probe.Until) {
		s.Probe = BudgetProbe{}
	}
}

// forgetExpired drops the leases that expired: a header has just counted what their holders did not send.
func (s *BudgetState) forgetExpired(now time.Time) {
	s.Leases = slices.DeleteFunc(s.Leases, func(l BudgetLease) bool { return !now.Before(l.ExpiresAt) })
}

// bare says that this server sends no headers, so that only the model tells what remains.
func (s *BudgetState) bare() bool {
	return s.Bare >= bareAnswers || s.Bare > 0 && s.HeaderAt.IsZero()
}

// clone copies the state deeply.
func (s *BudgetState) clone() BudgetState {
	c := *s
	c.Leases, c.Others = slices.Clone(s.Leases), slices.Clone(s.Others)
	return c
}
