package cli

import "runtime"

// turns is how many goroutines run at once at least.
const turns = 4

// UseProcessors has more goroutines run at once than a small server has processors, for the whole process. One that syncs a file holds
// its turn to run until the runtime notices that it is waiting for the disk; where there are two turns, and syncing is half of what is
// done, the processors idle meanwhile. Who sets GOMAXPROCS is obeyed.
func UseProcessors(getenv func(string) string) {
	if getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < turns {
		runtime.GOMAXPROCS(turns)
	}
}
