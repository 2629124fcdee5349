package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"askara-sync/askara"
)

// Which notices follow from what is seen is decided here, by pure functions: from what is remembered of an account and its present
// health to what is remembered next, and from that to what somebody has to be told.

// Health is what is seen of one account at the end of a pass.
type Health struct {
	Account string
	At      time.Time
	// Failure is why the pass failed, without patient data; nil after a success and for documents that failed alone.
	Failure error
	// New is how many documents the pass delivered; Parked is how many wait for a person.
	New, Parked int
	// Login is without tokens.
	Login askara.Login
}

// Event names a trouble. The names are part of the notices' JSON.
type Event string

// The events. The three of the login are stages of one trouble, the graver ones last.
const (
	EventPassFailing    Event = "pass_failing"
	EventLoginExpiring  Event = "login_expiring"
	EventLoginUncertain Event = "login_uncertain"
	EventLoginRequired  Event = "login_required"
	EventParked         Event = "document_parked"
	EventNothingNew     Event = "nothing_new"
	EventDiskLow        Event = "disk_low"
)

// Notice is what the configured command gets as JSON on standard input. It only ever grows.
type Notice struct {
	Event Event `json:"event"`
	// State is "started" or "ended".
	State string `json:"state"`
	// Account is "" for what concerns the machine.
	Account string    `json:"account,omitempty"`
	Since   time.Time `json:"since"`
	At      time.Time `json:"at"`
	// Message and Hint are for people; neither holds patient data.
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

const (
	noticeStarted = "started"
	noticeEnded   = "ended"
)

// troubles is what is remembered of one account, or of the machine. It is kept as JSON.
type troubles struct {
	// Open has at most one trouble of each kind.
	Open []trouble `json:"open,omitempty"`
	// FailingSince is when passes began to fail, zero while they succeed; NewAt is when the last document came.
	FailingSince time.Time `json:"failing_since,omitzero"`
	NewAt        time.Time `json:"new_at,omitzero"`
}

// trouble is one that is open, or over and not told yet.
type trouble struct {
	Event   Event     `json:"event"`
	Since   time.Time `json:"since"`
	Message string    `json:"message"`
	Hint    string    `json:"hint,omitempty"`
	// Told says that its start was told; EndedAt is when it ended, zero while it lasts.
	Told    bool      `json:"told,omitempty"`
	EndedAt time.Time `json:"ended_at,omitzero"`
}

// notifyPolicy is the configured part of the decision. A zero duration switches its event off, but for failingAfter.
type notifyPolicy struct {
	failingAfter, quietAfter, reloginBefore time.Duration
	diskLow                                 int64
}

// observe takes in an account's health.
func (p notifyPolicy) observe(t troubles, h Health) troubles {
	t.Open = slices.Clone(t.Open)
	login := askara.FaultOf(h.Failure) == askara.FaultLogin
	switch {
	case h.Failure == nil:
		t.FailingSince = time.Time{}
	case t.FailingSince.IsZero() && !login: // a missing login is a trouble of its own
		t.FailingSince = h.At
	}
	if h.New > 0 || t.NewAt.IsZero() || t.NewAt.After(h.At) {
		t.NewAt = h.At
	}
	t.set([]Event{EventPassFailing}, p.failing(t, h), h.At)
	t.set([]Event{EventLoginExpiring, EventLoginUncertain, EventLoginRequired}, p.login(h), h.At)
	t.set([]Event{EventParked}, parked(h), h.At)
	t.set([]Event{EventNothingNew}, p.quiet(t, h), h.At)
	return t
}

// set replaces the trouble of a kind, whose events are in order of gravity; nil says that there is none.
func (t *troubles) set(kind []Event, now *trouble, at time.Time) {
	i := slices.IndexFunc(t.Open, func(o trouble) bool { return slices.Contains(kind, o.Event) && o.EndedAt.IsZero() })
	switch {
	case i < 0 && now == nil:
		return
	case i < 0:
		t.resume(*now)
		return
	case now == nil:
		t.Open[i].EndedAt = at
		return
	}
	old := &t.Open[i]
	switch before, after := slices.Index(kind, old.Event), slices.Index(kind, now.Event); {
	case after == before:
		old.Message, old.Hint = now.Message, now.Hint
	case after > before: // it grew worse: the graver notice says all
		t.Open = slices.Delete(t.Open, i, i+1)
		t.resume(*now)
	default:
		old.EndedAt = at
		t.resume(*now)
	}
}

// resume opens a trouble. One that ended before anybody was told that it had goes on as if nothing had been.
func (t *troubles) resume(now trouble) {
	i := slices.IndexFunc(t.Open, func(o trouble) bool { return o.Event == now.Event })
	if i < 0 {
		t.Open = append(t.Open, now)
		return
	}
	now.Since, now.Told = t.Open[i].Since, t.Open[i].Told
	t.Open[i] = now
}

// due returns what has to be told now, in order. What ended before its start was told needs no word.
func (t *troubles) due(account string, at time.Time) []Notice {
	t.Open = slices.DeleteFunc(t.Open, func(o trouble) bool { return !o.Told && !o.EndedAt.IsZero() })
	var list []Notice
	for _, o := range t.Open {
		n := Notice{Event: o.Event, State: noticeStarted, Account: account, Since: o.Since, At: at, Message: o.Message, Hint: o.Hint}
		switch {
		case !o.EndedAt.IsZero():
			n.State, n.At, n.Message, n.Hint = noticeEnded, o.EndedAt, over(o, account), ""
			list = append(list, n)
		case !o.Told:
			list = append(list, n)
		}
	}
	return list
}

// told takes note that somebody was told.
func (t *troubles) told(n Notice) {
	for i := range t.Open {
		if o := &t.Open[i]; o.Event == n.Event {
			o.Told = true
			if n.State == noticeEnded {
				t.Open = slices.Delete(t.Open, i, i+1)
			}
			return
		}
	}
}

// has says whether a trouble is open.
func (t *troubles) has(events ...Event) bool {
	return slices.ContainsFunc(t.Open, func(o trouble) bool { return o.EndedAt.IsZero() && slices.Contains(events, o.Event) })
}

func (p notifyPolicy) failing(t troubles, h Health) *trouble {
	if t.FailingSince.IsZero() || h.Failure == nil || h.At.Sub(t.FailingSince) < p.failingAfter {
		return nil
	}
	if askara.FaultOf(h.Failure) == askara.FaultLogin && !t.has(EventPassFailing) {
		return nil
	}
	return &trouble{Event: EventPassFailing, Since: t.FailingSince, Hint: askara.HintOf(h.Failure),
		Message: fmt.Sprintf("account %s: passes fail since %s: %s", h.Account, stamp(t.FailingSince), brief(h.Failure.Error()))}
}

func (p notifyPolicy) login(h Health) *trouble {
	l := h.Login
	command := "sudo askara-sync login --account " + h.Account
	switch ends := l.Tokens.RefreshExpiresAt; {
	case l.State == askara.LoginRequired:
		reason := ""
		if l.Reason != "" {
			reason = ": " + brief(l.Reason)
		}
		return &trouble{Event: EventLoginRequired, Since: h.At, Message: "account " + h.Account + ": a person must log in" + reason, Hint: command}
	case l.State == askara.LoginUncertain:
		since := h.At
		if !l.LostAt.IsZero() {
			since = l.LostAt
		}
		return &trouble{Event: EventLoginUncertain, Since: since, Hint: "nothing to do yet: it is tried again by itself",
			Message: fmt.Sprintf("account %s: the login may be lost: %s", h.Account, brief(l.Reason))}
	case p.reloginBefore > 0 && !ends.IsZero() && ends.Sub(h.At) < p.reloginBefore:
		return &trouble{Event: EventLoginExpiring, Since: h.At, Hint: command,
			Message: fmt.Sprintf("account %s: the login ends on %s unless it can be renewed before", h.Account, stamp(ends))}
	}
	return nil
}

func parked(h Health) *trouble {
	if h.Parked <= 0 {
		return nil
	}
	documents := "1 document was"
	if h.Parked > 1 {
		documents = fmt.Sprintf("%d documents were", h.Parked)
	}
	return &trouble{Event: EventParked, Since: h.At, Message: fmt.Sprintf("account %s: %s given up", h.Account, documents),
		Hint: "askara-sync status says why; then askara-sync retry --account " + h.Account + " --all"}
}

func (p notifyPolicy) quiet(t troubles, h Health) *trouble {
	if p.quietAfter <= 0 || h.At.Sub(t.NewAt) < p.quietAfter {
		return nil
	}
	if !t.FailingSince.IsZero() || t.has(EventLoginRequired) { // then it is no wonder
		if !t.has(EventNothingNew) {
			return nil
		}
	}
	return &trouble{Event: EventNothingNew, Since: t.NewAt, Message: fmt.Sprintf("account %s: nothing new since %s", h.Account, stamp(t.NewAt)),
		Hint: "if that is not as expected, askara-sync doctor looks for the reason"}
}

// disk is the free space at a path.
type disk struct {
	path string
	free int64
}

// disks takes in the free space of the machine's disks. A trouble ends only once there is a fifth more than it takes to begin one.
func (p notifyPolicy) disks(t troubles, disks []disk, at time.Time) troubles {
	t.Open = slices.Clone(t.Open)
	var low []string
	least := p.diskLow
	if t.has(EventDiskLow) {
		least += least / 5
	}
	for _, d := range disks {
		if d.free < least {
			low = append(low, fmt.Sprintf("%d MiB left at %s", d.free>>20, d.path))
		}
	}
	var now *trouble
	if p.diskLow > 0 && len(low) > 0 {
		now = &trouble{Event: EventDiskLow, Since: at, Message: "disk space is low: " + strings.Join(low, ", "), Hint: "make room there"}
	}
	t.set([]Event{EventDiskLow}, now, at)
	return t
}

// over is the message for the end of a trouble.
func over(o trouble, account string) string {
	what := map[Event]string{
		EventPassFailing:    "passes succeed again",
		EventLoginExpiring:  "the login is renewed",
		EventLoginUncertain: "the login works again",
		EventLoginRequired:  "the login works again",
		EventParked:         "no document is given up any more",
		EventNothingNew:     "new documents come again",
		EventDiskLow:        "there is enough disk space again",
	}[o.Event]
	if account == "" {
		return what
	}
	return "account " + account + ": " + what
}

// stamp writes a time for people who may be anywhere.
func stamp(t time.Time) string { return t.Format("2006-01-02 15:04 MST") }

// brief keeps a reason on one line of bounded length.
func brief(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}
