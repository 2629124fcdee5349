package proof_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"askara-sync/askara/sandbox"
)

// mounted mounts a file system in memory of so many bytes until the test ends.
func mounted(t testing.TB, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if long() {
			t.Fatal("the long version needs root, to mount file systems")
		}
		t.Skip("needs root, to mount file systems")
	}
	dir := t.TempDir()
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("mount: %v", err)
	}
	return dir
}

// TestFullDisk fills the disk that holds everything, so that any write may be the one that has no room. The program says that it will
// succeed later, and does once there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{dir: mounted(t, "size=12m"), sandbox: sandbox.Config{AccessTTL: time.Second}})
	w.emptied = true
	w.measure()
	filler := w.path("filler")
	full := 0
	rounds := count(0, 6, 60)
	const most = 1_200_000 // bytes that are left free: hardly room for the first write, or for all, or anything between
	for _, round := range w.rng.Perm(rounds) {
		for range 4 {
			w.server.AddDocument(sandbox.Document{Size: 1000 + w.rng.IntN(60_000)})
		}
		var st unix.Statfs_t
		w.must(unix.Statfs(w.dir, &st))
		free := int64(st.Bavail) * st.Bsize
		leave := int64(round)*most/int64(rounds) + w.rng.Int64N(most/int64(rounds))
		if round == 0 {
			leave = w.rng.Int64N(16 << 10)
		}
		w.must(os.WriteFile(filler, make([]byte, max(0, free-leave)), 0o600))
		code := w.run("--once")
		w.must(os.Remove(filler))
		if code == exitUnfinished {
			full++
		}
		w.settle(code)
		w.empty()
	}
	t.Logf("figures: full_disk rounds=%d unfinished=%d", rounds, full)
	if full == 0 {
		t.Error("the disk was never full")
	}
	w.check("full_disk")
}

// empty takes what is in the folder away, as an importer does that comes now and then.
func (w *world) empty() {
	w.t.Helper()
	w.watcher.drain()
	entries, err := os.ReadDir(w.watcher.dir)
	w.must(err)
	for _, e := range entries {
		w.must(os.Remove(filepath.Join(w.watcher.dir, e.Name())))
	}
}

// TestFolderAway takes the folder away from a program that has used it: the disk is mounted read-only, or not mounted at all. The
// program waits, touches nothing that it is shown instead, and goes on when the folder is back.
func TestFolderAway(t *testing.T) {
	for _, c := range []struct {
		name       string
		away, back func(dir, disk string) error
	}{
		{"read-only",
			func(dir, _ string) error {
				return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
			},
			func(dir, _ string) error { return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, "") }},
		{"unmounted",
			func(dir, _ string) error { return unix.Unmount(dir, 0) },
			func(dir, disk string) error { return unix.Mount(disk, dir, "", unix.MS_BIND, "") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			disk, dir := mounted(t, "size=32m"), t.TempDir()
			w0 := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			w0(unix.Mount(disk, dir, "", unix.MS_BIND, ""))
			t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
			w := newWorld(t, worldConfig{inbox: filepath.Join(dir, "inbox")})
			w.measure()
			for range count(0, 1, 5) {
				w.server.Add(3, sandbox.Document{})
				w.must(c.away(dir, disk))
				if code := w.run("--once"); code != exitUnfinished {
					t.Errorf("it ended with %d, want %d:\n%s", code, exitUnfinished, tail(w.log.String()))
				}
				if c.name == "unmounted" {
					if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
						t.Errorf("the empty mount point was filled: %v, %v", entries, err)
					}
				}
				w.must(c.back(dir, disk))
			}
			w.check("folder " + c.name)
		})
	}
}

// TestManyProcesses runs the daemon and two runs by hand over one state directory, again and again, with documents coming in.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{takes: true, sandbox: sandbox.Config{AccessTTL: time.Second}})
	w.history(30)
	path, err := program()
	w.must(err)
	start := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), path, append([]string{"--config", w.path("config.toml")}, args...)...)
		w.must(cmd.Start())
		return cmd
	}
	rounds := count(0, 2, 25)
	for range rounds {
		w.arrive(10)
		processes := []*exec.Cmd{start("--once"), start("--once", "--since", "60d"), start()}
		ctx, cancel := context.WithTimeout(t.Context(), w.typical+2*time.Second)
		var runs sync.WaitGroup
		for _, cmd := range processes[:2] {
			runs.Go(func() {
				_ = cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); !slices.Contains([]int{exitDone, exitUnfinished, exitLogin}, code) {
					t.Errorf("a run beside others ended with %d", code)
				}
			})
		}
		<-ctx.Done()
		cancel()
		w.must(processes[2].Process.Signal(syscall.SIGTERM))
		_ = processes[2].Wait()
		runs.Wait()
	}
	t.Logf("figures: many_processes rounds=%d processes=%d", rounds, 3*rounds)
	w.check("many_processes")
}
