package proof_test

import (
	"fmt"
	"testing"
	"time"

	"askara-sync/askara/sandbox"
)

// TestKills kills the program again and again, at random instants of runs that always have something to do: documents of the past,
// fresh ones, drafts that are validated, documents that are validated again. Every eighth process is the daemon. State, staging and
// folder are on a disk.
func TestKills(t *testing.T) {
	kills := count(*killsFlag, 16, 1000)
	for _, takes := range []bool{true, false} {
		for _, sidecars := range []bool{false, true} {
			t.Run(fmt.Sprintf("takes=%v,sidecars=%v", takes, sidecars), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, worldConfig{takes: takes, sidecars: sidecars, sandbox: sandbox.Config{AccessTTL: time.Second}})
				w.measure()
				w.history(40)
				w.killMany((kills + 3) / 4)
				w.check("kills")
			})
		}
	}
}

// once is a run by hand: every third asks for the past as well, which the regular walk leaves behind the cursor.
func (w *world) once() []string {
	if w.rng.IntN(3) == 0 {
		return []string{"--once", "--since", "60d"}
	}
	return []string{"--once"}
}

// measure takes the time of a whole run with a little to do.
func (w *world) measure() {
	w.t.Helper()
	w.server.Add(5, sandbox.Document{})
	began := time.Now()
	if code := w.run("--once"); code != exitDone {
		w.t.Fatalf("the first run ended with %d:\n%s", code, tail(w.log.String()))
	}
	w.typical = time.Since(began)
}

// killMany kills n processes.
func (w *world) killMany(n int) {
	w.t.Helper()
	const enough = 20 // attempts for each kill: a process may end before it is hit
	for range enough * n {
		if w.kills >= n {
			return
		}
		w.arrive(w.rng.IntN(8))
		if w.kills%8 == 3 {
			w.strike(1500 * time.Millisecond)
			continue
		}
		w.strike(2*w.typical, w.once()...)
	}
	w.t.Fatalf("only %d of %d kills hit a living process", w.kills, n)
}
