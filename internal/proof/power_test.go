package proof_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// plug is an ext4 of its own whose power can be cut: everything that was not synced is gone afterwards.
type plug struct {
	t            testing.TB
	image, mount string
	mounted      bool
}

// plugIn makes the file system and mounts it, until the test ends. It needs root and a loop device.
func plugIn(t testing.TB) *plug {
	t.Helper()
	lacking := func(what string) {
		t.Helper()
		if long() {
			t.Fatalf("the long version needs %s", what)
		}
		t.Skipf("needs %s", what)
	}
	if os.Geteuid() != 0 {
		lacking("root, to mount a file system")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacking(tool)
		}
	}
	dir := t.TempDir()
	p := &plug{t: t, image: filepath.Join(dir, "image"), mount: filepath.Join(dir, "mount")}
	if err := errors.Join(os.WriteFile(p.image, nil, 0o600), os.Truncate(p.image, 128<<20), os.Mkdir(p.mount, 0o700)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", p.image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	t.Cleanup(p.off)
	if out, err := exec.Command("mount", "-o", "loop", p.image, p.mount).CombinedOutput(); err != nil {
		lacking("a loop device: " + strings.TrimSpace(string(out)))
	}
	p.mounted = true
	return p
}

// cut ends all writing at once, as a power cut does: what the journal has not got yet is dropped.
func (p *plug) cut() {
	p.t.Helper()
	dir, err := os.Open(p.mount)
	if err != nil {
		p.t.Fatal(err)
	}
	defer dir.Close()
	const (
		shutdown   = 0x8004587d // EXT4_IOC_SHUTDOWN
		noLogFlush = 2
	)
	if err := unix.IoctlSetPointerInt(int(dir.Fd()), shutdown, noLogFlush); err != nil {
		p.t.Fatalf("cut the power: %v", err)
	}
}

// off unmounts. Whoever still looks at the file system has a moment to end.
func (p *plug) off() {
	p.t.Helper()
	if !p.mounted {
		return
	}
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if err = unix.Unmount(p.mount, 0); err == nil || errors.Is(err, unix.EINVAL) {
			p.mounted = false
			return
		}
	}
	p.t.Errorf("unmount: %v", err)
	_ = unix.Unmount(p.mount, unix.MNT_DETACH)
}

// on mounts again, which replays the journal.
func (p *plug) on() {
	p.t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", p.image, p.mount).CombinedOutput(); err != nil {
		p.t.Fatalf("mount again: %v\n%s", err, out)
	}
	p.mounted = true
}

// TestPowerCuts cuts the power of the file system that holds state, staging and folder, at random instants of runs, and mounts it
// again. Beside the promises that hold in the end, two must hold at once after each cut: what Askara was told of is delivered in the
// ledger, and in the folder where nobody takes files away; and the folder has no file that is not whole.
//
// One thing cannot be promised and is excused by construction: a file that the importer saw, or took, before the folder was synced may
// come once more, since its arrival is undone by the cut. It is excused only where the ledger, as the cut left it, has it staged and
// not delivered: delivered is written after that sync. What this cannot show is a disk that lies about its flushes.
func TestPowerCuts(t *testing.T) {
	cuts := count(*cutsFlag, 4, 200)
	for _, c := range []struct{ takes, apart bool }{{takes: true}, {takes: false}, {apart: true}} {
		t.Run(fmt.Sprintf("takes=%v,apart=%v", c.takes, c.apart), func(t *testing.T) {
			p := plugIn(t)
			world := worldConfig{dir: p.mount, takes: c.takes, sidecars: !c.takes}
			if c.apart {
				// On one file system a sync of the ledger carries the folder's entries along; here nothing helps the folder.
				world.dir, world.inbox = "", filepath.Join(p.mount, "inbox")
			}
			w := newWorld(t, world)
			w.measure()
			w.sync()
			w.history(20)
			w.cutMany(p, (cuts+2)/3)
			w.check("power_cuts")
		})
	}
}

func (w *world) cutMany(p *plug, n int) {
	w.t.Helper()
	cuts := 0
	for range 20 * n {
		if cuts >= n {
			break
		}
		w.arrive(w.rng.IntN(8))
		if w.cutOnce(p) {
			cuts++
		}
	}
	excused := 0
	for _, n := range w.again {
		excused += n
	}
	w.t.Logf("figures: power_cuts=%d seen_before_the_sync_and_excused=%d promises=%d", cuts, excused, len(w.promised))
	if cuts < n {
		w.t.Fatalf("only %d of %d cuts hit a running process", cuts, n)
	}
}

// cutOnce starts a run and cuts the power somewhere in it; false where the run was over before.
func (w *world) cutOnce(p *plug) bool {
	w.t.Helper()
	cmd := w.command(context.Background(), w.once()...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() { ended <- w.exit(cmd) }()
	timer := time.NewTimer(rand.N(2 * w.typical))
	defer timer.Stop()
	select {
	case code := <-ended:
		w.settle(code)
		w.typical = (3*w.typical + time.Since(began)) / 4
		return false
	case <-timer.C:
	}
	w.mu.Lock() // nobody looks at the ledger any more
	w.down = true
	w.mu.Unlock()
	p.cut()
	_ = cmd.Process.Kill()
	<-ended
	w.watcher.close()
	p.off()
	p.on()
	w.recover()
	w.watcher.open(w.t)
	w.mu.Lock()
	w.down = false
	w.mu.Unlock()
	w.interrupted()
	return true
}

// recover looks at what a cut has left.
func (w *world) recover() {
	w.t.Helper()
	states := map[[32]byte]int{}
	w.must(copied(w.path("state"), func(db *sqlDB) error {
		rows, err := db.Query(`select state, sha256 from delivery where sha256 is not null union all select state, sha256 from archive`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var state int
			var sum []byte
			if err := rows.Scan(&state, &sum); err != nil {
				return err
			}
			states[[32]byte(sum)] = state
		}
		return rows.Err()
	}))
	there := map[[32]byte]bool{}
	entries, err := os.ReadDir(w.watcher.dir)
	w.must(err)
	for _, e := range entries {
		path := filepath.Join(w.watcher.dir, e.Name())
		b, err := os.ReadFile(path)
		w.must(err)
		switch {
		case strings.HasSuffix(e.Name(), ".json"):
			continue
		case !strings.HasSuffix(e.Name(), ".pdf") || !whole(b):
			w.t.Errorf("after a cut the folder has %q with %d bytes, which is no whole document", e.Name(), len(b))
		}
		sum := sha256.Sum256(b)
		there[sum] = true
		// The importer died before it saw the file, or its own move away was not durable. It looks through the folder when it is back.
		w.watcher.got[sum], w.watcher.names[sum] = max(1, w.watcher.got[sum]), e.Name()
		if w.watcher.away == "" {
			continue
		}
		w.must(os.Rename(path, filepath.Join(w.watcher.away, fmt.Sprintf("back-%x.pdf", sum[:8]))))
	}
	for sum := range w.promised {
		if !deliveredStates[states[sum]] {
			w.t.Errorf("Askara was told of a document that is not delivered in the ledger after the cut (state %d)", states[sum])
		}
		if w.watcher.away == "" && !there[sum] {
			w.t.Error("Askara was told of a document that is not in the folder after the cut")
		}
	}
	const staged = 2
	for sum, n := range w.watcher.got {
		if states[sum] == staged && !there[sum] {
			w.again[sum] = n
		}
	}
}
