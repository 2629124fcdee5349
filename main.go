// Command askara-sync brings validated documents from Askara into a clinic's own system.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // a static binary on a server without the time zone files

	"golang.org/x/sys/unix"

	"askara-sync/cli"
)

func main() { os.Exit(run()) }

func run() int {
	// A core file would hold tokens and patients. The unit forbids it as well; this is for commands that are run by hand.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	cli.UseProcessors(os.Getenv)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: the crash safety holds either way.
	context.AfterFunc(ctx, stop)
	return cli.Main(ctx, cli.Env{
		Args: os.Args[1:], Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
}
