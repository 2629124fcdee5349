package sync_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // machines without a zone database run these tests too

	"askara-sync/askara"
	"askara-sync/sync"
)

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func schedule(t testing.TB, spec, zone string) sync.Schedule {
	t.Helper()
	s, err := sync.ParseSchedule(spec, location(t, zone))
	if err != nil {
		t.Fatalf("%q: %v", spec, err)
	}
	return s
}

func TestScheduleNext(t *testing.T) {
	for _, test := range []struct {
		name, spec, zone, after string
		want                    []string
	}{
		{"every five minutes", "*/5 * * * *", "Europe/Paris", "2026-01-31T10:02:03+01:00", []string{"2026-01-31T10:05:00+01:00", "2026-01-31T10:10:00+01:00"}},
		{"strictly after", "0 6 * * *", "Europe/Paris", "2026-01-31T06:00:00+01:00", []string{"2026-02-01T06:00:00+01:00"}},
		{"every interval", "@every 2m30s", "Europe/Paris", "2026-01-31T06:00:01+01:00", []string{"2026-01-31T06:02:31+01:00", "2026-01-31T06:05:01+01:00"}},
		{"daily", "@daily", "Europe/Paris", "2026-01-31T06:00:00+01:00", []string{"2026-02-01T00:00:00+01:00"}},
		{"weekdays", "15 7-19 * * mon-fri", "Europe/Paris", "2026-01-30T19:20:00+01:00", []string{"2026-02-02T07:15:00+01:00"}},
		{"29 February", "0 0 29 2 *", "Europe/Paris", "2026-01-30T19:20:00+01:00", []string{"2028-02-29T00:00:00+01:00"}},
		{"29 February around 2100", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},

		{"forward: the hour left out is due at the jump", "30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"forward: several in the hour are one", "*/10 2 * * *", "Europe/Paris", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"forward: one at the jump and one in the hour are one", "0 2,3 * * *", "Europe/Paris", "2026-03-29T00:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"forward: intervals go on", "*/30 * * * *", "Europe/Paris", "2026-03-29T01:15:00+01:00",
			[]string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"}},
		{"forward: once an hour goes on", "30 * * * *", "Europe/Paris", "2026-03-29T01:15:00+01:00",
			[]string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"}},

		{"back: the hour that comes twice counts once", "30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"back: asked in between", "30 2 * * *", "Europe/Paris", "2026-10-25T02:15:00+01:00", []string{"2026-10-26T02:30:00+01:00"}},
		{"back: every two hours", "0 */2 * * *", "Europe/Paris", "2026-10-25T01:00:00+02:00",
			[]string{"2026-10-25T02:00:00+02:00", "2026-10-25T04:00:00+01:00"}},
		{"back: intervals go on through both", "*/30 * * * *", "Europe/Paris", "2026-10-25T02:15:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:00:00+01:00"}},

		{"half an hour forward", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"half an hour back", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00",
			[]string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"half an hour back, intervals", "*/15 * * * *", "Australia/Lord_Howe", "2026-04-05T01:50:00+11:00",
			[]string{"2026-04-05T01:30:00+10:30", "2026-04-05T01:45:00+10:30", "2026-04-05T02:00:00+10:30"}},
		{"midnight left out", "0 0 * * *", "America/Sao_Paulo", "2017-10-14T12:00:00-03:00",
			[]string{"2017-10-15T01:00:00-02:00", "2017-10-16T00:00:00-02:00"}},
		{"midnight left out, intervals of one day", "*/30 * 15 10 *", "America/Sao_Paulo", "2017-10-14T12:00:00-03:00",
			[]string{"2017-10-15T01:00:00-02:00", "2017-10-15T01:30:00-02:00"}},
		{"a whole day left out", "0 12 * * *", "Pacific/Apia", "2011-12-29T11:00:00-10:00",
			[]string{"2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"}},
		{"a machine on another clock", "0 6 * * *", "Europe/Paris", "2026-07-01T03:30:00Z", []string{"2026-07-01T06:00:00+02:00"}},
	} {
		s := schedule(t, test.spec, test.zone)
		at, err := time.Parse(time.RFC3339, test.after)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range test.want {
			at = s.Next(at)
			if w, err := time.Parse(time.RFC3339, want); err != nil || !at.Equal(w) {
				t.Errorf("%s: %q, time %d: got %s, want %s", test.name, test.spec, i+1, at.Format(time.RFC3339), want)
				break
			}
		}
	}
}

func TestScheduleRefused(t *testing.T) {
	for _, test := range []struct{ spec, says string }{
		{"", `"*/5 * * * *"`},
		{"   ", `"*/5 * * * *"`},
		{strings.Repeat("1,", 500) + "1 * * * *", `"*/5 * * * *"`},
		{"TZ=0", "time_zone"}, // the library panics
		{"TZ=Europe/Paris 0 6 * * *", "time_zone"},
		{"CRON_TZ=UTC 0 6 * * *", "time_zone"},
		{"@reboot", "at every start"},
		{"@every -5m", "at least 10s"}, // the library makes it a second
		{"@every 0s", "at least 10s"},
		{"@every 9s", "at least 10s"},
		{"@every 1ns", "at least 10s"},
		{"@every 100000h", "a year"},
		{"@every", "@every 2m"},
		{"@every day", "@every 2m"},
		{"@fortnightly", "@weekly"},
		{"0 0 31 2 *", "never comes"},
		{"0 0 30 2 *", "never comes"},
		{"0 0 31 4,6,9,11 *", "never comes"},
		{"* * * *", "this has 4"},
		{"0 */5 * * * *", "this has 6"},
		{"60 * * * *", "minute that makes no sense, field 1"},
		{"0 24 * * *", "hour that makes no sense, field 2"},
		{"0 0 0 * *", "day of the month that makes no sense, field 3"},
		{"0 0 1 13 *", "month that makes no sense, field 4"},
		{"0 0 * * 7", "day of the week that makes no sense, field 5"},
		{"*/0 * * * *", "field 1"},
		{", * * * *", "field 1"}, // the library takes it for a minute that never comes
		{"-5 * * * *", "field 1"},
		{"5-1 * * * *", "field 1"},
		{"99999999999999999999 * * * *", "field 1"},
		{"a\x00b * * * *", "field 1"},
	} {
		_, err := sync.ParseSchedule(test.spec, time.UTC)
		if err == nil {
			t.Errorf("%q was taken", test.spec)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "schedule: ") || !strings.Contains(text, test.says) {
			t.Errorf("%q: %q does not say %q", test.spec, text, test.says)
		}
		if askara.FaultOf(err) != askara.FaultConfiguration {
			t.Errorf("%q: fault %v", test.spec, askara.FaultOf(err))
		}
	}
}

// A loop that asks for the next time from now on counts what it missed as nothing: after a sleep of days there is one next time.
func TestScheduleAfterALongSleep(t *testing.T) {
	s := schedule(t, "*/5 * * * *", "Europe/Paris")
	woke := time.Date(2026, 5, 20, 8, 1, 0, 0, location(t, "Europe/Paris"))
	if got, want := s.Next(woke), woke.Add(4*time.Minute); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Through years of clock changes a daily pass comes once on every calendar day, and an interval never pauses.
func TestScheduleThroughTheYears(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Paris", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Beirut"} {
		loc := location(t, zone)
		begin := time.Date(2015, 9, 1, 12, 0, 0, 0, loc)
		for _, spec := range []string{"30 2 * * *", "0 0 * * *", "15 1 * * *", "59 23 * * *"} {
			s := schedule(t, spec, zone)
			for at, days := s.Next(begin), 0; days < 3*365; days++ {
				next := s.Next(at)
				y, m, d := time.Date(at.Year(), at.Month(), at.Day()+1, 12, 0, 0, 0, loc).Date()
				if ny, nm, nd := next.Date(); ny != y || nm != m || nd != d {
					t.Fatalf("%s %q: after %v comes %v", zone, spec, at, next)
				}
				at = next
			}
		}
		s := schedule(t, "*/15 * * * *", zone)
		for at := s.Next(begin); at.Before(begin.AddDate(0, 8, 0)); {
			next := s.Next(at)
			if d := next.Sub(at); d != 15*time.Minute {
				t.Fatalf("%s: %v after %v", zone, d, at)
			}
			at = next
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, spec := range []string{"*/5 * * * *", "@every 2m", "TZ=0", "TZ=", "CRON_TZ=UTC * * * * *", "@every -5m", "0 0 31 2 *", "30 2 * * *",
		"?,? * * * *", "*/9223372036854775807 * * * *", "@daily", "0 0 29 2 1"} {
		f.Add(spec, int64(1774746000))
	}
	f.Add("@hourly", int64(2240521800))     // 2040-12-31 00:10 UTC
	f.Add("*/5 * * * *", int64(2240524700)) // 23:58:20
	zones := []*time.Location{location(f, "Europe/Paris"), location(f, "Australia/Lord_Howe"), location(f, "America/Sao_Paulo")}
	f.Fuzz(func(t *testing.T, spec string, unix int64) {
		after := time.Unix(unix%(80*365*86400), unix&0xfffffff)
		for _, zone := range zones {
			s, err := sync.ParseSchedule(spec, zone)
			if err != nil {
				return
			}
			next := s.Next(after)
			if !next.After(after) || next.Sub(after) > 9*366*24*time.Hour {
				t.Fatalf("%q: after %v comes %v", spec, after, next)
			}
			if again := s.Next(next); !again.After(next) {
				t.Fatalf("%q: after %v comes %v", spec, next, again)
			}
			if between := s.Next(after.Add(next.Sub(after) / 2)); !between.Equal(next) && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(spec)), "@every") {
				t.Fatalf("%q: %v or %v", spec, next, between)
			}
		}
	})
}
