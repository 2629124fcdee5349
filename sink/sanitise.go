package sink

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Those of separators and forbidden that are ASCII.
const plainSeparators, plainForbidden = `/\:|`, `*?<>"`

// maxMarks is how many combining marks one character may carry. Languages need three or four; more is vandalism.
const maxMarks = 6

// separators stand between the parts of a name, or look as if they did. They become dashes.
const separators = plainSeparators + "⁄∕╱╲∖⧵⧸⧹／＼﹨：꞉∶｜❘∣︓﹕"

// forbidden is what Windows refuses beside separators, and what looks the same. It is left out.
const forbidden = plainForbidden + "＊？＜＞＂"

// blanks are letters and marks that show nothing.
const blanks = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"

// field1 makes one clean line of a foreign text: no control, format or bidirectional characters, nothing that separates
// folders, nothing that Windows refuses, single spaces, in Unicode's form NFC.
func field1(s string) string {
	if plain(s) {
		return s
	}
	const enough = 4 << 10
	if len(s) > enough {
		s = s[:enough]
	}
	var b strings.Builder
	space, marks := false, 0
	for _, r := range norm.NFC.String(strings.ToValidUTF8(s, "")) {
		switch {
		case unicode.IsSpace(r) || strings.ContainsRune(blanks, r) && r != '\u034f':
			space = true
			continue
		case strings.ContainsRune(separators, r):
			r = '-'
		case !unicode.IsPrint(r), strings.ContainsRune(forbidden, r), unicode.Is(unicode.Variation_Selector, r), r == '\u034f':
			continue
		}
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if marks > maxMarks || marks > 0 && (b.Len() == 0 || space) {
			continue // too many, or nothing to stand on
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return norm.NFC.String(b.String())
}

// plain says that s is one clean line as it is, which most names and types are.
func plain(s string) bool {
	last := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && last == ' ' || strings.IndexByte(plainSeparators+plainForbidden, c) >= 0 {
			return false
		}
		last = c
	}
	return len(s) <= maxName && (s == "" || last != ' ')
}

// clean makes a stem of what a template wrote: as field1, without the extension, without separators doubled by fields that
// were empty, and without ends that Windows or a shell would trip over.
func clean(s string) string {
	s = field1(s)
	for len(s) >= len(".pdf") && strings.EqualFold(s[len(s)-len(".pdf"):], ".pdf") {
		s = strings.TrimRight(s[:len(s)-len(".pdf")], " ")
	}
	return trimEnds(squeeze(s))
}

// squeeze leaves one of each run of the same separator, also across spaces, and no spaces beside an underscore.
func squeeze(s string) string {
	var b strings.Builder
	last, space := rune(0), false
	for _, r := range s {
		if r == ' ' {
			space = true
			continue
		}
		if (r == '_' || r == '-') && r == last {
			continue
		}
		if space && r != '_' && last != '_' {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
		last = r
	}
	return b.String()
}

// trimEnds removes what must not or should not begin or end a name: Windows drops dots and spaces at the end, a dot in front
// hides a file, a dash looks like an option, "~$" like a lock of an office program.
func trimEnds(s string) string {
	return strings.TrimRight(strings.TrimLeft(s, " .-_~$#"), " .-_~")
}

// reserved says that Windows takes the name, up to its first dot, for a device.
func reserved(stem string) bool {
	stem, _, _ = strings.Cut(stem, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if rest, ok := strings.CutPrefix(stem, port); ok && utf8.RuneCountInString(rest) == 1 && strings.Contains("0123456789¹²³", rest) {
			return true
		}
	}
	return false
}

// cut shortens s to at most n bytes without splitting a character or taking its accents away.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if n <= 0 {
		return ""
	}
	end := n
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	for end > 0 {
		r, _ := utf8.DecodeRuneInString(s[end:])
		if !unicode.Is(unicode.M, r) {
			break
		}
		_, size := utf8.DecodeLastRuneInString(s[:end])
		end -= size
	}
	return s[:end]
}

// fold maps names that a Windows or Mac client takes for the same to the same text.
func fold(name string) string {
	if plain(name) {
		return strings.ToLower(name)
	}
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(name)))
}
