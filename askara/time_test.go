package askara_test

import (
	"encoding/json"
	"testing"
	"time"

	"askara-sync/askara"
)

// documentWith decodes a document with one more property, whose value is given as JSON.
func documentWith(t *testing.T, key, value string) askara.Document {
	t.Helper()
	d, err := askara.DecodeDocument([]byte(`{"uuid":"`+uuidA+`","`+key+`":`+value+`}`), askara.DefaultContract())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func quote(t *testing.T, s string) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 2, 24, 10, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		text string
		want time.Time
	}{
		{"2026-02-24T10:30:00+00:00", at},
		{"2026-02-24T10:30:00Z", at},
		{"2026-02-24t10:30:00z", at},
		{"2026-02-24T11:30:00+01:00", at},
		{"2026-02-24T05:00:00-05:30", at},
		{"2026-02-24T11:30:00+0100", at},
		{"2026-02-24T11:30:00+01", at},
		{"2026-02-24 11:30:00 +01:00", at},
		{"2026-02-24 10:30:00", at},
		{"2026-02-24T10:30:00", at},
		{"2026-02-24T10:30", at},
		{"2026-02-24T10:30Z", at},
		{" 2026-02-24T10:30:00Z ", at},
		{"2026-02-24T10:30:00.123456+00:00", at.Add(123456 * time.Microsecond)},
		{"2026-02-24T10:30:00,5Z", at.Add(500 * time.Millisecond)},
		{"2026-02-24T10:30:00.123456789+0000", at.Add(123456789)},
		{"2026-02-24", at.Truncate(24 * time.Hour)},
		{"", time.Time{}},
		{"yesterday", time.Time{}},
		{"0000-00-00T00:00:00+00:00", time.Time{}},
		{"-0001-11-30T00:00:00+00:00", time.Time{}},
		{"0001-01-01T00:00:00Z", time.Time{}},
		{"9999-12-31T23:59:59Z", time.Time{}},
		{"2026-02-30", time.Time{}},
		{"2026-02-24T25:00:00Z", time.Time{}},
		{"24/02/2026", time.Time{}},
		{"2026-02-24T10:30:00Z; drop table", time.Time{}},
	} {
		if got := documentWith(t, "updatedAt", quote(t, test.text)).UpdatedAt; !got.Equal(test.want) || got.Location() != time.UTC {
			t.Errorf("%q: got %v, want %v", test.text, got, test.want)
		}
	}
	for _, value := range []string{"null", "0", "1771929000", "true", "{}", "[]", `{"date":"2026-02-24"}`} {
		if got := documentWith(t, "updatedAt", value).UpdatedAt; !got.IsZero() {
			t.Errorf("%s: got %v, want the zero time", value, got)
		}
	}
}

func TestBirthdayIsADayOfTheCalendar(t *testing.T) {
	want := time.Date(1950, 3, 31, 0, 0, 0, 0, time.UTC)
	for _, text := range []string{"1950-03-31", "1950-03-31T00:00:00+01:00", "1950-03-31T23:59:59-11:00", "1950-03-31 00:00:00"} {
		if got := documentWith(t, "patient", `{"dateOfBirth":`+quote(t, text)+`}`).Patient.DateOfBirth; !got.Equal(want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "1950", "1950-13-01", "1950-03-31x", "0000-00-00", "31/03/1950"} {
		if got := documentWith(t, "patient", `{"dateOfBirth":`+quote(t, text)+`}`).Patient.DateOfBirth; !got.IsZero() {
			t.Errorf("%q: got %v, want the zero time", text, got)
		}
	}
}

func FuzzTime(f *testing.F) {
	for _, text := range []string{"2026-02-24T10:30:00+00:00", "2026-02-24", "2026-02-24 10:30:00.5 +0100", "-0001-11-30T00:00:00+00:00", "9999-12-31"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := documentWith(t, "updatedAt", quote(t, text))
		if d.UpdatedAt.IsZero() {
			return
		}
		if y := d.UpdatedAt.Year(); y < 1800 || y > 2200 {
			t.Errorf("%q: the year %d is believed", text, y)
		}
		// What is read is written and read again as the same instant: cursors depend on it.
		again := documentWith(t, "updatedAt", quote(t, d.UpdatedAt.Format(time.RFC3339Nano)))
		if !again.UpdatedAt.Equal(d.UpdatedAt) {
			t.Errorf("%q: got %v, then %v", text, d.UpdatedAt, again.UpdatedAt)
		}
	})
}
