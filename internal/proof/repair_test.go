package proof_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"askara-sync/askara/sandbox"
)

// damages are what can become of a ledger's file.
var damages = []struct {
	name    string
	inflict func(t *testing.T, w *world, path string)
}{
	{"pages overwritten", func(t *testing.T, w *world, path string) {
		overwrite(t, path, func(b []byte) []byte {
			const page = 4096
			for i := 1; i < len(b)/page; i++ {
				if w.rng.IntN(3) == 0 {
					rand.Read(b[i*page : (i+1)*page])
				}
			}
			return b
		})
	}},
	{"pages zero", func(t *testing.T, w *world, path string) {
		overwrite(t, path, func(b []byte) []byte {
			clear(b[4096+w.rng.IntN(4096):])
			return b
		})
	}},
	{"truncated", func(t *testing.T, w *world, path string) {
		overwrite(t, path, func(b []byte) []byte { return b[:100+w.rng.IntN(len(b)-100)] })
	}},
	{"all garbage", func(t *testing.T, w *world, path string) {
		overwrite(t, path, func(b []byte) []byte { rand.Read(b); return b })
	}},
}

func overwrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, log := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + log); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// TestRepair damages the ledger between two runs. The next run must say so loudly, keep the damaged file, deliver nothing that the
// folder has, whether its files have sidecars, an identifier in their names, or neither, and miss nothing.
func TestRepair(t *testing.T) {
	naming := []struct {
		name  string
		world worldConfig
	}{
		{"names", worldConfig{}},
		{"sidecars", worldConfig{sidecars: true}},
		{"neither", worldConfig{settings: `name = '{{.Title}}.pdf'`}},
	}
	for i, damage := range damages {
		for j, by := range naming {
			if !long() && (i+j)%3 != 2 {
				continue
			}
			t.Run(damage.name+"/"+by.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, by.world)
				w.history(12)
				w.finish()
				w.server.Add(3, sandbox.Document{}) // that the ledger has never heard of
				damage.inflict(t, w, filepath.Join(w.path("state"), "askara-sync.db"))

				code := w.run("--once")
				for _, word := range []string{"ledger damaged", "ledger repaired", "has been repaired"} {
					if !strings.Contains(w.log.String(), word) {
						t.Errorf("it does not say %q:\n%s", word, tail(w.log.String()))
					}
				}
				if aside, _ := filepath.Glob(filepath.Join(w.path("state"), "*.corrupt-*")); len(aside) == 0 {
					t.Error("the damaged ledger was not kept")
				}
				w.excused = 1 // the login may have been in the damaged part
				w.settle(code)
				w.arrive(4)
				w.check("repair after " + damage.name + ", known by " + by.name)
			})
		}
	}
}

// TestDaemonBacksUp: the daemon makes the day's backup as it starts.
func TestDaemonBacksUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	w.history(3)
	cmd := w.command(t.Context())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	backups := filepath.Join(w.path("state"), "backup", "askara-sync-"+time.Now().Format("20060102")+".db")
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := os.Stat(backups); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Error("there is no backup after a minute")
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	w.must(cmd.Process.Signal(syscall.SIGTERM))
	if code := w.exit(cmd); code != exitDone {
		t.Errorf("the daemon ended with %d:\n%s", code, tail(w.log.String()))
	}
	w.check("backup")
}

// TestDaemonRepairs damages the ledger under the running daemon. It says so, sets the ledger aside, goes on with what can be read and
// with what the folder shows, and delivers what has come meanwhile, once it is logged in again where the login was lost.
func TestDaemonRepairs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldConfig{})
	w.history(12)
	d := w.startDaemon()
	confirmed := func(n int) func() bool { return func() bool { return w.server.Stats().Confirmed >= n || d.gone() } }
	w.until("the history to be confirmed", confirmed(12))

	path := filepath.Join(w.path("state"), "askara-sync.db")
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout(10000)")
	w.must(err)
	_, err = db.Exec(`pragma wal_checkpoint(truncate)`) // or the log would cover the damage
	w.must(errors.Join(err, db.Close()))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	w.must(err)
	info, err := f.Stat()
	w.must(err)
	const page = 4096
	garbage := make([]byte, info.Size()-page)
	rand.Read(garbage)
	_, err = f.WriteAt(garbage, page)
	w.must(errors.Join(err, f.Close()))

	w.server.Add(3, sandbox.Document{})
	w.until("the daemon to repair the ledger", func() bool { return lines(d.log.String(), "has been repaired") > 0 || d.gone() })
	if n := lines(d.log.String(), "the ledger is damaged and will be repaired"); n != 1 {
		t.Errorf("%d lines say that the ledger is damaged, want 1:\n%s", n, tail(d.log.String()))
	}
	if aside, _ := filepath.Glob(filepath.Join(w.path("state"), "*.corrupt-*")); len(aside) == 0 {
		t.Error("the damaged ledger was not kept")
	}
	w.excused = 1
	w.settle(w.run("--once"))
	w.until("what has come meanwhile to be confirmed", confirmed(15))
	d.stop(t)
	w.check("repaired by the daemon")
}
