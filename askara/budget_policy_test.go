package askara

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testPolicy = policy{burst: 5000, refill: 500, every: 15 * time.Minute, reserve: 50}

// at is a time after headerNow.
func at(d time.Duration) time.Time { return headerNow.Add(d) }

// learned is a state with headers, whose steps are known to come within a second of headerNow.
func learned(remaining int) BudgetState {
	return BudgetState{Limit: 5000, Remaining: remaining, UpdatedAt: headerNow, HeaderAt: headerNow,
		Refill: BudgetRefill{Mode: RefillSteps, After: at(-time.Second), Before: headerNow, ConfirmedAt: headerNow, Since: headerNow, DrawnSince: headerNow}}
}

// with changes a copy.
func (s BudgetState) with(change func(*BudgetState)) BudgetState {
	s = s.clone()
	change(&s)
	return s
}

func TestPolicyFloor(t *testing.T) {
	known := learned(100)
	unknown := known.with(func(s *BudgetState) { s.Refill.After = at(-15 * time.Minute) })
	small := known.with(func(s *BudgetState) { s.Limit = 40 })
	for _, test := range []struct {
		name  string
		state BudgetState
		want  []int // by work, best first
	}{
		{"known", known, []int{0, 51, 51, 51, 101}},
		{"time of refill unknown", unknown, []int{0, 55, 55, 55, 105}},
		{"limit below the reserve", small, []int{0, 20, 20, 20, 20}},
	} {
		var got []int
		for w := WorkLogin; w <= WorkBackfill; w++ {
			got = append(got, testPolicy.floor(&test.state, w))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestPolicyChunk(t *testing.T) {
	for _, test := range []struct{ free, holders, want int }{
		{-1, 1, 0}, {0, 1, 0}, {1, 1, 1}, {3, 2, 1}, {40, 1, 10}, {40, 2, 5}, {5000, 1, maxChunk},
	} {
		if got := chunk(test.free, test.holders); got != test.want {
			t.Errorf("chunk(%d, %d) = %d, want %d", test.free, test.holders, got, test.want)
		}
	}
}

func TestPolicyTake(t *testing.T) {
	spent := learned(51)
	step := at(15*time.Minute + tick)
	for _, test := range []struct {
		name  string
		state BudgetState
		work  Work
		now   time.Time
		want  grant
	}{
		{"plenty", learned(1051), WorkList, headerNow, grant{n: maxChunk}},
		{"little", learned(59), WorkList, headerNow, grant{n: 2}},
		{"spent: until the step", spent, WorkList, at(time.Minute), grant{at: at(time.Minute + glance), expected: step}},
		{"spent: a login may", spent, WorkLogin, headerNow, grant{n: 1}},
		{"nothing at all: a login waits too", learned(0), WorkLogin, headerNow, grant{at: at(glance), expected: step}},
		{"the step is due: one probe", spent, WorkList, step, grant{n: 1}},
		{"another's probe is out", spent.with(func(s *BudgetState) { s.Probe = BudgetProbe{Holder: "b", Until: step.Add(probeTime)} }),
			WorkList, step, grant{at: step.Add(peek), expected: step}},
		{"refused: nothing until then", learned(4000).with(func(s *BudgetState) { s.Refusals, s.BlockedUntil = 1, at(time.Minute) }),
			WorkLogin, headerNow, grant{at: at(glance), expected: at(time.Minute)}},
		{"refused: then one", learned(4000).with(func(s *BudgetState) { s.Refusals, s.BlockedUntil = 1, at(time.Minute) }),
			WorkList, at(time.Minute), grant{n: 1}},
		{"a second limit is spent", learned(4000).with(func(s *BudgetState) {
			s.Others = []BudgetLimit{{Limit: 60, Remaining: 6, ResetsAt: at(20 * time.Second), SeenAt: headerNow}}
		}), WorkList, headerNow, grant{at: at(20*time.Second + tick), expected: at(20*time.Second + tick)}},
		{"a second limit bounds the chunk", learned(4000).with(func(s *BudgetState) {
			s.Others = []BudgetLimit{{Limit: 60, Remaining: 26, SeenAt: headerNow}}
		}), WorkList, headerNow, grant{n: 5}},
		{"a lease expired: look at once", spent.with(func(s *BudgetState) {
			s.Leases = []BudgetLease{{Holder: "b", Outstanding: 30, ExpiresAt: at(time.Minute)}}
		}), WorkList, at(2 * time.Minute), grant{n: 1}},
	} {
		s := test.state.clone()
		testPolicy.open(&s, test.now)
		got := testPolicy.take(&s, demand{holder: "a", work: test.work, most: maxChunk}, test.now)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(grant{})); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// A probe, whatever becomes of it, never leads to another at once.
func TestPolicyNextStep(t *testing.T) {
	wide := learned(55).with(func(s *BudgetState) { s.Refill.After = at(-8 * time.Minute) })
	for _, test := range []struct {
		name  string
		state BudgetState
		want  time.Time
		sure  bool
	}{
		{"known", learned(51), at(15*time.Minute + tick), true},
		{"known roughly: the middle", wide, at(11 * time.Minute), false},
		{"known roughly, and no money to look", wide.with(func(s *BudgetState) { s.Remaining = 50 }), at(15*time.Minute + tick), true},
		{"known roughly, and others may have left nothing", wide.with(func(s *BudgetState) { s.Refill.Drawn, s.UpdatedAt = 60, at(15*time.Minute) }),
			at(15*time.Minute + tick), true},
		{"mode unknown: see if it drips", wide.with(func(s *BudgetState) { s.Refill.Mode = RefillUnknown }), at(18 * time.Second), false},
		{"nothing came once", learned(50).with(func(s *BudgetState) { s.Refill.Fruitless = 1 }), at(15 * time.Second), true},
		{"nothing came twice", learned(50).with(func(s *BudgetState) { s.Refill.Fruitless = 2 }), at(time.Minute), true},
		{"nothing comes", learned(50).with(func(s *BudgetState) { s.Refill.Fruitless = 3 }), at(15 * time.Minute), true},
	} {
		got, sure := testPolicy.nextStep(&test.state)
		if !got.Equal(test.want) || sure != test.sure {
			t.Errorf("%s: after %v, sure %v; want %v, %v", test.name, got.Sub(headerNow), sure, test.want.Sub(headerNow), test.sure)
		}
	}
}

// TestPolicyLooksSpareTheReserve: looks for a refill of unknown time leave enough for a sure probe that finds nothing after all.
func TestPolicyLooksSpareTheReserve(t *testing.T) {
	for remaining := 55; remaining > 50; remaining-- {
		s := learned(remaining).with(func(s *BudgetState) { s.Refill.After = at(-15 * time.Minute) })
		if _, sure := testPolicy.nextStep(&s); sure != (remaining <= 52) {
			t.Errorf("%d left and a reserve of 50: got a probe that is sure: %v", remaining, sure)
		}
	}
}

func TestPolicyNext(t *testing.T) {
	drops := learned(55).with(func(s *BudgetState) { s.Refill.Mode = RefillDrops })
	for _, test := range []struct {
		name  string
		state BudgetState
		want  time.Duration
	}{
		{"the header says earlier", learned(51).with(func(s *BudgetState) { s.Reset = at(time.Minute) }), time.Minute + tick},
		{"the header says later", learned(51).with(func(s *BudgetState) { s.Reset = at(40 * time.Minute) }), 15*time.Minute + tick},
		{"the header says later, and nothing came", learned(51).with(func(s *BudgetState) { s.Reset, s.Refill.Fruitless = at(40*time.Minute), 1 }), 40*time.Minute + tick},
		{"the header was wrong twice", learned(51).with(func(s *BudgetState) { s.Reset, s.ResetMisses = at(time.Minute), 2 }), 15*time.Minute + tick},
		{"drops", drops, dripChunk*1800*time.Millisecond + tick},
		{"no headers", learned(10).with(func(s *BudgetState) { s.Bare = bareAnswers }), 15 * time.Minute},
	} {
		got, _ := testPolicy.next(&test.state, WorkList)
		if d := got.Sub(headerNow); (d - test.want).Abs() > time.Millisecond {
			t.Errorf("%s: after %v, want %v", test.name, d, test.want)
		}
	}
}

func TestPolicyOpen(t *testing.T) {
	lease := func(s *BudgetState) {
		s.Granted, s.Settled = 100, 60
		s.Leases = []BudgetLease{{Holder: "b", Outstanding: 40, ExpiresAt: at(time.Minute)}}
	}
	for _, test := range []struct {
		name  string
		state BudgetState
		now   time.Time
		want  func(BudgetState) bool
	}{
		{"first", BudgetState{}, headerNow, func(s BudgetState) bool { return s.Limit == 5000 && s.Remaining == 5000 }},
		{"setting changed, no headers", BudgetState{Limit: 3000, Remaining: 2000}, headerNow, func(s BudgetState) bool { return s.Limit == 5000 && s.Remaining == 2000 }},
		{"setting changed, headers win", learned(10).with(func(s *BudgetState) { s.Limit = 9000 }), headerNow, func(s BudgetState) bool { return s.Limit == 9000 }},
		{"lease lives", learned(10).with(lease), at(59 * time.Second), func(s BudgetState) bool { return s.Settled == 60 && !s.Recount }},
		{"lease expired", learned(10).with(lease), at(time.Minute), func(s BudgetState) bool { return s.Settled == 100 && s.Recount && s.Remaining == 10 }},
		{"headers: the model adds nothing", learned(10), at(time.Hour), func(s BudgetState) bool { return s.Remaining == 10 }},
		{"no headers: the model adds", learned(10).with(func(s *BudgetState) { s.Bare = 3 }), at(44 * time.Minute), func(s BudgetState) bool { return s.Remaining == 1010 }},
		{"no headers: up to the limit", learned(10).with(func(s *BudgetState) { s.Bare = 3 }), at(1e6 * time.Hour), func(s BudgetState) bool { return s.Remaining == 5000 }},
		{"clock set back", learned(10).with(func(s *BudgetState) {
			s.UpdatedAt, s.BlockedUntil, s.Refusals = at(48*time.Hour), at(48*time.Hour), 1
			s.Leases = []BudgetLease{{Holder: "b", Outstanding: 4, ExpiresAt: at(48 * time.Hour)}}
			s.Probe = BudgetProbe{Holder: "b", Until: at(48 * time.Hour)}
		}), headerNow, func(s BudgetState) bool {
			return s.BlockedUntil.Equal(at(15*time.Minute)) && s.Leases[0].ExpiresAt.Equal(at(leaseTime)) && s.Probe == BudgetProbe{}
		}},
		{"nonsense in the ledger", BudgetState{Limit: 10, Remaining: -5, HeaderAt: headerNow}, headerNow, func(s BudgetState) bool { return s.Remaining == 0 }},
	} {
		s := test.state.clone()
		testPolicy.open(&s, test.now)
		if !test.want(s) {
			t.Errorf("%s: %+v", test.name, s)
		}
	}
}

func TestPolicyRefuse(t *testing.T) {
	for _, test := range []struct {
		name  string
		state BudgetState
		after time.Duration
		asked bool
		want  time.Duration
	}{
		{"asked", learned(0), 40 * time.Second, true, 40 * time.Second},
		{"asked for a day", learned(0), 24 * time.Hour, true, 15 * time.Minute},
		{"asked for nothing", learned(0), 0, true, time.Second},
		{"asked for nothing, once more", learned(0).with(func(s *BudgetState) { s.Refusals = 3 }), 0, true, time.Minute},
		{"not asked, the step is known", learned(0), 0, false, 15*time.Minute + tick - 0},
		{"not asked, the header names the reset", learned(0).with(func(s *BudgetState) { s.Reset = at(90 * time.Second) }), 0, false, 90*time.Second + tick},
		{"not asked, there should be plenty", learned(3000), 0, false, firstBackoff},
		{"not asked, the tenth time", learned(3000).with(func(s *BudgetState) { s.Refusals = 9 }), 0, false, 15 * time.Minute},
	} {
		s := test.state.clone()
		testPolicy.refuse(&s, test.after, test.asked, headerNow)
		if got := s.BlockedUntil.Sub(headerNow); got != min(test.want, testPolicy.every) {
			t.Errorf("%s: blocked for %v, want %v", test.name, got, test.want)
		}
	}
}

func TestPolicyLearn(t *testing.T) {
	// Each measure is of a bucket that held 51 at headerNow; least and most are what it was seen to have gained since.
	seen := func(least, most int, since time.Duration) measure {
		return measure{hasLeast: true, least: int64(51 + least), hasMost: true, most: int64(51 + most), since: at(since), at: at(since + 100*time.Millisecond),
			mostAt: at(since + 100*time.Millisecond)}
	}
	wide := learned(51).with(func(s *BudgetState) { s.Refill.After, s.Refill.Mode = at(-15*time.Minute), RefillUnknown })
	for _, test := range []struct {
		name      string
		state     BudgetState
		m         measure
		remaining int
		mode      RefillMode
		after     time.Duration // of the next step
		before    time.Duration
	}{
		{"nothing for a while: steps, and not yet", wide, seen(0, 1, 5*time.Minute), 51, RefillSteps, 5 * time.Minute, 15 * time.Minute},
		{"a step", wide, seen(500, 501, 5*time.Minute), 551, RefillSteps, 15 * time.Minute, 20*time.Minute + 100*time.Millisecond},
		{"most of a step: others drew", wide, seen(400, 400, 5*time.Minute), 451, RefillSteps, 15 * time.Minute, 20*time.Minute + 100*time.Millisecond},
		{"drops", wide, seen(60, 62, 2*time.Minute), 111, RefillDrops, 2 * time.Minute, 15 * time.Minute},
		{"others drew", learned(51), seen(-30, -30, time.Minute), 21, RefillSteps, 15*time.Minute - time.Second, 15 * time.Minute},
	} {
		s := test.state.clone()
		testPolicy.confirm(&s, report{holder: "a", limit: 5000, measure: test.m}, test.m.at)
		after, before, _ := testPolicy.window(&s)
		if s.Remaining != test.remaining || s.Refill.Mode != test.mode || after.Sub(headerNow) != test.after || before.Sub(headerNow) != test.before {
			t.Errorf("%s: remaining %d, mode %q, next step %v..%v; want %d, %q, %v..%v", test.name, s.Remaining, s.Refill.Mode,
				after.Sub(headerNow), before.Sub(headerNow), test.remaining, test.mode, test.after, test.before)
		}
	}
}

// The state travels as JSON between processes and versions.
func TestBudgetStateJSON(t *testing.T) {
	want := learned(77).with(func(s *BudgetState) {
		s.Leases = []BudgetLease{{"a", 3, at(time.Minute)}}
		s.Others = []BudgetLimit{{Limit: 60, Remaining: 3, SeenAt: headerNow}}
		s.Probe = BudgetProbe{Holder: "a", Until: at(time.Second), Sure: true}
		s.Recount, s.RaisedAt = true, headerNow
	})
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got BudgetState
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	raw, err = json.Marshal(BudgetState{})
	if err != nil || len(raw) > 120 {
		t.Errorf("the zero state is %s, %v", raw, err)
	}
}

func TestPolicyEstimate(t *testing.T) {
	s := learned(5000)
	for _, test := range []struct {
		requests int
		want     time.Duration
	}{{0, 0}, {4950, 0}, {4951, 15 * time.Minute}, {24_120, 39 * 15 * time.Minute}} {
		if got := testPolicy.estimate(&s, test.requests); got != test.want {
			t.Errorf("%d requests: got %v, want %v", test.requests, got, test.want)
		}
	}
}
