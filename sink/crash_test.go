package sink_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/sink"
)

// TestKilledAtRandomInstants kills a process that delivers, again and again, while an importer takes files away at once or leaves
// them, and counts: each document arrives exactly once and whole. ASKARA_SYNC_PROOFS=1 kills more often.
func TestKilledAtRandomInstants(t *testing.T) {
	kills := 6
	if os.Getenv("ASKARA_SYNC_PROOFS") != "" {
		kills = 60
	}
	everyWay(t, func(t *testing.T, way string) {
		for _, takes := range []bool{true, false} {
			t.Run(fmt.Sprintf("importer takes %v", takes), func(t *testing.T) {
				t.Parallel()
				w := newCrashWorld(t, way)
				stop := func() {}
				if takes {
					stop = w.importer(t)
				}
				for range kills {
					w.run(t, 1<<30, time.Duration(rand.Int64N(int64(60*time.Millisecond))))
				}
				all := len(w.ledger(t)) + 8
				w.run(t, all, 0)
				stop()
				w.check(t, all, takes)
			})
		}
	})
}

// crashWorld is what outlives the killed process: folder, staging, ledger, and what the importer has taken.
type crashWorld struct{ dir, way string }

func newCrashWorld(t *testing.T, way string) crashWorld {
	w := crashWorld{t.TempDir(), way}
	for _, dir := range []string{"inbox", "taken"} {
		if err := os.Mkdir(filepath.Join(w.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// run runs a process until it has delivered so many documents, or is killed after a while.
func (w crashWorld) run(t *testing.T, documents int, kill time.Duration) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), "SINK_CRASH_DIR="+w.dir, "SINK_CRASH_WAY="+w.way, "SINK_CRASH_DOCUMENTS="+strconv.Itoa(documents))
	var said, stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		_ = cmd.Wait()
		t.Fatalf("the process said %q: %s", lines.Text(), stderr.String())
	}
	if kill > 0 {
		timer := time.AfterFunc(kill, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
	}
	if err := cmd.Wait(); err != nil && (kill == 0 || cmd.ProcessState.Exited()) {
		t.Fatalf("the process failed: %v: %s%s", err, said.String(), stderr.String())
	}
}

// importer takes every file away the moment it sees it.
func (w crashWorld) importer(t *testing.T) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	taken := 0
	look := func() {
		for _, name := range list(t, filepath.Join(w.dir, "inbox")) {
			if err := os.Rename(filepath.Join(w.dir, "inbox", name), filepath.Join(w.dir, "taken", strconv.Itoa(taken)+"_"+name)); err != nil {
				t.Errorf("take a file: %v", err)
			}
			taken++
		}
	}
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				look()
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
		look()
	}
}

// check counts what arrived.
func (w crashWorld) check(t *testing.T, documents int, taken bool) {
	t.Helper()
	dir := filepath.Join(w.dir, "inbox")
	if taken {
		dir = filepath.Join(w.dir, "taken")
	}
	got := map[string]int{}
	for _, name := range list(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[string(b)]++
	}
	for i := range documents {
		if n := got[string(crashPDF(i))]; n != 1 {
			t.Errorf("document %d arrived %d times", i, n)
		}
	}
	if len(got) != documents {
		t.Errorf("%d different files arrived, want %d", len(got), documents)
	}
	t.Logf("%d documents", documents)
	tray := filepath.Join(w.dir, ".inbox.askara-staging", sink.TrayOf("default"))
	if left := list(t, tray); len(left) != 1 {
		t.Errorf("staging holds %q", left)
	}
}

func crashPDF(n int) []byte {
	return append([]byte("%PDF-1.7\n"), bytes.Repeat(fmt.Appendf(nil, "%d ", n), 500)...)
}

// ledger reads the deliveries as the last complete transactions left them: one line each.
func (w crashWorld) ledger(t *testing.T) map[string]askara.Delivery {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "ledger"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	rows := map[string]askara.Delivery{}
	for line := range strings.SplitSeq(string(b), "\n") {
		var batch []askara.Delivery
		if json.Unmarshal([]byte(line), &batch) == nil {
			for _, d := range batch {
				rows[d.UUID] = d
			}
		}
	}
	return rows
}

// save appends a transaction. What a kill cuts off is no line.
func (w crashWorld) save(t *testing.T, batch []askara.Delivery) {
	t.Helper()
	b, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(w.dir, "ledger"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append(append([]byte("\n"), b...), '\n')); err != nil {
		t.Fatal(err)
	}
}

// fileNotes is a Notebook that outlives the process.
type fileNotes struct{ dir string }

func (n fileNotes) Note(context.Context, string) (string, bool, error) {
	b, err := os.ReadFile(filepath.Join(n.dir, "note"))
	return string(b), err == nil, nil
}

func (n fileNotes) SetNote(_ context.Context, _, value string) error {
	return os.WriteFile(filepath.Join(n.dir, "note"), []byte(value), 0o600)
}

// TestCrashChild is no test but the process that TestKilledAtRandomInstants kills: a pass without network and database. Run as a test it
// has nothing to do.
func TestCrashChild(t *testing.T) {
	w := crashWorld{os.Getenv("SINK_CRASH_DIR"), os.Getenv("SINK_CRASH_WAY")}
	if w.dir == "" {
		return
	}
	documents, _ := strconv.Atoi(os.Getenv("SINK_CRASH_DOCUMENTS"))
	f, err := sink.OpenFolder(t.Context(), sink.FolderConfig{Path: filepath.Join(w.dir, "inbox"), LedgerID: "ledger", Notebook: fileNotes{w.dir}})
	if err != nil {
		t.Fatal(err)
	}
	sink.ForcePlacing(f, w.way)
	rows := w.ledger(t)
	var keep []askara.Receipt
	for _, d := range rows {
		if d.State == askara.Staged {
			keep = append(keep, d.Receipt)
		}
	}
	if err := f.Sweep(t.Context(), "default", keep); err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	const batchSize = 8
	for first := 0; first < documents; first += batchSize {
		w.pass(t, f, rows, first, min(first+batchSize, documents))
	}
}

// pass brings the documents from first to end to delivered.
func (w crashWorld) pass(t *testing.T, f *sink.Folder, rows map[string]askara.Delivery, first, end int) {
	var staged, pending []askara.Delivery
	for i := first; i < end; i++ {
		d, ok := rows[uuidOf(i)]
		if !ok {
			d = deliveryOf(i)
			d.State = askara.Pending
		}
		if d.State == askara.Staged {
			s, err := f.Settle(t.Context(), &d)
			if err != nil {
				t.Fatal(err)
			}
			switch s {
			case askara.SettledStaged:
				staged = append(staged, d)
			case askara.SettledDelivered:
				d.State = askara.Delivered
				w.save(t, []askara.Delivery{d})
			case askara.SettledLost:
				t.Fatal("a document was lost")
			}
		}
		if d.State == askara.Pending {
			pending = append(pending, d)
		}
	}
	var wg sync.WaitGroup
	for i := range pending {
		wg.Go(func() {
			n, _ := strconv.ParseUint(pending[i].UUID[:8], 16, 32)
			stage(t, f, &pending[i], crashPDF(int(n-0xa0000000)))
		})
	}
	wg.Wait()
	if len(pending) > 0 {
		if err := f.Flush(t.Context(), pending); err != nil {
			t.Fatal(err)
		}
		w.save(t, pending)
	}
	batch := append(staged, pending...)
	if len(batch) == 0 {
		return
	}
	for i, err := range f.Deliver(t.Context(), batch) {
		if err != nil {
			t.Fatal(err)
		}
		batch[i].State = askara.Delivered
	}
	w.save(t, batch)
}
