package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"askara-sync/askara/sandbox"
)

// build makes the program as it is shipped.
func build(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "askara-sync")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// site is one installation of askara-sync.
type site struct {
	binary string
	dir    string
}

// sinkToFolder is the [sink] table of a folder destination in the site's directory.
func sinkToFolder(dir string) string { return fmt.Sprintf("path = %q\n", filepath.Join(dir, "inbox")) }

// newSite writes a configuration and logs in.
func (b *bench) newSite(ctx context.Context, dir, apiURL, sink string) (*site, error) {
	s := &site{b.binary, dir}
	secret := filepath.Join(dir, "client_secret")
	config := fmt.Sprintf("state_dir = %q\nlog_level = \"warn\"\n[api]\nbase_url = %q\nauthorize_url = %q\nclient_id = %q\nclient_secret_file = %q\n"+
		"[limits]\nworkers = %d\n[sink]\n%s", s.path("state"), apiURL, apiURL+"/authorize", sandbox.DefaultClientID, secret, b.workers, sink)
	if err := os.WriteFile(secret, []byte(sandbox.DefaultClientSecret), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.path("config.toml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	if out, err := s.command(ctx, "login").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("log in: %w\n%s", err, out)
	}
	return s, nil
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, s.binary, append([]string{"--config", s.path("config.toml")}, args...)...)
}

// outcome is what one run came to.
type outcome struct {
	wall     time.Duration
	cpu      time.Duration
	peak     int64 // KiB
	requests int
	pass     passLine
}

// passLine is what --once --json tells.
type passLine struct {
	Listed     int   `json:"listed"`
	Delivered  int   `json:"delivered"`
	Confirmed  int   `json:"confirmed"`
	Requests   int   `json:"requests"`
	DurationMS int64 `json:"duration_ms"`
}

// once runs a pass and insists that it delivered and confirmed so many.
func (s *site) once(ctx context.Context, want int) (o outcome, err error) {
	cmd := s.command(ctx, "--once", "--json")
	return s.finish(cmd, want)
}

func (s *site) finish(cmd *exec.Cmd, want int) (o outcome, err error) {
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	if o, err = timed(cmd); err != nil {
		return o, fmt.Errorf("askara-sync: %w\n%s", err, diagnostics.Bytes())
	}
	if err := json.Unmarshal(out.Bytes(), &o.pass); err != nil {
		return o, fmt.Errorf("askara-sync --json: %w", err)
	}
	if o.pass.Delivered != want || o.pass.Confirmed != want {
		return o, fmt.Errorf("askara-sync delivered %d and confirmed %d of %d", o.pass.Delivered, o.pass.Confirmed, want)
	}
	o.requests = o.pass.Requests
	return o, nil
}

// timed runs a command and measures it.
func timed(cmd *exec.Cmd) (o outcome, err error) {
	// A child begins with the peak of whoever starts it: ours is made small, and forgotten.
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return o, err
	}
	began := time.Now()
	err = cmd.Run()
	o.wall = time.Since(began)
	if err == nil {
		use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		o.peak, o.cpu = use.Maxrss, cpu(use)
	}
	return o, err
}

// syncs is how often a run asked the disk to be done.
type syncs struct{ file, dir, ledger, other int }

// traced runs a pass under strace and counts its syncs by what they were about.
func (s *site) traced(ctx context.Context, want int) (n syncs, err error) {
	log := s.path("strace")
	once := s.command(ctx, "--once", "--json")
	args := append([]string{"-f", "--seccomp-bpf", "-y", "-e", "trace=fsync,fdatasync,syncfs,sync_file_range,sync", "-o", log}, once.Args...)
	if _, err = s.finish(exec.CommandContext(ctx, "strace", args...), want); err != nil {
		return n, err
	}
	f, err := os.Open(log)
	if err != nil {
		return n, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, "sync") || strings.Contains(line, "resumed>") {
			continue
		}
		_, path, _ := strings.Cut(line, "<")
		path, _, _ = strings.Cut(path, ">")
		switch {
		case strings.Contains(path, "askara-sync.db"):
			n.ledger++
		case strings.HasSuffix(path, ".pdf"):
			n.file++
		case strings.HasPrefix(path, "/"):
			n.dir++
		default:
			n.other++
		}
	}
	return n, lines.Err()
}

// complete insists that a directory holds so many files of the size.
func complete(dir string, want, size int) error {
	n := 0
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() != int64(size) {
			err = fmt.Errorf("a file has %d bytes instead of %d", info.Size(), size)
		}
		n++
		return err
	})
	if err == nil && n != want {
		err = fmt.Errorf("%d files instead of %d", n, want)
	}
	return err
}
