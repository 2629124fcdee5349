package sync

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"askara-sync/askara"
)

// Schedule says when passes are due. The zero value is not usable; ParseSchedule makes one.
type Schedule struct {
	every    time.Duration      // where it is not zero, the rest is not used
	fields   *cron.SpecSchedule // on a clock that never changes
	hourly   bool               // it runs in every hour of its days
	location *time.Location
}

const (
	// leastEvery is the shortest interval: Askara is asked once each time, for every account.
	leastEvery = 10 * time.Second
	mostEvery  = 366 * 24 * time.Hour
	// mostSpec is longer than any schedule that a person writes.
	mostSpec = 256
)

// ScheduleError says what is wrong with a schedule and what to write instead.
type ScheduleError struct{ Problem string }

// Error begins with the configuration's key.
func (e *ScheduleError) Error() string { return "schedule: " + e.Problem }

// Fault says that a setting is wrong.
func (e *ScheduleError) Fault() askara.Fault { return askara.FaultConfiguration }

func badSchedule(format string, args ...any) (Schedule, error) {
	return Schedule{}, &ScheduleError{Problem: fmt.Sprintf(format, args...)}
}

// ParseSchedule reads five cron fields, a word such as "@hourly", or "@every 2m", on the clock of a location; nil is the
// machine's. Its error is a
// *ScheduleError. A schedule that never fires is an error.
func ParseSchedule(spec string, location *time.Location) (Schedule, error) {
	if location == nil {
		location = time.Local
	}
	spec = strings.TrimSpace(spec)
	switch upper := strings.ToUpper(spec); {
	case spec == "" || len(spec) > mostSpec:
		return badSchedule(`must be five cron fields such as "*/5 * * * *", or "@every 2m"`)
	case strings.HasPrefix(upper, "TZ=") || strings.HasPrefix(upper, "CRON_TZ="):
		return badSchedule(`must not name a time zone; write time_zone = "Europe/Paris" instead`)
	case upper == "@REBOOT":
		return badSchedule(`must not be @reboot: a pass runs at every start anyway; write when the next ones are due, such as "@every 5m"`)
	case strings.HasPrefix(upper, "@EVERY"):
		return parseEvery(strings.TrimSpace(spec[len("@every"):]))
	}
	fields, err := parseFields(spec)
	if err != nil {
		return Schedule{}, err
	}
	s := Schedule{fields: fields, hourly: fields.Hour&everyHour == everyHour, location: location}
	if s.after(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return badSchedule(`never comes: no such day exists; write another day or month, such as "0 6 1 * *" for the first of each month`)
	}
	return s, nil
}

// parseEvery reads the interval of "@every".
func parseEvery(text string) (Schedule, error) {
	every, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return badSchedule(`must say how often after @every, such as "@every 2m" or "@every 1h30m"`)
	case every < leastEvery:
		return badSchedule(`must leave at least %v between passes, such as "@every 2m"`, leastEvery)
	case every > mostEvery:
		return badSchedule(`must not leave more than a year between passes, such as "@every 24h"`)
	}
	return Schedule{every: every}, nil
}

// everyHour has a bit for each hour.
const everyHour = 1<<24 - 1

// cronFields are the five fields, with what may be in them.
var cronFields = [...]struct{ name, values string }{
	{"minute", "0 to 59"}, {"hour", "0 to 23"}, {"day of the month", "1 to 31"}, {"month", "1 to 12 or jan to dec"},
	{"day of the week", "0 to 6 or sun to sat, where 0 is Sunday"},
}

// parseFields reads cron fields or a word; a fault is told by the field.
func parseFields(spec string) (*cron.SpecSchedule, error) {
	if strings.HasPrefix(spec, "@") {
		fields, ok := parseCron(spec)
		if !ok {
			_, err := badSchedule(`knows the words @hourly, @daily, @weekly, @monthly, @yearly and @every; write one of them, or five cron fields`)
			return nil, err
		}
		return fields, nil
	}
	words := strings.Fields(spec)
	if len(words) != len(cronFields) {
		_, err := badSchedule(`must have five fields (minute, hour, day of the month, month, day of the week), such as "*/5 * * * *"; this has %d`, len(words))
		return nil, err
	}
	for i, word := range words {
		alone := []string{"*", "*", "*", "*", "*"}
		alone[i] = word
		if fields, ok := parseCron(strings.Join(alone, " ")); !ok || empty(fields) {
			f := cronFields[i]
			_, err := badSchedule(`has a %s that makes no sense, field %d; it takes %s, alone or as in "1,3", "1-5", "*/2", or "*"`, f.name, i+1, f.values)
			return nil, err
		}
	}
	fields, ok := parseCron(strings.Join(words, " "))
	if !ok {
		return nil, &ScheduleError{Problem: `must be five cron fields such as "*/5 * * * *", or "@every 2m"`}
	}
	return fields, nil
}

// parseCron is the library's parser, which panics on some texts.
func parseCron(spec string) (fields *cron.SpecSchedule, ok bool) {
	defer func() {
		if recover() != nil {
			fields, ok = nil, false
		}
	}()
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	s, err := parser.Parse(spec)
	if err != nil {
		return nil, false
	}
	if fields, ok = s.(*cron.SpecSchedule); ok {
		fields.Location = time.UTC
	}
	return fields, ok
}

// empty says whether a field allows no value at all, as "," does.
func empty(s *cron.SpecSchedule) bool {
	const star = 1 << 63
	for _, bits := range []uint64{s.Minute, s.Hour, s.Dom, s.Month, s.Dow} {
		if bits&^star == 0 {
			return true
		}
	}
	return false
}

// Next returns when the next pass is due, strictly after the given time; never the zero time. Ticks that were missed before it are
// not made up for.
//
// When clocks are set forward, a pass whose hour is left out is due at the moment they are set; when they are set back, a pass in the
// hour that comes twice is due the first time only. A schedule for every hour goes on through both.
func (s Schedule) Next(after time.Time) time.Time {
	if s.every > 0 {
		return after.Add(s.every)
	}
	var next time.Time
	if s.hourly {
		next = s.nextRunning(after.In(s.location))
	} else {
		next = s.nextFixed(after.In(s.location))
	}
	if next.IsZero() { // cannot be; a loop that got it would never rest
		next = after.Add(24 * time.Hour)
	}
	return next
}

// nextFixed is Next for schedules at fixed hours: the earliest time whose first showing is after t.
func (s Schedule) nextFixed(t time.Time) time.Time {
	const mostShift = 25 * time.Hour // a clock was once set by a whole day
	from := onWall(t)
	if start, _ := t.ZoneBounds(); !start.IsZero() && t.Sub(start) < mostShift {
		from = from.Add(-mostShift) // the clock may show again what it has shown
	}
	for wall := s.after(from); !wall.IsZero(); wall = s.after(wall) {
		if next := firstShown(wall, s.location); next.After(t) {
			return next
		}
	}
	return time.Time{}
}

// nextRunning is Next for schedules of every hour: the next time that the clock shows one of theirs, be it the second time.
func (s Schedule) nextRunning(t time.Time) time.Time {
	wall := s.after(onWall(t))
	for range 1000 { // clock changes until a day of the schedule comes
		_, offset := t.Zone()
		end := zoneEnd(t)
		next := wall.Add(-time.Duration(offset) * time.Second)
		if wall.IsZero() || end.IsZero() || next.Before(end) {
			return next.In(s.location)
		}
		t = end.In(s.location)
		wall = s.after(onWall(t).Add(-time.Second))
	}
	return time.Time{}
}

// zoneEnd is when the offset at t ends, zero for never. Of a year with 366 days that only a rule tells of, package time ends the last
// zone a day early, which on that day is not after t; the offset lasts to the end of the day, at least.
func zoneEnd(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		end = t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	return end
}

// after returns the next time of the schedule on a clock that never changes, the zero time if there is none.
func (s Schedule) after(wall time.Time) time.Time {
	for range 3 { // the library looks five years ahead; around 2100 a 29 February is eight years away
		if next := s.fields.Next(wall); !next.IsZero() {
			return next
		}
		wall = wall.AddDate(4, 0, 0)
	}
	return time.Time{}
}

// onWall returns what the clock shows at t, as a time in UTC.
func onWall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// firstShown returns when clocks in the location show a time first; for one that is left out, when they are set past it.
func firstShown(wall time.Time, location *time.Location) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, location)
	start, end := t.ZoneBounds()
	if !onWall(t).Equal(wall) {
		if !start.IsZero() && onWall(start.Add(-1)).Before(wall) && onWall(start).After(wall) {
			return start
		}
		return end
	}
	if !start.IsZero() {
		_, now := t.Zone()
		_, before := start.Add(-1).Zone()
		if first := t.Add(-time.Duration(before-now) * time.Second); first.Before(start) && onWall(first.In(location)).Equal(wall) {
			return first
		}
	}
	return t
}
