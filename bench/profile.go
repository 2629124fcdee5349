package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"askara-sync/cli"
)

// profiles runs a pass over each set within a process that writes its profiles.
func (b *bench) profiles(ctx context.Context) error {
	if err := os.MkdirAll(b.profile, 0o700); err != nil {
		return err
	}
	for _, s := range b.sets() {
		if _, err := b.server.restock(stock{Documents: s.documents, Size: s.size}); err != nil {
			return err
		}
		dir, err := b.fresh()
		if err != nil {
			return err
		}
		site, err := b.newSite(ctx, dir, b.server.url, sinkToFolder(dir))
		if err != nil {
			return err
		}
		stem := filepath.Join(b.profile, fmt.Sprintf("%dKiB", s.size>>10))
		cmd, err := self(ctx, "profile", stem, site.path("config.toml"))
		if err != nil {
			return err
		}
		cmd.Stdout = os.Stdout
		o, err := timed(cmd)
		if err != nil {
			return err
		}
		seen, err := b.server.seen()
		if err != nil {
			return err
		}
		fmt.Printf("%s: %.3f ms a document, %.3f ms of processor, peak %.1f MiB; server so far %s; %s.cpu %s.heap\n", s, perDocument(o.wall, s.documents),
			perDocument(o.cpu, s.documents), float64(o.peak)/1024, seen.CPU.Round(time.Millisecond), stem, stem)
		retire(dir)
	}
	return nil
}

// profilePass is the role of a pass in a process that profiles itself.
func profilePass() (err error) {
	stem, config := os.Args[1], os.Args[2]
	runtime.MemProfileRate = 64 << 10
	f, err := os.Create(stem + ".cpu")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	cli.UseProcessors(os.Getenv)
	code := cli.Main(context.Background(), cli.Env{Args: []string{"--config", config, "--once"},
		Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	pprof.StopCPUProfile()
	heap, err := os.Create(stem + ".heap")
	if err != nil {
		return err
	}
	err = errors.Join(pprof.Lookup("allocs").WriteTo(heap, 0), heap.Close())
	if code != 0 {
		err = errors.Join(err, fmt.Errorf("exit code %d", code))
	}
	return err
}
