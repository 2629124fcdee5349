package sink

import "strings"

// RoundTrip parses a statement and puts it together again, with the parameters' names where the database would get values.
func RoundTrip(kind, text string) (string, error) {
	lx, err := lexisOf(kind)
	if err != nil {
		return "", err
	}
	s, err := parseInsert(text, lx, false)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i, segment := range s.segments {
		b.WriteString(segment)
		if i < len(s.params) {
			b.WriteString(":" + s.params[i].name)
		}
	}
	return b.String(), nil
}
