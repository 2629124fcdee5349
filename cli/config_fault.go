package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"askara-sync/askara"
)

// ConfigError is everything that is wrong with a configuration.
type ConfigError struct {
	File string
	// Faults is sorted by line; never empty.
	Faults []ConfigFault
}

// ConfigFault is one thing that is wrong.
type ConfigFault struct {
	Key     string // as a person would name it, "limits.burst"; "" for the file as a whole
	Problem string // what is wrong
	Got     string // the value, printable; "" where there is none or where it might be a secret
	Line    int    // in the file; 0 where the file does not have the key
}

// String writes the fault on one line.
func (f ConfigFault) String() string {
	var b strings.Builder
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Problem)
	if f.Got != "" {
		fmt.Fprintf(&b, " (got %s)", f.Got)
	}
	if f.Line > 0 {
		fmt.Fprintf(&b, ", line %d", f.Line)
	}
	return b.String()
}

// Error lists every fault, one a line after the first.
func (e *ConfigError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %d faults:", e.File, len(e.Faults))
	if len(e.Faults) == 1 {
		b.Reset()
		fmt.Fprintf(&b, "%s has a fault:", e.File)
	}
	for _, f := range e.Faults {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// Fault says that a setting is wrong.
func (e *ConfigError) Fault() askara.Fault { return askara.FaultConfiguration }

// Hint says where to correct it.
func (e *ConfigError) Hint() string {
	return "correct " + e.File + ", then: sudo systemctl restart askara-sync"
}

// faults collects what is wrong while a configuration is read.
type faults struct {
	lines map[string]int // of each key that the file has
	list  []ConfigFault
	// broken says that the text is not TOML at all, so that nothing else can be said of it.
	broken bool
}

// oneLine makes a problem, which may quote the file, one printable line of bounded length.
func oneLine(problem string) string {
	const most = 600
	if len(problem) > most {
		problem = strings.ToValidUTF8(problem[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, problem)
}

// add notes a fault of a key. A key's first fault is the only one: what follows from it would only confuse.
func (f *faults) add(key, problem, got string) {
	for _, known := range f.list {
		if known.Key == key && key != "" {
			return
		}
	}
	f.list = append(f.list, ConfigFault{Key: key, Problem: oneLine(problem), Got: got, Line: f.line(key)})
}

// line finds the key in the file, or else the table that it would be in.
func (f *faults) line(key string) int {
	for key != "" {
		if n, ok := f.lines[key]; ok {
			return n
		}
		key = key[:max(strings.LastIndexByte(key, '.'), 0)]
	}
	return 0
}

// err returns the faults as one error, nil where there are none.
func (f *faults) err(file string) error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b ConfigFault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key))
	})
	return &ConfigError{File: file, Faults: f.list}
}
