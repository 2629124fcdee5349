package proof_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"askara-sync/askara/sandbox"
	"askara-sync/internal/dbtest"
)

// TestDestinations holds every destination against the same promises, from one table: the program is killed at random instants
// while documents and revisions arrive; then with each request failing with a probability of 15 %, too.
func TestDestinations(t *testing.T) {
	type destination struct {
		name   string
		table  *table
		faults float64
	}
	list := []destination{
		{name: "folder"}, {name: "folder,faults", faults: 0.15},
		{name: "sqlite", table: &table{kind: "sqlite"}}, {name: "sqlite,faults", table: &table{kind: "sqlite"}, faults: 0.15},
	}
	if long() {
		pg, my := dbtest.Postgres(t), dbtest.MariaDB(t)
		file := onServer(my, "mysql", "proof_file")
		file.file = true
		list = append(list,
			destination{name: "postgres", table: onServer(pg, "postgres", "proof_own")},
			destination{name: "mysql", table: onServer(my, "mysql", "proof_own")},
			destination{name: "postgres,insert", table: onServer(pg, "postgres", "proof_practice").withPractice(t)},
			destination{name: "mysql,file", table: file},
			destination{name: "postgres,faults", table: onServer(pg, "postgres", "proof_faults"), faults: 0.15},
			destination{name: "mysql,faults", table: onServer(my, "mysql", "proof_faults"), faults: 0.15},
		)
	} else {
		t.Log("PostgreSQL and MariaDB only with ASKARA_SYNC_PROOFS=1")
	}
	for _, d := range list {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldConfig{table: d.table, sandbox: sandbox.Config{AccessTTL: 2 * time.Second}})
			kills := count(*dbKillsFlag, 6, 300)
			if d.faults > 0 {
				kills = (kills + 9) / 10
				w.faults = sandbox.Faults{Rate: d.faults, Delay: 300 * time.Millisecond}
			}
			w.measure()
			w.history(20)
			w.killMany(kills)
			if d.faults > 0 {
				w.runUnderFaults(1)
			}
			w.check("destination=" + d.name)
		})
	}
}

// TestKilledAfterTheCommit kills the program when the server has committed and before the ledger knows, again and again. The row, or the
// receipt beside an integrator's own row, is then all that keeps a document from being doubled.
func TestKilledAfterTheCommit(t *testing.T) {
	if !long() {
		t.Skip("database servers are only started with ASKARA_SYNC_PROOFS=1")
	}
	for kind, start := range map[string]func(testing.TB) *dbtest.Server{"postgres": dbtest.Postgres, "mysql": dbtest.MariaDB} {
		server := start(t)
		for _, insert := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,insert=%v", kind, insert), func(t *testing.T) {
				b := onServer(server, kind, fmt.Sprintf("proof_commit_%v", insert))
				if insert {
					b.withPractice(t)
				}
				proxy := server.Proxy(t)
				b.dsn = proxy.DSN(b.dsn)
				w := newWorld(t, worldConfig{table: b})
				w.settle(w.run("--once")) // makes the table
				const kills = 5
				for range kills {
					w.server.Add(1+w.rng.IntN(8), sandbox.Document{})
					proxy.Cut(dbtest.Hold)
					cmd := w.command(context.Background(), "--once")
					w.must(cmd.Start())
					select {
					case <-proxy.Held():
					case <-time.After(3 * time.Minute): // longer than any pass takes
						t.Error("nothing was committed")
					}
					w.must(cmd.Process.Kill())
					w.exit(cmd)
					proxy.Break()
					w.kills++
					w.interrupted()
				}
				w.check("after the commit, " + t.Name())
				if proxy.Cuts() != kills {
					t.Errorf("%d commits were held, want %d", proxy.Cuts(), kills)
				}
			})
		}
	}
}

// TestServerKills kills the database's server while the program fills its table, run by hand and as the daemon.
func TestServerKills(t *testing.T) {
	if !long() {
		t.Skip("database servers are only started with ASKARA_SYNC_PROOFS=1")
	}
	for kind, start := range map[string]func(testing.TB) *dbtest.Server{"postgres": dbtest.Postgres, "mysql": dbtest.MariaDB} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			b := onServer(server, kind, "proof_kills")
			b.patience = 2 * time.Minute
			w := newWorld(t, worldConfig{table: b})
			kills := count(*serverKillsFlag, 0, 50)
			w.history(20)
			w.settle(w.run("--once"))
			hit := w.killServer(server, kills*3/5)

			d := w.startDaemon()
			hit += w.killServer(server, kills-kills*3/5)
			w.serverDown(server, d)
			d.stop(t)
			w.check("server=" + kind)
			t.Logf("figures: server=%s server_kills=%d that_failed_a_pass=%d", kind, kills, hit)
			if hit < kills/4 {
				t.Errorf("only %d of %d kills of the server interrupted a pass", hit, kills)
			}
		})
	}
}

// killServer kills the server n times, each time during a pass. It returns how many passes noticed.
func (w *world) killServer(server *dbtest.Server, n int) (hit int) {
	w.t.Helper()
	for range n {
		for range 20 {
			w.server.AddDocument(sandbox.Document{Bytes: w.pdf()})
		}
		w.arrive(4)
		cmd := w.command(context.Background(), "--once")
		w.must(cmd.Start())
		ended := make(chan int, 1)
		go func() { ended <- w.exit(cmd) }()
		before := w.server.Stats().Downloads
		w.until("a document to be downloaded", func() bool { return w.server.Stats().Downloads > before || len(ended) > 0 })
		time.Sleep(time.Duration(w.rng.IntN(60)) * time.Millisecond) // the random instant
		server.Kill()
		server.Start()
		code := <-ended
		if code == exitUnfinished {
			hit++
		}
		w.settle(code)
	}
	return hit
}

// until waits for something that comes however slow the machine is.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(3 * time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// serverDown leaves the server down for several passes of the daemon, with documents waiting.
func (w *world) serverDown(server *dbtest.Server, d *daemonProcess) {
	w.t.Helper()
	w.must(age(w.path("state")))
	w.until("the daemon to be well again", func() bool { // its own passes may have met one of the kills
		log := d.log.String()
		return strings.LastIndex(log, "pass failing: recovered") >= strings.LastIndex(log, "WARN  pass failing") || d.gone()
	})
	server.Kill()
	from := len(d.log.String())
	since := func() string { return d.log.String()[from:] }
	w.server.AddDocument(sandbox.Document{Bytes: w.pdf()})
	w.until("two passes more to fail", func() bool { return lines(since(), "DEBUG", "pass failing") >= 2 || d.gone() })
	if n := lines(since(), "WARN", "pass failing"); n != 1 {
		w.t.Errorf("%d lines of the log say that passes fail, want 1:\n%s", n, tail(since()))
	}
	if n := lines(since(), "WARN", "the database at ", "cannot be reached"); n != 1 {
		w.t.Errorf("%d lines of the log say that the database is down, want 1:\n%s", n, tail(since()))
	}
	if n := lines(d.log.String(), "[mysql]"); n != 0 {
		w.t.Errorf("the driver wrote %d lines of its own:\n%s", n, tail(d.log.String()))
	}
	server.Start()
	w.must(age(w.path("state")))
	w.until("the daemon to recover", func() bool { return lines(since(), "pass failing: recovered") > 0 || d.gone() })
	if d.gone() {
		w.t.Errorf("the daemon ended while the database was down:\n%s", tail(d.log.String()))
	}
}

// daemonProcess is the running daemon.
type daemonProcess struct {
	cmd  *exec.Cmd
	log  *output
	done chan struct{}
}

// startDaemon starts the daemon and waits until it takes orders. Its log has the level debug.
func (w *world) startDaemon() *daemonProcess {
	w.t.Helper()
	config, err := os.ReadFile(w.path("config.toml"))
	w.must(err)
	w.write("config.toml", strings.Replace(string(config), `log_level = "info"`, `log_level = "debug"`, 1))
	d := &daemonProcess{cmd: w.command(context.Background()), log: &output{}, done: make(chan struct{})}
	d.cmd.Stderr = d.log
	w.must(d.cmd.Start())
	go func() { _ = d.cmd.Wait(); close(d.done) }()
	w.t.Cleanup(func() { _ = d.cmd.Process.Kill(); <-d.done })
	w.until("the daemon to start", func() bool { return lines(d.log.String(), "started") > 0 || d.gone() })
	return d
}

func (d *daemonProcess) gone() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// stop ends the daemon, which has to be there still.
func (d *daemonProcess) stop(t *testing.T) {
	t.Helper()
	if d.gone() {
		t.Fatalf("the daemon has ended:\n%s", tail(d.log.String()))
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	<-d.done
	if code := d.cmd.ProcessState.ExitCode(); code != exitDone {
		t.Errorf("the daemon ended with %d:\n%s", code, tail(d.log.String()))
	}
}

// TestFullDatabase lets the disk of an SQLite destination fill up: the program says so, documents wait, and all are there once there
// is room.
func TestFullDatabase(t *testing.T) {
	if os.Getuid() != 0 {
		if long() {
			t.Fatal("a small disk is only made as root")
		}
		t.Skip("a small disk is only made as root")
	}
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		if !long() {
			t.Skipf("mount a small disk: %v", err)
		}
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, worldConfig{table: &table{kind: "sqlite", path: dir + "/documents.db"}})
	for range 60 {
		w.server.AddDocument(sandbox.Document{Bytes: append(w.pdf(), bytes.Repeat([]byte("%"), 9000)...)})
	}
	for range 2 {
		if code := w.run("--once"); code != exitUnfinished {
			t.Fatalf("with a full disk the program ended with %d, want %d:\n%s", code, exitUnfinished, tail(w.log.String()))
		}
		if !strings.Contains(w.log.String(), "no room") {
			t.Errorf("nothing says that there is no room:\n%s", tail(w.log.String()))
		}
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	w.check("full=sqlite")
}
