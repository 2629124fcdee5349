package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// contractTable is the table of the lines.
const contractTable = "api.contract"

// contractLines collects the lines that a configuration needs to fit the API.
type contractLines struct {
	file string
	// there says on which line of the file each key is.
	there map[string]int
	list  []contractLine
}

type contractLine struct {
	key, note string
	value     any
}

// set proposes a value, in place of an earlier one of the key. The note says how sure it is.
func (l *contractLines) set(key string, value any, note string) {
	line := contractLine{key: key, value: value, note: note}
	if i := slices.IndexFunc(l.list, func(c contractLine) bool { return c.key == key }); i >= 0 {
		l.list[i] = line
		return
	}
	l.list = append(l.list, line)
}

// tried notes that a key's value, if one is proposed, was seen to work.
func (l *contractLines) tried(key string) {
	for i := range l.list {
		if l.list[i].key == key {
			l.list[i].note = noteTried
		}
	}
}

// view writes the lines as TOML.
func (l *contractLines) view() DoctorContract {
	v := DoctorContract{Lines: []string{}, Replaced: []int{}}
	for _, line := range l.list {
		text, err := toml.Marshal(map[string]any{line.key: line.value})
		if err != nil { // strings and lists of them always encode
			continue
		}
		v.Lines = append(v.Lines, strings.TrimSpace(string(text))+"  # "+line.note)
		if n := l.there[contractTable+"."+line.key]; n > 0 {
			v.Replaced = append(v.Replaced, n)
		}
	}
	if _, ok := l.there[contractTable]; !ok && len(v.Lines) > 0 {
		v.Lines = slices.Insert(v.Lines, 0, "["+contractTable+"]")
	}
	slices.Sort(v.Replaced)
	return v
}

// instruction says where the lines belong.
func (l *contractLines) instruction(v DoctorContract) string {
	where := "at the end of " + l.file
	if n, ok := l.there[contractTable]; ok {
		where = fmt.Sprintf("below line %d of %s", n, l.file)
	}
	if len(v.Replaced) > 0 {
		where += ", in place of line " + strings.Trim(strings.ReplaceAll(fmt.Sprint(v.Replaced), " ", ", "), "[]")
	}
	return "These lines fit Askara's API. Put them " + where + ", run doctor again, then: sudo systemctl restart askara-sync"
}
