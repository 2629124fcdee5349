package askara

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"time"
)

var headerNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestParseRate(t *testing.T) {
	unix := func(d time.Duration) string { return strconv.FormatInt(headerNow.Add(d).Unix(), 10) }
	for _, test := range []struct {
		name string
		h    http.Header
		want rateHeaders
	}{
		{"absent", nil, rateHeaders{}},
		{"documented", header("x-ratelimit-limit", "5000", "x-ratelimit-remaining", "4999", "x-ratelimit-reset", unix(90*time.Second)),
			rateHeaders{5000, 4999, true, headerNow.Add(90 * time.Second)}},
		{"reset now", header("x-ratelimit-limit", "5000", "x-ratelimit-remaining", "1", "x-ratelimit-reset", unix(0)), rateHeaders{5000, 1, true, time.Time{}}},
		{"reset past", header("x-ratelimit-reset", unix(-time.Hour)), rateHeaders{}},
		{"reset in milliseconds", header("x-ratelimit-reset", unix(60*time.Second)+"000"), rateHeaders{reset: headerNow.Add(time.Minute)}},
		{"reset as seconds from now", header("x-ratelimit-reset", "60"), rateHeaders{reset: headerNow.Add(time.Minute)}},
		{"reset with a fraction", header("x-ratelimit-reset", unix(time.Minute)+".5"), rateHeaders{reset: headerNow.Add(60500 * time.Millisecond)}},
		{"reset negative", header("x-ratelimit-reset", "-5"), rateHeaders{}},
		{"reset in ten years", header("x-ratelimit-reset", unix(10*365*24*time.Hour)), rateHeaders{}},
		{"reset is no number", header("x-ratelimit-reset", "soon"), rateHeaders{}},
		{"reset is NaN", header("x-ratelimit-reset", "NaN"), rateHeaders{}},
		{"reset overflows", header("x-ratelimit-reset", "99999999999999999999999999"), rateHeaders{}},
		{"our clock is an hour late", header("x-ratelimit-reset", unix(time.Hour+time.Minute), "Date", headerNow.Add(time.Hour).Format(http.TimeFormat)),
			rateHeaders{reset: headerNow.Add(time.Minute)}},
		{"limit of zero", header("x-ratelimit-limit", "0", "x-ratelimit-remaining", "0"), rateHeaders{}},
		{"limit negative", header("x-ratelimit-limit", "-1", "x-ratelimit-remaining", "0"), rateHeaders{}},
		{"limit too large", header("x-ratelimit-limit", "99999999999", "x-ratelimit-remaining", "5"), rateHeaders{}},
		{"remaining negative", header("x-ratelimit-limit", "5000", "x-ratelimit-remaining", "-1"), rateHeaders{}},
		{"remaining above limit", header("x-ratelimit-limit", "60", "x-ratelimit-remaining", "5000"), rateHeaders{60, 60, true, time.Time{}}},
		{"remaining alone", header("x-ratelimit-remaining", "7"), rateHeaders{}},
		{"with a policy", header("x-ratelimit-limit", "100, 100;w=60", "x-ratelimit-remaining", " 7 "), rateHeaders{100, 7, true, time.Time{}}},
	} {
		if got := parseRate(test.h, headerNow); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	for _, test := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"", 0, false},
		{"0", 0, true},
		{"30", 30 * time.Second, true},
		{"1.5", 1500 * time.Millisecond, true},
		{"86400", 24 * time.Hour, true}, // the caller caps it
		{"-1", 0, false},
		{"99999999999999999999", 0, false},
		{"1e400", 0, false},
		{"NaN", 0, false},
		{"Inf", 0, false},
		{"later", 0, false},
		{headerNow.Add(2 * time.Minute).Format(http.TimeFormat), 2 * time.Minute, true},
		{headerNow.Add(-time.Minute).Format(http.TimeFormat), -time.Minute, false},
	} {
		got, ok := parseRetryAfter(header("Retry-After", test.text), headerNow)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%q: got %v, %v, want %v, %v", test.text, got, ok, test.want, test.ok)
		}
	}
}

func FuzzRateHeaders(f *testing.F) {
	f.Add("5000", "4999", "1772366400", "Sun, 01 Mar 2026 12:00:00 GMT")
	f.Add("60, 60;w=60", "-1", "1772366400000", "")
	f.Add("0", "9223372036854775808", "-1e308", "yesterday")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, date string) {
		h := http.Header{headerLimit: {limit}, headerRemaining: {remaining}, headerReset: {reset}, headerDate: {date}}
		r := parseRate(h, headerNow)
		if r.ok && (r.limit <= 0 || r.limit > maxRateCount || r.remaining < 0 || r.remaining > r.limit) {
			t.Errorf("believed %+v", r)
		}
		if !r.reset.IsZero() && (!r.reset.After(headerNow) || r.reset.Sub(headerNow) > maxReset+time.Second) {
			t.Errorf("a reset at %v", r.reset)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"0", "-1", "86400", "1e9", "0x1p-2", "Sun, 01 Mar 2026 12:00:00 GMT", "Sunday, 01-Mar-26 12:00:00 GMT",
		"Sun, 01 Mar 7026 12:00:00 GMT"} {
		f.Add(text, 3)
	}
	p := policy{burst: 5000, refill: 500, every: 15 * time.Minute, reserve: 50}
	f.Fuzz(func(t *testing.T, text string, times int) {
		h := http.Header{headerRetryAfter: {text}}
		wait, ok := parseRetryAfter(h, headerNow)
		if ok && (wait < 0 || wait > math.MaxInt64/2) {
			t.Fatalf("asked to wait %v", wait)
		}
		var s BudgetState
		now := headerNow
		for range min(max(times, 1), 20) {
			p.open(&s, now)
			p.refuse(&s, wait, ok, now)
			if d := s.BlockedUntil.Sub(now); d < time.Second || d > p.every {
				t.Fatalf("blocked for %v", d)
			}
			now = s.BlockedUntil
		}
	})
}
