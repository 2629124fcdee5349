package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
)

// seen is one pass in a row of them: what was seen, minutes after the one before, and what has to be told then.
type seen struct {
	after  time.Duration
	health Health
	want   []string
}

func TestNotifyPolicy(t *testing.T) {
	down := &askara.Error{Op: "list documents", Kind: askara.FaultService, Status: 503}
	gone := fmt.Errorf("refresh: %w", &askara.LoginError{Account: "a", State: askara.LoginRequired})
	required := askara.Login{State: askara.LoginRequired, Reason: "Askara refused it"}
	uncertain := askara.Login{State: askara.LoginUncertain, Reason: "an answer was lost"}
	ok := askara.Login{State: askara.LoginOK}
	const pass = 5 * time.Minute
	for _, test := range []struct {
		name  string
		steps []seen
	}{
		{"all is well", []seen{{pass, Health{Login: ok, New: 3}, nil}, {pass, Health{Login: ok}, nil}}},
		{"a short failure is nothing", []seen{{pass, Health{Login: ok, Failure: down}, nil}, {4 * pass, Health{Login: ok, Failure: down}, nil},
			{pass, Health{Login: ok}, nil}}},
		{"failing, once at the start and once at the end", []seen{
			{pass, Health{Login: ok, Failure: down}, nil},
			{6 * pass, Health{Login: ok, Failure: down}, []string{"pass_failing started"}},
			{pass, Health{Login: ok, Failure: down}, nil},
			{pass, Health{Login: ok}, []string{"pass_failing ended"}},
			{pass, Health{Login: ok}, nil}}},
		{"a missing login is no failing pass", []seen{
			{pass, Health{Login: required, Failure: gone}, []string{"login_required started"}},
			{12 * pass, Health{Login: required, Failure: gone}, nil},
			{pass, Health{Login: ok}, []string{"login_required ended"}}}},
		{"uncertain, then gone: the end of the first is no news", []seen{
			{pass, Health{Login: uncertain}, []string{"login_uncertain started"}},
			{pass, Health{Login: required, Failure: gone}, []string{"login_required started"}},
			{pass, Health{Login: ok}, []string{"login_required ended"}}}},
		{"expiring", []seen{
			{pass, Health{Login: askara.Login{State: askara.LoginOK, Tokens: askara.Tokens{RefreshExpiresAt: notifyBegin.Add(4 * day)}}}, []string{"login_expiring started"}},
			{pass, Health{Login: askara.Login{State: askara.LoginOK, Tokens: askara.Tokens{RefreshExpiresAt: notifyBegin.Add(30 * day)}}}, []string{"login_expiring ended"}}}},
		{"parked: more of them is no second trouble", []seen{
			{pass, Health{Login: ok, Parked: 1}, []string{"document_parked started"}},
			{pass, Health{Login: ok, Parked: 4}, nil},
			{pass, Health{Login: ok}, []string{"document_parked ended"}}}},
		{"nothing new", []seen{
			{pass, Health{Login: ok, New: 1}, nil},
			{71 * time.Hour, Health{Login: ok}, nil},
			{2 * time.Hour, Health{Login: ok}, []string{"nothing_new started"}},
			{24 * time.Hour, Health{Login: ok}, nil},
			{pass, Health{Login: ok, New: 1}, []string{"nothing_new ended"}}}},
		{"nothing new is no wonder without a login", []seen{
			{pass, Health{Login: required, Failure: gone}, []string{"login_required started"}},
			{80 * time.Hour, Health{Login: required, Failure: gone}, nil}}},
		{"two troubles", []seen{
			{pass, Health{Login: uncertain, Parked: 2}, []string{"login_uncertain started", "document_parked started"}},
			{pass, Health{Login: ok}, []string{"login_uncertain ended", "document_parked ended"}}}},
	} {
		p := notifyPolicy{failingAfter: 30 * time.Minute, quietAfter: 72 * time.Hour, reloginBefore: 5 * day}
		var memory troubles
		at := notifyBegin
		for i, step := range test.steps {
			at = at.Add(step.after)
			step.health.Account, step.health.At = "a", at
			memory = remembered(t, p.observe(memory, step.health))
			var got []string
			for _, n := range memory.due("a", at) {
				got = append(got, string(n.Event)+" "+n.State)
				memory.told(n)
			}
			if diff := cmp.Diff(step.want, got); diff != "" {
				t.Errorf("%s: pass %d: %s", test.name, i+1, diff)
			}
		}
	}
}

var notifyBegin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// remembered is what comes back from the notebook.
func remembered(t *testing.T, memory troubles) troubles {
	t.Helper()
	raw, err := json.Marshal(memory)
	if err != nil {
		t.Fatal(err)
	}
	var back troubles
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// A notice that could not be given: it stays due; a trouble that ends before is not spoken of; one that comes back before its end was
// told goes on.
func TestNotifyPolicyUntold(t *testing.T) {
	p := notifyPolicy{}
	parked, well := Health{Account: "a", At: notifyBegin, Parked: 1}, Health{Account: "a", At: notifyBegin.Add(time.Hour)}
	memory := p.observe(troubles{}, parked)
	if n := memory.due("a", notifyBegin); len(n) != 1 {
		t.Fatalf("due %v", n)
	}
	again := p.observe(memory, parked)
	if n := again.due("a", notifyBegin); len(n) != 1 || n[0].State != noticeStarted {
		t.Errorf("not told, and due %v", n)
	}
	memory = p.observe(again, well)
	if n := memory.due("a", notifyBegin); len(n) != 0 {
		t.Errorf("over before it was told, and due %v", n)
	}

	memory = p.observe(troubles{}, parked)
	memory.told(memory.due("a", notifyBegin)[0])
	memory = p.observe(memory, well)
	if n := memory.due("a", notifyBegin); len(n) != 1 || n[0].State != noticeEnded || n[0].Hint != "" {
		t.Errorf("over, and due %v", n)
	}
	memory = p.observe(memory, parked)
	if n := memory.due("a", notifyBegin); len(n) != 0 {
		t.Errorf("back before its end was told, and due %v", n)
	}
}

func TestNotifyPolicyDisks(t *testing.T) {
	p := notifyPolicy{diskLow: 1 << 30}
	var memory troubles
	for i, step := range []struct {
		free int64
		want string
	}{{2 << 30, ""}, {1 << 29, "disk_low started"}, {1<<30 + 1, ""}, {1<<30 + 1<<29, "disk_low ended"}, {1<<30 + 1, ""}} {
		memory = p.disks(memory, []disk{{"/srv", 1 << 40}, {"/var", step.free}}, notifyBegin)
		got := ""
		for _, n := range memory.due("", notifyBegin) {
			got += string(n.Event) + " " + n.State
			memory.told(n)
		}
		if got != step.want {
			t.Errorf("step %d: got %q, want %q", i+1, got, step.want)
		}
	}
}

// Every notice has a message, every start of a trouble that a person can end has a hint, and both are of bounded length.
func TestNotices(t *testing.T) {
	p := notifyPolicy{failingAfter: 1, quietAfter: 1, reloginBefore: day, diskLow: 1}
	long := errors.New(strings.Repeat("very long\n", 1000))
	old := troubles{FailingSince: notifyBegin.Add(-time.Hour), NewAt: notifyBegin.Add(-time.Hour)}
	seen := map[Event]bool{}
	for _, l := range []askara.Login{{State: askara.LoginRequired, Reason: long.Error()}, {State: askara.LoginUncertain},
		{State: askara.LoginOK, Tokens: askara.Tokens{RefreshExpiresAt: notifyBegin}}} {
		memory := p.observe(old, Health{Account: "a", At: notifyBegin, Failure: long, Parked: 2, Login: l})
		quiet := p.observe(troubles{NewAt: old.NewAt}, Health{Account: "a", At: notifyBegin, Login: askara.Login{State: askara.LoginOK}})
		memory.Open = append(memory.Open, quiet.Open...)
		memory = p.disks(memory, []disk{{"/srv", 0}}, notifyBegin)
		for _, n := range memory.due("a", notifyBegin) {
			seen[n.Event] = true
			if n.Message == "" || strings.Contains(n.Message, "\n") || len(n.Message) > 500 || n.Hint == "" && n.Event != EventPassFailing {
				t.Errorf("notice %+v", n)
			}
			if over(trouble{Event: n.Event}, "") == "" {
				t.Errorf("no message for the end of %s", n.Event)
			}
		}
	}
	if len(seen) != 7 {
		t.Errorf("saw only %v", seen)
	}
}
