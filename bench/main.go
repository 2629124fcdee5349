// Command bench measures what a document costs askara-sync, beside what people would use in its place: curl in a shell loop, one
// curl with many transfers at once, and a plain program that syncs each file and its directory and keeps no ledger.
//
// All of them fetch from the same stand-in for Askara, which runs as a process of its own so that its cost is nobody's, onto the same
// disk, in turn, in the same run. What counts are the ratios and the counts; the milliseconds are the machine's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// options are the command line.
type options struct {
	large, small int
	runs         int
	loop         int
	workers      int
	dir          string
	binary       string
	other        string
	latency      bool
	growth       bool
	rows         int
	sinks        bool
	profile      string
}

func main() {
	if role := os.Getenv(childEnv); role != "" {
		child(role)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: go run ./bench [flags]

Without a mode it fetches 2,000 documents of 200 KiB and 20,000 of 2 KiB with askara-sync and with what people would use in its
place, and prints milliseconds, requests and syncs a document, peak memory, and the ratios. It takes some ten minutes, two gigabytes
of disk, and curl; with strace it counts syncs as well. Quick look: go run ./bench -large 200 -small 2000 -runs 1

`)
		flag.PrintDefaults()
	}
	flag.IntVar(&o.large, "large", 2000, "`documents` of 200 KiB; 0 leaves that set out")
	flag.IntVar(&o.small, "small", 20000, "`documents` of 2 KiB; 0 leaves that set out")
	flag.IntVar(&o.runs, "runs", 5, "how often everything is run, in turn; medians are printed")
	flag.IntVar(&o.loop, "loop", 500, "at most so many `documents` go through the curl loop, whose cost is the same for each")
	flag.IntVar(&o.workers, "workers", 4, "limits.workers of askara-sync")
	flag.StringVar(&o.dir, "dir", "", "where everything is written (default: a new temporary `directory`, removed at the end)")
	flag.StringVar(&o.binary, "binary", "", "measure this askara-sync instead of one that is built now")
	flag.StringVar(&o.other, "other", "", "measure this askara-sync as well, in the same run: the `program` before a change")
	flag.BoolVar(&o.latency, "latency", false, "mode: how long from a document's appearing in the list to its being in the folder")
	flag.BoolVar(&o.growth, "growth", false, "mode: what a ledger with a long history costs")
	flag.IntVar(&o.rows, "rows", 1_000_000, "with -growth: delivered `documents` in the ledger")
	flag.BoolVar(&o.sinks, "sinks", false, "mode: database destinations beside a plain loop of inserts")
	flag.StringVar(&o.profile, "profile", "", "mode: one pass over each set in this process, its CPU and memory profiles into this `directory`")
	flag.Parse()
	return o
}

func run(ctx context.Context) error {
	o := parse()
	if flag.NArg() > 0 || o.runs < 1 || o.large < 0 || o.small < 0 || o.rows < 1000 || o.loop < 1 {
		return errors.New("see: go run ./bench -h")
	}
	b, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	switch {
	case o.latency:
		return b.latencies(ctx)
	case o.growth:
		return b.growth(ctx)
	case o.sinks:
		return b.databases(ctx)
	case o.profile != "":
		return b.profiles(ctx)
	}
	return b.compare(ctx)
}

// bench is what all modes share.
type bench struct {
	options
	root   string // of everything that is written
	server *server
	n      int // names directories
}

func open(ctx context.Context, o options) (b *bench, err error) {
	b = &bench{options: o}
	if b.root, err = os.MkdirTemp(o.dir, "askara-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	var st unix.Statfs_t
	if unix.Statfs(b.root, &st) == nil && st.Type == unix.TMPFS_MAGIC {
		fmt.Println("note: the directory is in memory, where syncs cost nothing; use -dir")
	}
	if b.binary == "" {
		b.binary = filepath.Join(b.root, "askara-sync")
		if err := build(ctx, b.binary); err != nil {
			return b, err
		}
	}
	b.server, err = startServer(ctx)
	return b, err
}

func (b *bench) close() {
	if b.server != nil {
		b.server.close()
	}
	os.RemoveAll(b.root)
}

// fresh makes a new directory and waits until earlier work has reached the disk, so that nobody pays for another.
func (b *bench) fresh() (string, error) {
	b.n++
	dir := filepath.Join(b.root, fmt.Sprintf("run%d", b.n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, settle(dir)
}

// retire frees the blocks of what a run has written and leaves the files. ext4 passes over the inode of a file that was deleted within
// the last minutes, and looks at each of them whenever a file is made: after some thousand deletions that costs more than everything
// else, and it would be whoever comes next who pays.
func retire(dir string) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			_ = os.Truncate(path, 0) // the directory goes at the end anyway
		}
		return nil
	})
}

// settle writes out what the file system still holds in memory.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
