package askara

import (
	"slices"
	"time"
)

// report is what one process tells the state about its requests since it last did.
type report struct {
	holder string
	// granted is all that this process was ever granted; open is on its way; unsent was granted and is given back.
	granted      int64
	open, unsent int
	measure      measure
	// limit is the one that measure speaks of, 0 for none.
	limit  int
	news   news
	probed bool // this process's probe has been answered
}

// news is what answers said, beside the measure.
type news struct {
	header bool      // some told limit and remainder
	reset  time.Time // the last one's
	bare   int       // answers since then without
	others []BudgetLimit
	seen   int // headers of other limits
	// refused: an answer was 429; asked: it said for how long.
	refused, asked bool
	retryAfter     time.Duration
}

const (
	// maxOthers is how many limits beside the main one are kept.
	maxOthers = 3
	// unseenHeaders of other limits in a row mean that the main limit is no more.
	unseenHeaders = 20
)

// merge adds what came later.
func (n *news) merge(later news) {
	if later.header {
		n.header, n.reset, n.bare = true, later.reset, later.bare
	} else {
		n.bare += later.bare
	}
	for _, o := range later.others {
		n.other(o)
	}
	n.seen += later.seen
	n.refused = n.refused || later.refused
	n.asked = n.asked || later.asked
	n.retryAfter = max(n.retryAfter, later.retryAfter)
}

// other notes a header of another limit; the lowest remainder counts.
func (n *news) other(o BudgetLimit) {
	i := slices.IndexFunc(n.others, func(known BudgetLimit) bool { return known.Limit == o.Limit })
	if i >= 0 {
		o.Remaining = min(o.Remaining, n.others[i].Remaining)
		n.others[i] = o
	} else if len(n.others) < maxOthers {
		n.others = append(n.others, o)
	}
}

// settle brings an open state up to what a process reports.
func (p policy) settle(s *BudgetState, r report, now time.Time) {
	if l := s.lease(r.holder); l != nil {
		done := max(l.Outstanding-r.open, 0)
		s.Settled += int64(done)
		l.Outstanding -= done
		s.Remaining = min(s.Remaining+r.unsent, s.Limit)
		for i := range s.Others {
			s.Others[i].Remaining = min(s.Others[i].Remaining+r.unsent, s.Others[i].Limit)
		}
	}
	if r.news.header {
		s.Bare, s.Reset = r.news.bare, r.news.reset
		if r.limit >= s.Limit || s.HeaderAt.IsZero() {
			s.Limit, s.HeaderAt, s.Unseen = r.limit, now, 0
		}
	} else {
		s.Bare = min(s.Bare+r.news.bare, bareAnswers)
	}
	if r.limit == s.Limit {
		p.confirm(s, r, now)
	}
	p.noteOthers(s, r, now)
	if s.Probe.Holder == r.holder && r.probed {
		p.probed(s, r)
	}
	if r.news.refused {
		p.refuse(s, r.news.retryAfter, r.news.asked, now)
	}
}

// confirm corrects what remains by what was measured, down and up, and learns from the difference how the bucket fills.
func (p policy) confirm(s *BudgetState, r report, now time.Time) {
	m := r.measure
	before := s.Remaining
	if m.hasLeast {
		least := m.least - (s.Granted - r.granted - m.base)
		if gain := int(least) - before; least > int64(before) {
			s.Remaining = int(min(least, int64(s.Limit)))
			s.Refill.Gain += gain
			if gain >= p.refill/2 && m.at.Sub(s.Refill.ConfirmedAt) < p.every/60 {
				s.Refill.Drawn = max(s.Refill.Drawn-gain, 0) // nobody drew: an answer from before the step had come late
			}
			s.RaisedAt = m.at
			s.forgetExpired(now)
		}
		p.learn(s, before, int(least)-before, int(m.most)-before, m)
	}
	if m.hasMost && m.most < int64(s.Remaining) && m.mostAt.After(s.RaisedAt) {
		s.Refill.Drawn += s.Remaining - int(max(m.most, 0))
		s.Remaining = int(max(m.most, 0))
	}
	p.fade(s, now)
}

// fade makes what other software took long ago count less.
func (p policy) fade(s *BudgetState, now time.Time) {
	f := &s.Refill
	switch age := now.Sub(f.DrawnSince); {
	case f.DrawnSince.IsZero() || age < 0:
		f.Drawn, f.DrawnSince = 0, now
	case age > 4*p.every:
		f.Drawn, f.DrawnSince = f.Drawn/2, now.Add(-age/2)
	}
}

// due is how many drops fall in a time.
func (p policy) due(d time.Duration) int {
	return int(min(max(d.Seconds()/p.every.Seconds()*float64(p.refill), 0), maxRateCount))
}

// learn draws conclusions from the gain since ConfirmedAt, which is between least and most: a step, none, or drops.
func (p policy) learn(s *BudgetState, before, least, most int, m measure) {
	f := &s.Refill
	if least >= p.refill/2 { // others took what is missing of a step
		f.Drawn += max(p.refill-most, 0)
	}
	switch full := before >= s.Limit-p.refill; {
	case full: // a full bucket shows no refill
		f.ConfirmedAt, f.Since, f.Gain = later(f.ConfirmedAt, m.since), m.since, 0
		return
	case least >= p.refill/2 && least > p.due(m.at.Sub(f.ConfirmedAt))*3/2+lookDrops, least >= p.refill*9/10:
		p.stepped(s, m)
		return
	case most < p.refill/2:
		p.notStepped(s, m)
	case f.Mode == RefillDrops || least > 0:
		f.ConfirmedAt = later(f.ConfirmedAt, m.since)
	}
	due := p.due(m.since.Sub(f.Since))
	if due < lookDrops {
		return
	}
	switch {
	case f.Gain*2 >= due && f.Gain <= 2*due && f.Gain < p.refill/2:
		f.Mode = RefillDrops
	case (f.Gain+max(most-max(least, 0), 0))*3 < due:
		f.Mode = RefillSteps
	}
	f.Since, f.Gain = m.since, 0
}

// stepped: a whole refill has come since ConfirmedAt. That alone is also what drops make of a whole period.
func (p policy) stepped(s *BudgetState, m measure) {
	f := &s.Refill
	if m.at.Sub(f.ConfirmedAt) < p.every*6/10 || f.Mode == RefillSteps {
		f.Mode = RefillSteps
	}
	if m.at.Sub(f.ConfirmedAt) < p.every {
		after, before, _ := p.window(s)
		if before.After(m.at) {
			before = m.at
		}
		if !after.Before(before) {
			after, before = f.ConfirmedAt, m.at
		}
		f.After, f.Before = after, before
	}
	f.ConfirmedAt, f.Fruitless = m.at, 0
	f.Since, f.Gain = m.at, 0
}

// notStepped: no step has come from ConfirmedAt until the measure began.
func (p policy) notStepped(s *BudgetState, m measure) {
	f := &s.Refill
	if !m.since.After(f.ConfirmedAt) {
		return
	}
	if f.Mode != RefillDrops {
		after, before, _ := p.window(s)
		switch {
		case !m.since.Before(before): // it should have come: nothing is known any more
			f.After, f.Before = m.since.Add(-p.every), m.since
		case m.since.After(after):
			f.After, f.Before = m.since, before
		}
	}
	f.ConfirmedAt = m.since
}

// probed draws the conclusion from a probe's answer, which is already part of the state.
func (p policy) probed(s *BudgetState, r report) {
	probe, f := s.Probe, &s.Refill
	s.Probe = BudgetProbe{}
	if !r.news.refused {
		s.Refusals = 0
		p.reopen(s)
	}
	if s.Remaining > p.floor(s, WorkDownload) {
		f.Fruitless = 0
		if probe.ByReset {
			s.ResetMisses = 0
		}
		return
	}
	switch {
	case s.bare(): // the model goes on by its own count
		return
	case !probe.Sure:
	case probe.ByReset:
		s.ResetMisses++
	case f.Mode == RefillDrops:
		f.Mode = RefillUnknown
		f.After, f.Before = f.ConfirmedAt.Add(-p.every), f.ConfirmedAt
	default:
		f.Fruitless = min(f.Fruitless+1, 3)
	}
	f.ConfirmedAt = later(f.ConfirmedAt, s.UpdatedAt) // the next look is counted from this one, whatever it told
}

// reopen lets a little be taken of other limits whose time is over, though the answer did not speak of them.
func (p policy) reopen(s *BudgetState) {
	for i := range s.Others {
		if o := &s.Others[i]; o.Remaining <= p.spare(*o) && !s.UpdatedAt.Before(p.otherReset(*o)) {
			o.Remaining = p.spare(*o) + max(o.Limit/10, 1)
		}
	}
}

// noteOthers keeps account of limits of other sizes: each is obeyed, and the largest that is still seen is the main one.
func (p policy) noteOthers(s *BudgetState, r report, now time.Time) {
	reports := r.news.others
	if r.news.header && r.limit > 0 && r.limit < s.Limit && r.measure.hasMost {
		reports = append(slices.Clone(reports), BudgetLimit{Limit: r.limit, Remaining: int(max(r.measure.most, 0)), ResetsAt: r.news.reset, SeenAt: now})
		s.Unseen++
	}
	for _, o := range reports {
		p.noteOther(s, o)
	}
	s.Others = slices.DeleteFunc(s.Others, func(o BudgetLimit) bool { return o.Limit >= s.Limit || now.Sub(o.SeenAt) > p.every })
	if s.Unseen += r.news.seen; s.Unseen < unseenHeaders || len(s.Others) == 0 {
		return
	}
	main := slices.MaxFunc(s.Others, func(a, b BudgetLimit) int { return a.Limit - b.Limit })
	s.Limit, s.Remaining, s.Unseen = main.Limit, min(s.Remaining, main.Remaining), 0
	s.Others = slices.DeleteFunc(s.Others, func(o BudgetLimit) bool { return o.Limit >= s.Limit })
}

// noteOther merges one header of another limit. A higher remainder is believed only once its time is over: until then it may be old.
func (p policy) noteOther(s *BudgetState, o BudgetLimit) {
	i := slices.IndexFunc(s.Others, func(known BudgetLimit) bool { return known.Limit == o.Limit })
	if i < 0 {
		if len(s.Others) < maxOthers && o.Limit < s.Limit {
			s.Others = append(s.Others, o)
		}
		return
	}
	known := &s.Others[i]
	over := !o.SeenAt.Before(p.otherReset(*known)) || o.ResetsAt.After(known.ResetsAt.Add(time.Second)) && !known.ResetsAt.IsZero()
	if o.Remaining < known.Remaining || over {
		known.Remaining, known.ResetsAt = o.Remaining, o.ResetsAt
	}
	known.SeenAt = o.SeenAt
}
