package cli_test

import (
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/cli"
)

func TestParseDuration(t *testing.T) {
	tests := map[string]time.Duration{
		"0s": 0, "90s": 90 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour,
	}
	for text, want := range tests {
		got, err := cli.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
		if again, err := cli.ParseDuration(cli.FormatDuration(got)); err != nil || again != got {
			t.Errorf("%q is written %q, which is read as %v, %v", text, cli.FormatDuration(got), again, err)
		}
	}
	for _, text := range []string{"", "5", "-5m", "5m-3m", "+5m", "d", "-1d", "1d-2h", "1d1d", "1.5d", "99999999999d", "106751d2562047h", "five days"} {
		if got, err := cli.ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	tests := map[string]cli.Size{"0": 0, "0B": 0, "512B": 512, "1kB": 1000, "1KiB": 1024, "100MiB": 100 << 20, "1.5GiB": 3 << 29, "2 GB": 2e9}
	for text, want := range tests {
		got, err := cli.ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
		if again, err := cli.ParseSize(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, which is read as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "5", "MiB", "-1MiB", "+1MiB", "1e3MiB", "infMiB", "NaNGiB", "1..5GiB", "99999999999999GiB", "0x10B", "100mib"} {
		if got, err := cli.ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestParseMoment(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]time.Time{
		"2026-01-31":                time.Date(2026, 1, 31, 0, 0, 0, 0, paris),
		"2026-07-31":                time.Date(2026, 7, 30, 22, 0, 0, 0, time.UTC),
		"2026-01-31T10:00:00+01:00": time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC),
		"2026-01-31T10:00:00Z":      time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC),
		"30d":                       statusNow.Add(-30 * statusDay),
	}
	for text, want := range tests {
		if got, err := cli.ParseMoment(text, statusNow, paris); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-02-30", "2026-1-5", "31.01.2026", "-5d", "0s", "2026-01-31T10:00", "2026-01-31 10:00:00"} {
		if got, err := cli.ParseMoment(text, statusNow, paris); askara.FaultOf(err) != askara.FaultConfiguration || askara.HintOf(err) == "" {
			t.Errorf("%q: got %v, %v, want a fault of the command line with a hint", text, got, err)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, text := range []string{"30d", "1d12h", "1h30m", "100MiB", "1.5GB", "0", "2026-01-31", "2026-01-31T10:00:00+01:00", "d", "-1d", "1421544h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := cli.ParseDuration(text); err == nil {
			if again, err := cli.ParseDuration(cli.FormatDuration(d)); d < 0 || err != nil || again != d {
				t.Errorf("%q: %v is written %q, read as %v, %v", text, d, cli.FormatDuration(d), again, err)
			}
		}
		if s, err := cli.ParseSize(text); err == nil {
			if again, err := cli.ParseSize(s.String()); s < 0 || err != nil || s < 1<<53 && again != s {
				t.Errorf("%q: %d is written %q, read as %d, %v", text, s, s, again, err)
			}
		}
		if _, err := cli.ParseMoment(text, statusNow, time.UTC); err != nil && askara.HintOf(err) == "" {
			t.Errorf("%q: no hint", text)
		}
	})
}
