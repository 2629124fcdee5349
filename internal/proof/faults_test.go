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
			w.server.SetFaults(w.faults)
			for range count(0, 1, 5) { // whole runs under the fault, too
				w.arrive(3)
				w.settle(w.run("--once"))
			}
			dealt := w.server.Stats().Faults[fault]
			w.check("fault=" + fault.String())
			if dealt == 0 {
				t.Error("the fault has never happened")
			}
		})
	}
}
