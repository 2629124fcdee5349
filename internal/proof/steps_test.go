package proof_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/sink"
	"askara-sync/store"
	"askara-sync/sync"
)

// mishap is what happens at a step.
type mishap int

const (
	refused   mishap = iota // the step fails and has done nothing
	answered                // the step is done, and reported as failed
	stopped                 // the pass is told to stop as the step begins
	diedFirst               // the process ends before the step: nothing reaches disk or Askara any more
	diedAfter               // the process ends as soon as the step is done
	mishaps
)

var mishapNames = [mishaps]string{"refused", "done but reported as failed", "told to stop", "dies before", "dies after"}

// steps counts every call of a pass to the outside, gives each a name, and makes one of them go wrong.
type steps struct {
	mu    gosync.Mutex
	names []string // of the calls so far
	at    int      // the call that goes wrong, from 1; 0: none
	what  mishap
	stop  context.CancelFunc
	dead  bool
}

var errMishap = errors.New("this step was made to fail")

// mishapError is a fault of the kind that the step would have.
type mishapError struct{ kind askara.Fault }

func (e mishapError) Error() string       { return errMishap.Error() }
func (e mishapError) Fault() askara.Fault { return e.kind }

// step runs one call. kind is what a failure of it is.
func (s *steps) step(name string, kind askara.Fault, call func() error) error {
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		return mishapError{kind}
	}
	s.names = append(s.names, name)
	hit := len(s.names) == s.at
	what := s.what
	if hit {
		switch what {
		case stopped:
			s.stop()
		case diedFirst:
			s.dead = true
		}
	}
	s.mu.Unlock()
	if hit && (what == refused || what == diedFirst) {
		return mishapError{kind}
	}
	err := call()
	if hit && (what == answered || what == diedAfter) {
		s.mu.Lock()
		s.dead = s.dead || what == diedAfter
		s.mu.Unlock()
		return mishapError{kind}
	}
	return err
}

// The ports of a pass, each call a step.

type stepSource struct {
	*steps
	sync.Source
}

func (s stepSource) List(ctx context.Context, q askara.Query) (p askara.Page, err error) {
	err = s.step("list", askara.FaultService, func() (err error) { p, err = s.Source.List(ctx, q); return err })
	return p, err
}

func (s stepSource) Download(ctx context.Context, d askara.Document) (c *askara.Content, err error) {
	err = s.step("download", askara.FaultService, func() (err error) { c, err = s.Source.Download(ctx, d); return err })
	if err != nil && c != nil {
		c.Body.Close()
	}
	return c, err
}

func (s stepSource) Confirm(ctx context.Context, uuid string, o askara.Outcome) (c askara.Confirmation, err error) {
	err = s.step("confirm", askara.FaultService, func() (err error) { c, err = s.Source.Confirm(ctx, uuid, o); return err })
	return c, err
}

// stepLedger is the catalog, the queue and the requests.
type stepLedger struct {
	*steps
	*store.Store
	skew time.Duration // how much later it is than it is
}

func (s stepLedger) Cursor(ctx context.Context, a string) (c askara.Cursor, err error) {
	err = s.step("read the cursor", askara.FaultUnexpected, func() (err error) { c, err = s.Store.Cursor(ctx, a); return err })
	return c, err
}

func (s stepLedger) Record(ctx context.Context, l askara.Listing) (r askara.Recorded, err error) {
	err = s.step("record a page", askara.FaultUnexpected, func() (err error) { r, err = s.Store.Record(ctx, l); return err })
	return r, err
}

func (s stepLedger) Due(ctx context.Context, a string, now time.Time, n int, states ...askara.DeliveryState) (d []askara.Delivery, err error) {
	err = s.step("read due documents", askara.FaultUnexpected, func() (err error) {
		d, err = s.Store.Due(ctx, a, now.Add(s.skew), n, states...)
		return err
	})
	return d, err
}

func (s stepLedger) Save(ctx context.Context, batch []askara.Delivery) error {
	var states []string
	for _, d := range batch {
		if !slices.Contains(states, d.State.String()) {
			states = append(states, d.State.String())
		}
	}
	slices.Sort(states)
	return s.step("save "+strings.Join(states, "+"), askara.FaultUnexpected, func() error { return s.Store.Save(ctx, batch) })
}

func (s stepLedger) SavePass(ctx context.Context, p askara.Pass) (q askara.Pass, err error) {
	err = s.step("record the pass", askara.FaultUnexpected, func() (err error) { q, err = s.Store.SavePass(ctx, p); return err })
	return q, err
}

type stepFolder struct {
	*steps
	*sink.Folder
}

func (s stepFolder) Prepare(ctx context.Context) error {
	return s.step("prepare", askara.FaultDestination, func() error { return s.Folder.Prepare(ctx) })
}

func (s stepFolder) Stage(ctx context.Context, d askara.Delivery, body io.Reader, size int64) (r askara.Receipt, err error) {
	err = s.step("stage", askara.FaultDestination, func() (err error) { r, err = s.Folder.Stage(ctx, d, body, size); return err })
	return r, err
}

func (s stepFolder) Sweep(ctx context.Context, a string, keep []askara.Receipt) error {
	return s.step("sweep", askara.FaultDestination, func() error { return s.Folder.Sweep(ctx, a, keep) })
}

func (s stepFolder) Flush(ctx context.Context, batch []askara.Delivery) error {
	return s.step("flush", askara.FaultDestination, func() error { return s.Folder.Flush(ctx, batch) })
}

func (s stepFolder) Deliver(ctx context.Context, batch []askara.Delivery) []error {
	errs := make([]error, len(batch))
	if err := s.step("move into place", askara.FaultDestination, func() error { errs = s.Folder.Deliver(ctx, batch); return nil }); err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

func (s stepFolder) Settle(ctx context.Context, d *askara.Delivery) (r askara.Settlement, err error) {
	err = s.step("settle", askara.FaultDestination, func() (err error) { r, err = s.Folder.Settle(ctx, d); return err })
	return r, err
}

// workshop is a whole line in this process but for the command: the real ledger and folder, and a sandbox without a socket.
type workshop struct {
	t      *testing.T
	dir    string
	server *sandbox.Server
	access string
	im     *importer
	ledger *store.Store
	folder *sink.Folder
}

type bearer string

func (b bearer) Token(context.Context) (askara.Secret, error) { return askara.Secret(b), nil }
func (b bearer) Renew(context.Context, askara.Secret) (askara.Secret, error) {
	return askara.Secret(b), nil
}

func newWorkshop(t *testing.T, takes bool) *workshop {
	dir, err := os.MkdirTemp(memory(), "askara-sync-steps-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &workshop{t: t, dir: dir, server: sandbox.New(sandbox.Config{Burst: -1, AccessTTL: 1000 * time.Hour})}
	w.access, _ = w.server.Login("")
	away := ""
	for _, name := range []string{"inbox", "taken"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if takes {
		away = filepath.Join(dir, "taken")
	}
	w.im = watch(t, filepath.Join(dir, "inbox"), away, true)
	return w
}

// memory is where files are that need no disk: what a pass does in which order is tested here, not what a disk keeps.
func memory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// pass runs one with fresh objects over what is on disk. They are closed only when the test ends, as a process that dies closes nothing.
func (w *workshop) pass(s *steps, skew time.Duration) error {
	w.t.Helper()
	decode := func(raw []byte) (askara.Document, error) { return askara.DecodeDocument(raw, askara.DefaultContract()) }
	ledger, err := store.Open(w.t.Context(), store.Config{Dir: filepath.Join(w.dir, "state"), Decode: decode})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ledger.Close() })
	folder, err := sink.OpenFolder(w.t.Context(), sink.FolderConfig{
		Path: filepath.Join(w.dir, "inbox"), Sidecar: "json", LedgerID: ledger.ID(), Notebook: ledger,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ledger, w.folder = ledger, folder
	client := askara.NewClient(askara.Config{
		BaseURL: &url.URL{Scheme: "https", Host: "api.askara.example"}, Contract: askara.DefaultContract(),
		Transport: w.server.RoundTripper(), Tokens: bearer(w.access),
	})
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	s.stop = cancel
	l, f := stepLedger{s, ledger, skew}, stepFolder{s, folder}
	_, err = sync.New(sync.Config{
		Account: "default", Source: stepSource{s, client}, Catalog: l, Queue: l, Requests: l, Staging: f, Destination: f,
		Workers: 1, Batch: 2, Overlap: time.Minute, Confirm: true, Grace: time.Minute,
		Logger: slog.New(slog.DiscardHandler),
	}).Run(ctx, sync.Request{Manual: true})
	return err
}

// state says what is where.
func (w *workshop) state() string {
	w.t.Helper()
	st, err := w.ledger.Status(w.t.Context(), "default")
	if err != nil {
		w.t.Fatal(err)
	}
	staged := 0
	_ = filepath.WalkDir(filepath.Join(w.dir, ".inbox.askara-staging"), func(path string, _ os.DirEntry, _ error) error {
		if strings.HasSuffix(path, ".pdf") {
			staged++
		}
		return nil
	})
	w.im.drain()
	w.im.mu.Lock()
	defer w.im.mu.Unlock()
	told := 0
	for _, d := range w.server.Documents() {
		if d.Confirmed() {
			told++
		}
	}
	var counts []string
	for state := askara.Pending; state <= askara.Closed; state++ {
		if n := st.Counts[state]; n > 0 {
			counts = append(counts, fmt.Sprintf("%s %d", state, n))
		}
	}
	return fmt.Sprintf("ledger: %s · files in staging %d · came to the importer %d · Askara told of %d", strings.Join(counts, " "), staged,
		w.im.files, told)
}

// judge holds what came against what Askara has.
func (w *workshop) judge() (trouble []string) {
	w.im.drain()
	w.im.mu.Lock()
	defer w.im.mu.Unlock()
	trouble = slices.Clone(w.im.trouble)
	for _, d := range w.server.Documents() {
		if n := w.im.got[d.SHA256]; n != 1 {
			trouble = append(trouble, fmt.Sprintf("a document came %d times", n))
		}
		if !d.Confirmed() {
			trouble = append(trouble, "a document was not confirmed")
		} else if d.Confirms[0].Downloads == 0 {
			trouble = append(trouble, "a document was confirmed before it was downloaded")
		}
	}
	return trouble
}

// TestSteps is the table of what can go wrong at which step of a pass, and of the state that this leaves: at every call of a
// pass to Askara, to the ledger and to the folder, in every way. The pass after it, with fresh objects over what is on disk, must
// bring everything to its end: each document reaches the importer once, and Askara is told. In the long version the first pass
// after the mishap goes wrong as well. With -v the table is printed.
func TestSteps(t *testing.T) {
	const documents = 3
	plain := &steps{}
	w := newWorkshop(t, true)
	w.server.Add(documents, sandbox.Document{Size: 1000})
	if err := w.pass(plain, 0); err != nil {
		t.Fatal(err)
	}
	if bad := w.judge(); len(bad) > 0 {
		t.Fatalf("an undisturbed pass: %q", bad)
	}
	total := len(plain.names)
	if total < 20 {
		t.Fatalf("a pass has only %d steps: %q", total, plain.names)
	}
	stride := count(0, 2, 1)
	cases := 0
	var table gosync.Mutex
	rows := map[string]string{}
	for at := 1; at <= total; at++ {
		for what := range mishaps {
			if (at+int(what))%stride != 0 {
				continue
			}
			cases++
			t.Run(fmt.Sprintf("%02d %s/%s", at, plain.names[at-1], mishapNames[what]), func(t *testing.T) {
				t.Parallel()
				w := newWorkshop(t, (at+int(what))/2%2 == 0)
				w.server.Add(documents, sandbox.Document{Size: 1000})
				s := &steps{at: at, what: what}
				err := w.pass(s, 0)
				if len(s.names) < at {
					t.Logf("not reached: the pass took %d steps this time", len(s.names))
				}
				table.Lock()
				name := s.names[min(at, len(s.names))-1] // downloads and confirmations run side by side, so the order varies
				said := strings.ReplaceAll(fmt.Sprint(err), "\n", "; ")
				rows[fmt.Sprintf("%02d %-28s %-28s", at, name, mishapNames[what])] = w.state() + " · " + said
				table.Unlock()
				if long() { // and the pass that settles it meets with the same
					_ = w.pass(&steps{at: 3 + at%7, what: what}, 24*time.Hour)
				}
				if err := w.pass(&steps{}, 48*time.Hour); err != nil {
					t.Errorf("the pass after it: %v", err)
				}
				if bad := w.judge(); len(bad) > 0 {
					t.Errorf("in the end: %q", bad)
				}
			})
		}
	}
	t.Cleanup(func() {
		var lines []string
		for step, state := range rows {
			lines = append(lines, step+" → "+state)
		}
		slices.Sort(lines)
		t.Logf("figures: steps of a pass=%d cases=%d\n%s", total, cases, strings.Join(lines, "\n"))
	})
}
