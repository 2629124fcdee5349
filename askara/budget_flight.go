package askara

import "time"

// flight counts one process's requests on their way, and finds out what their answers prove. Answers come out of order and do not say
// which request they belong to, so one that tells a higher remainder than the one before may be old, or may be the first after a
// refill. What settles it is counting: when an epoch begins with n requests on their way, then of the next n+1 answers at least one
// belongs to a request sent within the epoch. The lowest remainder of these answers is not above that one's, so what the bucket holds
// is at least this lowest remainder less everything that may have reached the bucket since the epoch began.
type flight struct {
	sent, answered int64
	// base is what other processes have settled of their requests, as last read from the store.
	base      int64
	old, last mark
	// epoch is under way; done is the last one that was completed, where fresh is set.
	epoch, done epoch
	fresh       bool
}

// mark remembers how many requests had been sent at a time.
type mark struct {
	at   time.Time
	sent int64
}

// epoch is a row of answers.
type epoch struct {
	answered  int64 // when it began, as the next two
	open      int64
	base      int64
	n         int64 // answers since
	least     int64 // the lowest remainder of them
	key       int64 // the lowest sum of a remainder and what was sent by then
	keyAt     time.Time
	since, at time.Time
}

// measure bounds what is left for requests not yet granted to anybody: between least, where it is set, and most.
type measure struct {
	hasLeast, hasMost bool
	// least still wants what other processes were granted to be taken off, beyond base.
	least, base int64
	most        int64
	mostAt      time.Time // when the answer came that tells most
	// since is before the first request that was measured was sent; at is when the last answer came.
	since, at time.Time
}

// lostAfter is how long an answer is waited for: longer than requests last.
const lostAfter = time.Minute

// send counts a request that is about to be sent.
func (f *flight) send(now time.Time) {
	f.age(now)
	if f.sent <= f.answered {
		f.begin(now)
	}
	f.sent++
}

// answer counts an answer; remaining is negative where it told nothing of the bucket.
func (f *flight) answer(remaining int, now time.Time) {
	f.age(now)
	f.answered = min(f.answered+1, f.sent)
	if remaining < 0 {
		return
	}
	e, r := &f.epoch, int64(remaining)
	if e.n == 0 || r < e.least {
		e.least = r
	}
	if key := r + f.sent; e.n == 0 || key < e.key {
		e.key, e.keyAt = key, now
	}
	e.n++
	e.at = now
	if e.n > e.open {
		f.done, f.fresh = *e, true
		f.begin(now)
	}
}

// begin starts an epoch.
func (f *flight) begin(now time.Time) {
	f.epoch = epoch{answered: f.answered, open: f.sent - f.answered, base: f.base, since: now}
}

// restart forgets what answers have proved so far: they spoke of another limit.
func (f *flight) restart(now time.Time) {
	f.done, f.fresh = epoch{}, false
	f.begin(now)
}

// open is how many requests are on their way.
func (f *flight) open() int { return int(f.sent - f.answered) }

// age gives up waiting for answers that have not come for long.
func (f *flight) age(now time.Time) {
	if f.last.at.IsZero() {
		f.old, f.last = mark{now, f.sent}, mark{now, f.sent}
	}
	if since := now.Sub(f.last.at); since < 0 || since >= lostAfter {
		f.old, f.last = f.last, mark{now, f.sent}
		f.answered = max(f.answered, f.old.sent)
	}
}

// measure returns what is proved at present.
func (f *flight) measure() measure {
	var m measure
	m.since, m.at, m.base = f.done.since, f.done.at, f.done.base
	if f.fresh {
		m.hasLeast, m.hasMost = true, true
		m.least = f.done.least - (f.sent - f.done.answered - 1)
		m.most, m.mostAt = f.done.key-f.sent, f.done.keyAt
	}
	if e := f.epoch; e.n > 0 {
		if most := e.key - f.sent; !m.hasMost || most < m.most {
			m.most, m.mostAt = most, e.keyAt
		}
		m.hasMost = true
	}
	return m
}
