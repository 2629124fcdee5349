package askara

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
	"unicode/utf8"
)

// The functions of this file take JSON apart without deciding what it should be: one field of a wrong type must not cost the
// document, one bad document not the page. Their input has passed json.Valid.

// isSpace says whether b may stand between JSON values.
func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' }

// skipValue returns the index after the value that begins at raw[i].
func skipValue(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			if i = skipString(raw, i) - 1; depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what holds a number or a word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// skipString returns the index after the string that begins at raw[i].
func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

// skipTo returns the index of the next byte from i on that is neither space nor one of the separators.
func skipTo(raw []byte, i int, separators string) int {
	for i < len(raw) && (isSpace(raw[i]) || strings.IndexByte(separators, raw[i]) >= 0) {
		i++
	}
	return i
}

// items yields the elements of an array; nothing if raw is none. The slices are parts of raw.
func items(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := skipTo(raw, 0, "")
		if i >= len(raw) || raw[i] != '[' {
			return
		}
		for i = skipTo(raw, i+1, ","); i < len(raw) && raw[i] != ']'; i = skipTo(raw, i, ",") {
			end := skipValue(raw, i)
			if !yield(raw[i:end]) {
				return
			}
			i = end
		}
	}
}

// fields yields the properties of an object, in their order; nothing if raw is none. Names and values are parts of raw: a page has
// thousands of them, and most are only passed over.
func fields(raw []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		i := skipTo(raw, 0, "")
		if i >= len(raw) || raw[i] != '{' {
			return
		}
		for i = skipTo(raw, i+1, ","); i < len(raw) && raw[i] == '"'; i = skipTo(raw, i, ",") {
			end := skipString(raw, i)
			key := raw[i+1 : end-1]
			if bytes.IndexByte(key, '\\') >= 0 {
				name, _ := unquote(raw[i:end])
				key = []byte(name)
			}
			value := skipTo(raw, end, ":")
			i = skipValue(raw, value)
			if !yield(key, raw[value:i]) {
				return
			}
		}
	}
}

// lookup returns the value at a path of property names joined by dots, nil where there is none. Of a property that stands there
// twice, the last counts, as for encoding/json.
func lookup(raw []byte, path string) []byte {
	name, rest, nested := strings.Cut(path, ".")
	var found []byte
	if !bytes.Contains(raw, []byte(name)) && bytes.IndexByte(raw, '\\') < 0 {
		return nil // most of what is looked for is not there, and seeing that is cheaper than taking all apart
	}
	for key, value := range fields(raw) {
		if string(key) == name {
			found = value
		}
	}
	if nested && found != nil {
		return lookup(found, rest)
	}
	return found
}

// unquote returns the text of a JSON string.
func unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if inside := raw[1 : len(raw)-1]; bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		return string(inside), true
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, true
}

// maxText bounds, in bytes, each text of a document. A title of a page is none.
const maxText = 4 << 10

// text returns a string as it is, a number as it is written, and "" for everything else. Zero bytes are left out, since no
// database takes them.
func text(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		return string(raw[:min(len(raw), maxText)])
	}
	s, _ := unquote(raw)
	s = strings.ReplaceAll(s, "\x00", "")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// isNull says whether a value is missing: absent, or null.
func isNull(raw []byte) bool { return len(raw) == 0 || raw[0] == 'n' }
