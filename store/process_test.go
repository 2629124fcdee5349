package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
)

// childVariable makes the test binary run one of the children instead of the tests.
const childVariable = "ASKARA_SYNC_STORE_CHILD"

func TestMain(m *testing.M) {
	name := os.Getenv(childVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := children[name](context.Background(), os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// children are what other processes do, given a state directory.
var children = map[string]func(ctx context.Context, dir string) error{
	"pages": writePages, "budget": countRequests, "daemon": beDaemon, "pass": holdPass, "logins": rotate,
}

// start runs a child and returns it with its standard output.
func start(t *testing.T, name, dir string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, dir)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewReader(out)
}

// awaitLine reads the child's next line.
func awaitLine(t *testing.T, out *bufio.Reader) string {
	t.Helper()
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("the child ended early: %v", err)
	}
	return strings.TrimSpace(line)
}

const perPage = 5

// writePages records page after page, each with its cursor, and moves each page on in batches, until it is killed.
func writePages(ctx context.Context, dir string) error {
	s, err := store.Open(ctx, store.Config{Dir: dir, Decode: decode})
	if err != nil {
		return err
	}
	c, err := s.Cursor(ctx, account)
	if err != nil {
		return err
	}
	first := 0
	if !c.At.IsZero() {
		first = int(c.At.Sub(epoch)/time.Second) + 1
	}
	fmt.Println("ready")
	for n := first; ; n += perPage {
		at := epoch.Add(time.Duration(n+perPage-1) * time.Second)
		_, err := s.Record(ctx, askara.Listing{Account: account, Documents: documents(n, n+perPage), Cursor: &askara.Cursor{At: at}, At: time.Now()})
		if err != nil {
			return err
		}
		for _, step := range []askara.DeliveryState{askara.Pending, askara.Staged, askara.Delivered} {
			batch, err := s.Due(ctx, account, time.Now(), perPage, step)
			if err != nil {
				return err
			}
			for i := range batch {
				batch[i].State, batch[i].Receipt.SHA256 = step+1, askara.Checksum{7}
			}
			if err := s.Save(ctx, batch); err != nil {
				return err
			}
		}
		fmt.Println(n)
	}
}

// TestKilledWhileWriting kills a writer at random instants: a page is there whole, with its cursor, or not at all, and so is a batch.
func TestKilledWhileWriting(t *testing.T) {
	kills, last := 8, 0
	if os.Getenv("ASKARA_SYNC_PROOFS") == "1" {
		kills = 200
	}
	dir := stateDir(t)
	for range kills {
		cmd, out := start(t, "pages", dir)
		awaitLine(t, out)
		drained := make(chan struct{})
		go func() { defer close(drained); _, _ = io.Copy(io.Discard, out) }()
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // the instant of the kill is what is random here
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-drained
		_ = cmd.Wait()
		last = checkPages(t, dir, last)
	}
	if last == 0 {
		t.Error("no page was ever written, so that nothing was shown")
	}
}

// checkPages checks what a kill left and returns how many documents there are, which must not become fewer.
func checkPages(t *testing.T, dir string, atLeast int) int {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Decode: decode})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if report, err := s.Salvaged(t.Context()); report != nil || err != nil {
		t.Fatalf("a kill damaged the ledger: %+v, %v", report, err)
	}
	states := map[int]askara.DeliveryState{}
	note := func(d askara.Delivery) {
		states[int(d.Document.Order.Sub(epoch)/time.Second)] = d.State
	}
	for d, err := range s.Delivered(t.Context(), account) {
		if err != nil {
			t.Fatal(err)
		}
		note(d)
	}
	for _, d := range dueNow(t, s, askara.Pending, askara.Staged) {
		note(d)
	}
	c, err := s.Cursor(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	documents := 0
	if !c.At.IsZero() {
		documents = int(c.At.Sub(epoch)/time.Second) + 1
	}
	if len(states) != documents || documents%perPage != 0 || documents < atLeast {
		t.Errorf("the cursor passed %d documents, the ledger has %d, it had %d before", documents, len(states), atLeast)
	}
	total := 0
	for state := askara.Pending; state <= askara.Closed; state++ {
		n, err := s.Waiting(t.Context(), account, state)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != len(states) {
		t.Errorf("the count says %d, there are %d rows", total, len(states))
	}
	for n := 0; n < documents; n += perPage {
		for i := range perPage {
			if states[n+i] != states[n] {
				t.Errorf("documents %d and %d of one batch are %v and %v", n, n+i, states[n], states[n+i])
			}
		}
	}
	return documents
}

const (
	processes = 3
	requests  = 100
)

// countRequests adds to the budget, one at a time.
func countRequests(ctx context.Context, dir string) error {
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Close()
	for range requests {
		if err := s.UpdateBudget(ctx, func(b *askara.BudgetState) error { b.Granted++; return nil }); err != nil {
			return err
		}
	}
	return nil
}

func TestProcessesShareTheBudget(t *testing.T) {
	dir := stateDir(t)
	var cmds []*exec.Cmd
	for range processes {
		cmd, _ := start(t, "budget", dir)
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	s := open(t, dir)
	unchanged := errors.New("unchanged")
	err := s.UpdateBudget(t.Context(), func(b *askara.BudgetState) error {
		if b.Granted != processes*requests {
			t.Errorf("budget: got %d requests want %d", b.Granted, processes*requests)
		}
		b.Granted = 0
		return unchanged
	})
	if err != unchanged {
		t.Errorf("UpdateBudget: got %v want the function's own error", err)
	}
	err = s.UpdateBudget(t.Context(), func(b *askara.BudgetState) error {
		if b.Granted == 0 {
			t.Error("a refused change was kept")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// rotate refreshes a login under its lock, one generation at a time.
func rotate(ctx context.Context, dir string) error {
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Close()
	for range 20 {
		unlock, err := s.LockLogin(ctx, account)
		if err != nil {
			return err
		}
		l, err := s.LoadLogin(ctx, account)
		if err == nil {
			l.State, l.Generation = askara.LoginOK, l.Generation+1
			l.Tokens.Refresh = askara.Secret("refresh-" + strconv.FormatInt(l.Generation, 10))
			err = s.SaveLogin(ctx, l)
		}
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func TestProcessesShareTheLogin(t *testing.T) {
	dir := stateDir(t)
	var cmds []*exec.Cmd
	for range processes {
		cmd, _ := start(t, "logins", dir)
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	l, err := open(t, dir).LoadLogin(t.Context(), account)
	if err != nil || l.Generation != processes*20 || l.Tokens.Refresh.Reveal() != "refresh-60" {
		t.Errorf("LoadLogin: got generation %d, %v want %d", l.Generation, err, processes*20)
	}
}

// beDaemon holds the daemon's lock until it is killed.
func beDaemon(ctx context.Context, dir string) error {
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		return err
	}
	if _, _, err := s.LockDaemon(); err != nil {
		return err
	}
	return linger()
}

// holdPass holds the lock of a pass until it is killed.
func holdPass(ctx context.Context, dir string) error {
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		return err
	}
	if _, err := s.LockPass(ctx, account); err != nil {
		return err
	}
	return linger()
}

// linger tells the parent that it may go on and waits for the end; a parent that dies ends it.
func linger() error {
	fmt.Println("held")
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

func TestDaemonLockEndsWithItsHolder(t *testing.T) {
	s, dir := fresh(t)
	if _, running, err := s.Daemon(); running || err != nil {
		t.Errorf("Daemon before any: got %v, %v", running, err)
	}
	cmd, out := start(t, "daemon", dir)
	awaitLine(t, out)
	_, holder, err := s.LockDaemon()
	if !errors.Is(err, store.ErrDaemonRunning) || holder != cmd.Process.Pid {
		t.Errorf("LockDaemon beside a daemon: got holder %d, %v want %d", holder, err, cmd.Process.Pid)
	}
	if pid, running, err := s.Daemon(); !running || pid != cmd.Process.Pid || err != nil {
		t.Errorf("Daemon: got %d, %v, %v want %d", pid, running, err, cmd.Process.Pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	unlock, _, err := s.LockDaemon()
	if err != nil {
		t.Fatalf("LockDaemon after the holder's death: %v", err)
	}
	if pid, running, err := s.Daemon(); !running || pid != os.Getpid() || err != nil {
		t.Errorf("Daemon: got %d, %v, %v want this process", pid, running, err)
	}
	unlock()
	if _, running, err := s.Daemon(); running || err != nil {
		t.Errorf("Daemon after unlock: got %v, %v", running, err)
	}
}

func TestPassLockEndsWithItsHolder(t *testing.T) {
	s, dir := fresh(t)
	cmd, out := start(t, "pass", dir)
	awaitLine(t, out)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.LockPass(ctx, account); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("LockPass beside its holder: got %v want the deadline", err)
	}
	other, err := s.LockPass(t.Context(), "Other / account")
	if err != nil {
		t.Errorf("LockPass of another account: %v", err)
	} else {
		other()
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	unlock, err := s.LockPass(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	// Within one process it excludes as well.
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.LockPass(ctx, account); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("LockPass a second time: got %v want the deadline", err)
	}
	unlock()
	again, err := s.LockPass(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// TestReadOnlyBesideADaemon reads while another process has the ledger open, and makes no file there.
func TestReadOnlyBesideADaemon(t *testing.T) {
	for _, alive := range []bool{true, false} {
		t.Run(fmt.Sprintf("alive=%v", alive), func(t *testing.T) {
			dir := stateDir(t)
			s := open(t, dir)
			record(t, s, documents(0, 3)...)
			if !alive {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			before := fingerprint(t, dir)
			r, err := store.Open(t.Context(), store.Config{Dir: dir, ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			if n, err := r.Waiting(t.Context(), account, askara.Pending); n != 3 || err != nil {
				t.Errorf("Waiting: got %d, %v want 3", n, err)
			}
			if st, err := r.Status(t.Context(), account); st.Counts[askara.Pending] != 3 || err != nil {
				t.Errorf("Status: got %+v, %v", st, err)
			}
			if err := r.SetNote(t.Context(), "a", "b"); err == nil {
				t.Error("SetNote on a ledger opened for reading: got no error")
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			after := fingerprint(t, dir)
			for name := range after {
				if _, ok := before[name]; !ok {
					t.Errorf("%s was made", name)
				}
			}
			if before["askara-sync.db"] != after["askara-sync.db"] || before["askara-sync.db-wal"] != after["askara-sync.db-wal"] {
				t.Error("the ledger was written to")
			}
		})
	}
	if _, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "none"), ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of nothing: got %v", err)
	}
}
