package askara

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of section 4 of Askara's sheet. The names are in canonical form, so that reading them allocates nothing.
const (
	headerLimit      = "X-Ratelimit-Limit"
	headerRemaining  = "X-Ratelimit-Remaining"
	headerReset      = "X-Ratelimit-Reset"
	headerRetryAfter = "Retry-After"
	headerDate       = "Date"
)

const (
	// maxRateCount is the highest limit believed: above it a header is nonsense, and sums stay far from overflow.
	maxRateCount = 1 << 30
	// maxReset is how far ahead a reset may lie to be believed.
	maxReset = 24 * time.Hour
	// pastReset is how far back a reset may lie and still be one that has just been.
	pastReset = 24 * time.Hour
)

// rateHeaders is what an answer says of the bucket it drew on.
type rateHeaders struct {
	// limit and remaining are valid where ok is set: 0 <= remaining <= limit, limit > 0.
	limit, remaining int
	ok               bool
	// reset is on this machine's clock; zero where it is absent, past or absurd.
	reset time.Time
}

// parseRate reads the rate-limit headers of an answer that arrived at now. What cannot be is left out: a limit that is not a
// positive number, a remainder that is no number or is negative. A remainder above its limit is lowered to it. The reset may be
// in seconds or milliseconds since 1970, or in seconds from now; the server's own Date, where there is one, makes up for a clock
// that is wrong.
func parseRate(h http.Header, now time.Time) rateHeaders {
	var r rateHeaders
	limit, okLimit := rateCount(h.Get(headerLimit))
	remaining, okRemaining := rateCount(h.Get(headerRemaining))
	if okLimit && okRemaining && limit > 0 {
		r.limit, r.remaining, r.ok = limit, min(remaining, limit), true
	}
	r.reset = rateReset(h, now)
	return r
}

// rateCount reads a whole number from the beginning of a header: what follows a comma or a semicolon is a policy's detail.
func rateCount(text string) (int, bool) {
	if i := strings.IndexAny(text, ",;"); i >= 0 {
		text = text[:i]
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 || n > maxRateCount {
		return 0, false
	}
	return int(n), true
}

// rateReset returns when the bucket is said to be filled, zero where nothing usable and in the future is said.
func rateReset(h http.Header, now time.Time) time.Time {
	text := strings.TrimSpace(h.Get(headerReset))
	if text == "" {
		return time.Time{}
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 || seconds > 1e15 {
		return time.Time{}
	}
	there := serverTime(h, now)
	var wait time.Duration
	switch base := float64(there.Unix()); {
	case math.Abs(seconds-base) <= maxReset.Seconds():
		wait = floatSeconds(seconds - base)
	case math.Abs(seconds/1000-base) <= maxReset.Seconds():
		wait = floatSeconds(seconds/1000 - base)
	case seconds <= maxReset.Seconds():
		wait = floatSeconds(seconds)
	}
	if wait <= 0 {
		return time.Time{}
	}
	return now.Add(wait)
}

// serverTime is the answer's Date, or now where there is none.
func serverTime(h http.Header, now time.Time) time.Time {
	if text := h.Get(headerDate); text != "" {
		if t, err := http.ParseTime(text); err == nil {
			return t
		}
	}
	return now
}

// longestAsked is the longest wait that is taken for one: what no number of seconds of 32 bits can say is a mistake. It keeps a date
// thousands of years away, too, from overflowing what it is added to.
const longestAsked = math.MaxInt32 * time.Second

// parseRetryAfter returns how long an answer that arrived at now asks to wait, in seconds or as a date; ok is false where it says
// nothing, or nothing that can be meant: no number, a negative one, one beyond longestAsked, a date that has passed. The caller caps it.
func parseRetryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	text := strings.TrimSpace(h.Get(headerRetryAfter))
	if text == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(seconds) || seconds < 0 || seconds > longestAsked.Seconds() {
			return 0, false
		}
		return floatSeconds(seconds), true
	}
	t, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	wait = t.Sub(serverTime(h, now))
	if wait <= 0 || wait > longestAsked {
		return 0, false
	}
	return wait, true
}

// floatSeconds converts seconds that are known to fit.
func floatSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
