package store

import (
	"database/sql"
	"encoding/hex"
	"strings"
	"time"

	"askara-sync/askara"
)

// Times of this machine are kept as unix milliseconds, in columns named …_at. Askara's own dates are walk keys and are compared for
// equality: they are kept to the microsecond, in columns named …_us, which is all that the servers of its make ever send. Null is
// the zero time.

// millis is what is bound for a time of this machine.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// fromMillis is millis's inverse, in UTC.
func fromMillis(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

// micros is what is bound for one of Askara's dates.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// fromMicros is micros's inverse, in UTC.
func fromMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

// sameDate compares two of Askara's dates as precisely as they are kept.
func sameDate(a, b time.Time) bool {
	return a.IsZero() == b.IsZero() && a.UnixMicro() == b.UnixMicro()
}

// key is what is bound for a document's uuid: 16 bytes where it is spelled as usual, the text otherwise.
func key(uuid string) any {
	if len(uuid) != 36 || uuid[8] != '-' || uuid[13] != '-' || uuid[18] != '-' || uuid[23] != '-' || uuid != strings.ToLower(uuid) {
		return uuid
	}
	b, err := hex.DecodeString(uuid[:8] + uuid[9:13] + uuid[14:18] + uuid[19:23] + uuid[24:])
	if err != nil {
		return uuid
	}
	return b
}

// fromKey is key's inverse.
func fromKey(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		if len(v) == 16 {
			h := hex.EncodeToString(v)
			return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
		}
		return string(v)
	}
	return ""
}

// checksum is what is bound for a checksum; null is none.
func checksum(c askara.Checksum) any {
	if c == (askara.Checksum{}) {
		return nil
	}
	return c[:]
}

// fromChecksum is checksum's inverse; anything but 32 bytes is none.
func fromChecksum(b []byte) (c askara.Checksum) {
	if len(b) == len(c) {
		copy(c[:], b)
	}
	return c
}

// text is what is bound for an optional text; null is "".
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// count is what is bound for a number that is mostly 0; null is 0.
func count[N int | int64](n N) any {
	if n == 0 {
		return nil
	}
	return int64(n)
}
