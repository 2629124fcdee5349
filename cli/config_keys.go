package cli

import (
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// knownKeys lists every key of the configuration by its dotted name, in the order of Config.
func knownKeys() []string { return appendKeys(nil, "", reflect.TypeFor[Config]()) }

func appendKeys(keys []string, path string, t reflect.Type) []string {
	for field := range t.Fields() {
		name := field.Tag.Get("toml")
		if name == "" {
			continue
		}
		key := joinKey(path, name)
		switch {
		case field.Type.Kind() == reflect.Struct:
			keys = appendKeys(keys, key, field.Type)
		case field.Type == reflect.TypeFor[[]Account]():
			keys = appendKeys(keys, key, reflect.TypeFor[Account]())
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

// nearestKey returns the known key that the unknown one most likely means.
func nearestKey(unknown string) string {
	unknown = withoutIndexes(unknown)
	if len(unknown) > 200 { // no slip of the finger; the distance below takes quadratic time
		unknown = unknown[:200]
	}
	leaf := leafOf(unknown)
	best, least := "", -1
	for _, known := range knownKeys() {
		// The right name in the wrong table is a smaller slip than the letters suggest.
		d := min(distance(unknown, known), 2*distance(leaf, leafOf(known))+1)
		if least < 0 || d < least {
			best, least = known, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func leafOf(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// withoutIndexes turns account[2].name into account.name.
func withoutIndexes(key string) string {
	before, rest, ok := strings.Cut(key, "[")
	if !ok {
		return key
	}
	_, after, _ := strings.Cut(rest, "]")
	return before + after
}

// joinKey appends a name to a dotted key, quoted where it is not a bare TOML key.
func joinKey(path, name string) string {
	if name == "" || strings.ContainsFunc(name, notBare) || len(name) > 80 {
		name = quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func notBare(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
}

// keyLines says on which line each key and each table of a TOML text is. The text has been decoded before, so it is valid.
func keyLines(data []byte) map[string]int {
	l := &lineIndex{lines: map[string]int{}, tables: map[string]int{}}
	for i, b := range data {
		if b == '\n' {
			l.ends = append(l.ends, i)
		}
	}
	var p unstable.Parser
	p.Reset(data)
	path := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			path = l.note("", e.Key(), e.Kind == unstable.ArrayTable)
		case unstable.KeyValue:
			l.noteValue(path, e)
		}
	}
	return l.lines
}

type lineIndex struct {
	ends   []int // offsets of line ends
	lines  map[string]int
	tables map[string]int // how many [[name]] there were
}

func (l *lineIndex) noteValue(path string, e *unstable.Node) {
	key := l.note(path, e.Key(), false)
	value := e.Value()
	if value.Kind == unstable.InlineTable {
		for it := value.Children(); it.Next(); {
			l.noteValue(key, it.Node())
		}
	}
}

// note records the line of a dotted key below path and returns its full name; the first line of a name counts.
func (l *lineIndex) note(path string, key unstable.Iterator, array bool) string {
	line := 0
	for key.Next() {
		n := key.Node()
		path = joinKey(path, string(n.Data))
		line = sort.SearchInts(l.ends, int(n.Raw.Offset)) + 1
		if array && key.IsLast() {
			l.lines[path] = line
			l.tables[path]++
		}
		if count := l.tables[path]; count > 0 {
			path += "[" + strconv.Itoa(count) + "]"
		}
	}
	if _, ok := l.lines[path]; !ok {
		l.lines[path] = line
	}
	return path
}

// oneOf is the problem of a value that has to be one of a few.
func oneOf(value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("must be one of %s", strings.Join(allowed, ", "))
}
