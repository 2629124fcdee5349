// Command gate reads what `go test -json` printed in the steps of the project's gate and adds it up.
//
//	gate FILE…
//
// A test may be skipped in one step because another is made for it: the race detector's step skips what only the proofs can
// run. So each test that was skipped must have passed in some other step, told apart by package; otherwise it did not run at
// all, and gate fails. It prints failures with their output and ends with the line `N passed, N failed, N skipped`.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// name identifies a test over all steps.
type name struct{ pkg, test string }

// tally is what became of the tests.
type tally struct {
	passed, failed, skipped map[name]int
	broken                  map[string]int // packages that failed outside of any test
	output                  map[name]*strings.Builder
	out                     io.Writer
}

func main() {
	t := newTally(os.Stdout)
	for _, file := range os.Args[1:] {
		f, err := os.Open(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, "gate:", err)
			os.Exit(2)
		}
		t.read(f)
		f.Close()
	}
	os.Exit(t.report())
}

func newTally(out io.Writer) *tally {
	return &tally{
		passed: map[name]int{}, failed: map[name]int{}, skipped: map[name]int{},
		broken: map[string]int{}, output: map[name]*strings.Builder{}, out: out,
	}
}

func (t *tally) read(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 16<<20) // one line holds what a test printed at once
	for s.Scan() {
		var e event
		if json.Unmarshal(s.Bytes(), &e) != nil {
			continue // a compiler's own words; the package's failure follows
		}
		t.take(e)
	}
}

func (t *tally) take(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "output", "build-output":
		b := t.output[n]
		if b == nil {
			b = &strings.Builder{}
			t.output[n] = b
		}
		b.WriteString(e.Output)
	case "pass":
		t.end(n, t.passed)
	case "skip":
		t.end(n, t.skipped)
	case "fail":
		if e.Test == "" {
			t.broken[e.Package]++
		} else {
			t.failed[n]++
		}
		if b := t.output[n]; b != nil {
			fmt.Fprint(t.out, b.String())
			delete(t.output, n)
		}
	}
}

func (t *tally) end(n name, what map[name]int) {
	if n.test != "" {
		what[n]++
	}
	delete(t.output, n)
}

// report prints the sums and returns the exit code.
func (t *tally) report() int {
	code := 0
	skipped := slices.SortedFunc(maps.Keys(t.skipped), func(a, b name) int {
		return strings.Compare(a.pkg+" "+a.test, b.pkg+" "+b.test)
	})
	for _, n := range skipped {
		if t.passed[n] == 0 {
			fmt.Fprintf(t.out, "never ran: %s %s was skipped in every step\n", n.pkg, n.test)
			code = 1
		}
	}
	failed := len(t.failed)
	for pkg := range t.broken {
		code = 1
		if !t.names(t.failed, pkg) {
			fmt.Fprintf(t.out, "failed outside of a test: %s\n", pkg)
			failed++
		}
	}
	if failed > 0 || len(t.passed) == 0 {
		code = 1
	}
	fmt.Fprintf(t.out, "%d passed, %d failed, %d skipped\n", len(t.passed), failed, len(t.skipped))
	return code
}

func (t *tally) names(in map[name]int, pkg string) bool {
	for n := range in {
		if n.pkg == pkg {
			return true
		}
	}
	return false
}
