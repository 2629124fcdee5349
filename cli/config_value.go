package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Size is a number of bytes, written "100MiB" in the configuration.
type Size int64

// sizeUnits from the largest; both kinds are powers of 1024 or 1000 as their names say.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 && strings.Contains(u.suffix, "i") {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ParseSize reads "100MiB", "1.5GB" or "0"; never negative.
func ParseSize(s string) (Size, error) {
	if s == "0" {
		return 0, nil
	}
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		if n, err := parseDecimal(strings.TrimSpace(number)); err == nil && n*float64(u.bytes) < math.MaxInt64/2 {
			return Size(n * float64(u.bytes)), nil
		}
		break
	}
	return 0, errors.New(`must be a size such as "100MiB", in B, kB, KiB, MB, MiB, GB or GiB`)
}

// parseDecimal reads digits with at most one point: none of the signs, exponents and names that ParseFloat takes.
func parseDecimal(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, errors.New("not a decimal number")
	}
	return strconv.ParseFloat(s, 64)
}

// maxDuration is some 146 years: what is read can be added to any other without an overflow.
const maxDuration = time.Duration(math.MaxInt64 / 2)

// ParseDuration reads "5m", "1h30m", "30d" or "1d12h"; never negative. A day is 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	bad := errors.New(`must be a duration such as "90s", "5m", "12h" or "30d"`)
	var total time.Duration
	rest := s
	if days, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || time.Duration(n) > maxDuration/day {
			return 0, bad
		}
		total, rest = time.Duration(n)*day, after
		if rest == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || strings.ContainsAny(rest, "+-") || d > maxDuration-total {
		return 0, bad
	}
	return total + d, nil
}

// FormatDuration writes d as ParseDuration reads it, whole days as days.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	text := ""
	if days := d / day; days > 0 {
		text = fmt.Sprintf("%dd", days)
		d -= days * day
	}
	if d == 0 {
		return text
	}
	rest := d.String()
	if strings.HasSuffix(rest, "m0s") {
		rest = strings.TrimSuffix(rest, "0s")
	}
	if strings.HasSuffix(rest, "h0m") {
		rest = strings.TrimSuffix(rest, "0m")
	}
	return text + rest
}

// parseMode reads a file mode in octal digits, "0640"; permission bits only.
func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 || len(s) < 3 {
		return 0, errors.New(`must be a file mode in octal digits such as "0640"`)
	}
	return fs.FileMode(n), nil
}

// parseMoment reads what --since and --until take: a date (midnight in loc), an RFC 3339 time, or a duration before now.
func parseMoment(s string, now time.Time, loc *time.Location) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, s, loc); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if d, err := ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, &UsageError{
		Problem: fmt.Sprintf("%s is not a time", quote(s)),
		Remedy:  "write a date (2026-01-31), a time (2026-01-31T10:00:00+01:00) or how long ago (30d)",
	}
}

// quote writes foreign text so that it is printable and of bounded length.
func quote(s string) string {
	const most = 80 // longer than any sensible value, shorter than a line
	if len(s) > most {
		return strconv.QuoteToGraphic(strings.ToValidUTF8(s[:most], "�")) + "…"
	}
	return strconv.QuoteToGraphic(s)
}
