// Command askara-sync brings validated documents from Askara into a clinic's own system.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	_ "time/tzdata" // a static binary on a server without the time zone files

	"golang.org/x/sys/unix"

	"askara-sync/cli"
)

func main() { os.Exit(run()) }

func run() int {
	// A core file would hold tokens and patients. The unit forbids it as well; this is for commands that are run by hand.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	keepRunning()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: the crash safety holds either way.
	context.AfterFunc(ctx, stop)
	return cli.Main(ctx, cli.Env{
		Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}

// keepRunning has more goroutines run at once than a small server has processors. One that syncs a file holds its turn to run until
// the runtime notices that it is waiting for the disk; where there are two turns, and syncing is half of what is done, the processors
// idle meanwhile. Who sets GOMAXPROCS is obeyed.
func keepRunning() {
	const turns = 4
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < turns {
		runtime.GOMAXPROCS(turns)
	}
}
