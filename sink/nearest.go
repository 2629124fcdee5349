package sink

import (
	"fmt"
	"strings"
)

func unknownParameter(name string) error {
	name = printable(name, 40)
	if near := nearest(name, fieldNames()); near != "" {
		return fmt.Errorf("there is no parameter :%s; the nearest is :%s", name, near)
	}
	return fmt.Errorf("there is no parameter :%s; there are :%s", name, strings.Join(fieldNames(), " :"))
}

// nearest is the word with the fewest letters to change, "" where that is more than a third of them.
func nearest(word string, words []string) string {
	best, at := len(word)/3+2, ""
	for _, w := range words {
		if n := distance(strings.ToLower(word), w); n < best {
			best, at = n, w
		}
	}
	return at
}

// distance is how many letters have to be put, dropped or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// printable bounds a foreign word for a message.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
