package proof_test

import (
	"testing"
	"time"

	"askara-sync/askara/sandbox"
)

// TestFaults switches each of the sandbox's faults on for 15 % of all requests, those for tokens included, and kills the program as
// TestKills does. What the faults make wait is made due again after each run, as time would.
func TestFaults(t *testing.T) {
	kills := count(*faultKillsFlag, 1, 60)
	for i, fault := range sandbox.AllFaults() {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldConfig{takes: i%2 == 0, sidecars: i%4 < 2, sandbox: sandbox.Config{AccessTTL: 2 * time.Second}})
			w.faults = sandbox.Faults{Rate: 0.15, Kinds: []sandbox.Fault{fault}, Delay: 300 * time.Millisecond}
			w.typical = time.Second // with what is waited for between repetitions
			w.history(12)
			w.killMany(kills)
			w.runUnderFaults(count(0, 1, 5))
			w.check("fault=" + fault.String())
		})
	}
}

// runUnderFaults lets whole runs meet faults, at least so many and until some have been dealt out.
func (w *world) runUnderFaults(least int) {
	w.t.Helper()
	const enough = 100 // of a few requests each
	for i := range enough {
		w.server.SetFaults(w.faults)
		w.arrive(4)
		w.settle(w.run("--once"))
		dealt := 0
		for _, n := range w.server.Stats().Faults {
			dealt += n
		}
		if dealt > 0 && i+1 >= least {
			return
		}
	}
	w.t.Error("no fault has ever happened")
}
