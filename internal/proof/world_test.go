package proof_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"askara-sync/askara/sandbox"
)

// world is one installation of the program and its surroundings: an Askara in this process that is reached over loopback, a state
// directory, a folder with an importer, and a configuration. The program itself is started as a process.
type world struct {
	t       testing.TB
	server  *sandbox.Server
	url     string
	inbox   string
	emptied bool   // files were taken out of the folder by the test
	dir     string // everything below; state, inbox and staging share its file system
	rng     *rand.Rand
	watcher *importer
	table   *table // nil where documents go into the folder alone

	mu    sync.Mutex
	early []string // confirmations that came before what they promise was true
	down  bool     // the ledger cannot be looked at: its file system has no power

	faults       sandbox.Faults    // while the program is killed
	promised     map[[32]byte]bool // what Askara was told of
	again        map[[32]byte]int  // how often a document may come again, see TestPowerCuts
	drafts       []string
	kills        int // that hit a living process
	killsRefresh int // of these, how many left the intent of a refresh open
	logins       int // again, after the first
	excused      int // of these, for reasons of the test's own
	runs         int
	typical      time.Duration // of a whole run
	log          bytes.Buffer  // of the last process
}

type worldConfig struct {
	dir      string // "" is a temporary directory, on a disk
	inbox    string // "" is in dir
	takes    bool   // the importer takes files away
	sidecars bool
	table    *table // where the documents go instead
	settings string // more TOML, at the end
	sandbox  sandbox.Config
}

const exitDone, exitUnfinished, exitLogin = 0, 75, 77

// newWorld makes a world whose program is logged in and has never run.
func newWorld(t testing.TB, c worldConfig) *world {
	t.Helper()
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := &world{t: t, dir: c.dir, inbox: c.inbox, rng: rand.New(rand.NewPCG(seed, 1)), table: c.table,
		promised: map[[32]byte]bool{}, again: map[[32]byte]int{}}
	c.sandbox.Seed, c.sandbox.AutoApprove, c.sandbox.DeviceInterval = seed, true, time.Second
	c.sandbox.Burst, c.sandbox.Refill = 1_000_000, 1_000_000
	c.sandbox.OnConfirm = w.confirmed
	w.server = sandbox.New(c.sandbox)
	w.listen()
	for _, name := range []string{"state", "inbox", "taken"} {
		if err := os.Mkdir(w.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sidecar := "none"
	if c.sidecars {
		sidecar = "json"
	}
	destination := fmt.Sprintf("path = %q\nmin_free = \"0\"\nsidecar = %q", w.path("inbox"), sidecar)
	if c.table != nil {
		destination = c.table.settings(w)
	}
	w.write("client_secret", sandbox.DefaultClientSecret)
	w.write("config.toml", fmt.Sprintf(`state_dir = %q
schedule = "@every 10s"
jitter = "0s"
log_level = "info"
[api]
base_url = %q
authorize_url = %q
client_id = %q
client_secret_file = %q
timeout = "10s"
[limits]
burst = 1000000
refill = 1000000
refill_every = "1s"
overlap = "15s"
max_attempts = 1000
[sink]
%s
%s`, w.path("state"), w.url, w.url+"/authorize", sandbox.DefaultClientID, w.path("client_secret"), destination, c.settings))
	away := ""
	if c.takes {
		away = w.path("taken")
	}
	w.watcher = watch(t, w.path("inbox"), away, c.sidecars)
	w.login()
	w.logins = 0
	w.sync()
	return w
}

// sync makes everything durable that was made so far, the configuration above all.
func (w *world) sync() {
	w.t.Helper()
	for _, path := range []string{w.dir, w.path("inbox")} {
		dir, err := os.Open(path)
		w.must(err)
		defer dir.Close()
		w.must(unix.Syncfs(int(dir.Fd())))
	}
}

// listen serves the sandbox on a loopback port.
func (w *world) listen() {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.url = "http://" + l.Addr().String()
	files, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.server.SetFilesURL("http://" + files.Addr().String())
	for l, h := range map[net.Listener]http.Handler{l: w.server, files: w.server.Files()} {
		s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
		var done sync.WaitGroup
		done.Go(func() { s.Serve(l) })
		w.t.Cleanup(func() { s.Close(); done.Wait() })
	}
}

func (w *world) path(name string) string {
	if name == "inbox" && w.inbox != "" {
		return w.inbox
	}
	return filepath.Join(w.dir, name)
}

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// confirmed is told of every confirmation before Askara keeps it: what it promises must be true by now.
func (w *world) confirmed(uuid string, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if failed || w.down {
		return
	}
	sum, why := w.premature(uuid)
	if why != "" {
		w.early = append(w.early, uuid+": "+why)
	}
	w.promised[sum] = true
}

// command prepares the program. Its log is kept until the next one.
func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	w.t.Helper()
	path, err := program()
	if err != nil {
		w.t.Fatal(err)
	}
	w.log.Reset()
	cmd := exec.CommandContext(ctx, path, append([]string{"--config", w.path("config.toml")}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + w.dir}
	cmd.Stderr = &w.log
	cmd.Stdout = io.Discard
	return cmd
}

// exit waits for a command and returns its exit code, -1 after a signal.
func (w *world) exit(cmd *exec.Cmd) int {
	w.t.Helper()
	err := cmd.Wait()
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	w.t.Fatalf("run the program: %v", err)
	return 0
}

// run runs the program to its end.
func (w *world) run(args ...string) (code int) {
	w.t.Helper()
	// Longer than any run takes on any machine; it only keeps a hang from lasting for ever.
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := w.command(ctx, args...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return w.exit(cmd)
}

// login logs the program in as a person would, while Askara behaves.
func (w *world) login() {
	w.t.Helper()
	w.server.SetFaults(sandbox.Faults{})
	if code := w.run("login"); code != exitDone {
		w.t.Fatalf("login ended with %d:\n%s", code, w.log.String())
	}
	w.logins++
}

// strike starts the program and kills it after a random time, at most about as long as it would need. It reports whether
// the kill hit it, and its exit code where it did not.
func (w *world) strike(within time.Duration, args ...string) (hit bool, code int) {
	w.t.Helper()
	w.server.SetFaults(w.faults)
	cmd := w.command(context.Background(), args...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() { ended <- w.exit(cmd) }()
	timer := time.NewTimer(rand.N(within))
	defer timer.Stop()
	select {
	case code = <-ended:
		w.runs++
		w.settle(code)
		w.typical = (3*w.typical + time.Since(began)) / 4
		return false, code
	case <-timer.C:
	}
	_ = cmd.Process.Kill()
	if code = <-ended; code != -1 {
		w.settle(code)
		return false, code
	}
	w.kills++
	w.interrupted()
	return true, -1
}

// settle does what a person, or time, does after a run.
func (w *world) settle(code int) {
	w.t.Helper()
	switch code {
	case exitDone:
	case exitUnfinished:
		w.must(age(w.path("state")))
	case exitLogin:
		w.login()
	default:
		w.t.Fatalf("the program ended with %d:\n%s", code, w.log.String())
	}
}

// interrupted looks whether a kill hit a refresh.
func (w *world) interrupted() {
	open := 0
	w.must(copied(w.path("state"), func(db *sqlDB) error {
		return db.QueryRow(`select count(*) from login where intent_at is not null`).Scan(&open)
	}))
	if open > 0 {
		w.killsRefresh++
		w.must(age(w.path("state")))
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pdf returns a small PDF that nothing else is equal to.
func (w *world) pdf() []byte {
	b := make([]byte, 200+w.rng.IntN(9000))
	for i := range b {
		b[i] = byte('a' + w.rng.IntN(26))
	}
	return fmt.Appendf(nil, "%%PDF-1.7\n%s\n%%%%EOF\n", b)
}

// arrive makes up to n things happen in Askara: new documents mostly, drafts, their validation, and documents that are validated
// again with other bytes or with the same.
func (w *world) arrive(n int) {
	for range n {
		switch w.rng.IntN(10) {
		case 0:
			w.drafts = append(w.drafts, w.server.AddDocument(sandbox.Document{Status: "draft", Bytes: w.pdf()}))
		case 1:
			if len(w.drafts) > 0 {
				w.server.Validate(w.drafts[0])
				w.drafts = w.drafts[1:]
			}
		case 2, 3:
			if all := w.server.Documents(); len(all) > 0 {
				// Two validations within one second cannot be told apart by dates of whole seconds, and no person is that quick.
				if d := all[w.rng.IntN(len(all))]; d.Status == "validated" && d.ValidatedAt.Before(time.Now().Truncate(time.Second)) {
					w.server.Revalidate(d.UUID, w.rng.IntN(2) == 0)
				}
			}
		default:
			w.server.AddDocument(sandbox.Document{Bytes: w.pdf()})
		}
	}
}

// history adds n documents of the last month.
func (w *world) history(n int) {
	now := time.Now()
	for i := range n {
		at := now.Add(-time.Duration(n-i) * 30 * 24 * time.Hour / time.Duration(n+1))
		w.server.AddDocument(sandbox.Document{Bytes: w.pdf(), CreatedAt: at, ValidatedAt: at, UpdatedAt: at})
	}
}

// finish runs the program undisturbed until there is nothing left to do.
func (w *world) finish() {
	w.t.Helper()
	w.server.SetFaults(sandbox.Faults{})
	const enough = 5 // an uncertain login, its loss and a new one, and what waited for them
	for range enough {
		w.must(age(w.path("state")))
		switch code := w.run("--once", "--since", "60d"); code {
		case exitDone:
			return
		default:
			w.settle(code)
		}
	}
	w.t.Fatalf("the program does not finish its work:\n%s", tail(w.log.String()))
}

func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return strings.TrimSpace(s)
}
