package askara

import (
	"strings"
	"time"
)

// otherLayouts are the ways to write an instant that are understood beside the documented one; time.Parse takes a fraction of a
// second after any of them, with a point or a comma.
func otherLayouts() []string {
	return []string{
		"2006-01-02T15:04:05Z0700",
		"2006-01-02T15:04:05Z07",
		"2006-01-02T15:04:05",
		"2006-01-02T15:04Z07:00",
		"2006-01-02T15:04",
		time.DateOnly,
	}
}

const (
	// firstYear and lastYear bound what is believed. PHP writes an empty date as the year 0 or -1, and a typing error must not lead
	// a cursor into the far future.
	firstYear = 1800
	lastYear  = 2200
	// maxTime is longer than any date with nine digits of a second.
	maxTime = 40
)

// parseTime reads an ISO 8601 date and time: with offset, Z, or neither, which is taken for UTC; a date alone is its midnight UTC.
// The result is in UTC. What is absent, unreadable or absurd is the zero time.
func parseTime(text string) time.Time {
	text = strings.TrimSpace(text)
	if len(text) < len(time.DateOnly) || len(text) > maxTime {
		return time.Time{}
	}
	if text[10:] != "" && (text[10] == ' ' || text[10] == 't') {
		text = text[:10] + "T" + text[11:]
		text = strings.Replace(text, " ", "", 1) // before the offset, as databases write it
	}
	if last := len(text) - 1; text[last] == 'z' {
		text = text[:last] + "Z"
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return believed(t.UTC())
	}
	for _, layout := range otherLayouts() {
		if t, err := time.Parse(layout, text); err == nil {
			return believed(t.UTC())
		}
	}
	return time.Time{}
}

// parseDate reads the calendar date at the beginning of an ISO 8601 date or date and time, at midnight UTC. The offset is not
// applied: a birthday is a page of a calendar, not an instant.
func parseDate(text string) time.Time {
	text = strings.TrimSpace(text)
	if len(text) < len(time.DateOnly) || len(text) > maxTime {
		return time.Time{}
	}
	if rest := text[10:]; rest != "" && !strings.ContainsRune("Tt ", rune(rest[0])) {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, text[:10])
	if err != nil {
		return time.Time{}
	}
	return believed(t)
}

// believed returns t, or the zero time for a year that nothing here can be about.
func believed(t time.Time) time.Time {
	if t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}
	}
	return t
}
