package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"askara-sync/askara/sandbox"
	"askara-sync/cli"
)

// clinic is a whole installation against a sandbox on loopback, run command by command in this process.
type clinic struct {
	server *sandbox.Server
	file   string // configuration
	state  string
	inbox  string
}

// newClinic sets up an installation; more goes to the end of its configuration.
func newClinic(t *testing.T, c sandbox.Config, more string) *clinic {
	t.Helper()
	dir := t.TempDir()
	g := &clinic{server: sandbox.New(c), state: filepath.Join(dir, "state"), inbox: filepath.Join(dir, "inbox")}
	web := httptest.NewServer(g.server)
	t.Cleanup(web.Close)
	files := httptest.NewServer(g.server.Files())
	t.Cleanup(files.Close)
	g.server.SetFilesURL(files.URL)
	secret := write(t, dir, "secret", sandbox.DefaultClientSecret+"\n", 0o600)
	g.file = write(t, dir, "config.toml", fmt.Sprintf(`state_dir = %q
log_level = "debug"
jitter = "0s"
[api]
base_url = %q
authorize_url = %q
client_id = %q
client_secret_file = %q
[sink]
path = %q
sidecar = "json"
%s`, g.state, web.URL+c.Prefix, web.URL+c.Prefix+"/authorize", sandbox.DefaultClientID, secret, g.inbox, more), 0o600)
	return g
}

// run runs one command line.
func (g *clinic) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return invoke(t, append([]string{"--config", g.file}, args...)...)
}

// must runs a command line that has to end with the exit code.
func (g *clinic) must(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, code := g.run(t, args...)
	if code != want {
		t.Fatalf("%s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	return stdout, stderr
}

func (g *clinic) pdfs(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(g.inbox, "*.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// quick is a sandbox whose logins are approved at once.
var quick = sandbox.Config{AutoApprove: true, DeviceInterval: time.Second}

func TestFromNothingToDelivered(t *testing.T) {
	g := newClinic(t, quick, "")
	g.server.Add(12, sandbox.Document{})

	_, stderr := g.must(t, cli.ExitLogin, "--once")
	if !strings.Contains(stderr, "hint:") || !strings.Contains(stderr, "askara-sync login") {
		t.Errorf("without a login: got %q, want a hint to log in", stderr)
	}
	stdout, _ := g.must(t, cli.ExitDone, "login")
	if !strings.Contains(stdout, "is logged in as") {
		t.Errorf("login: got %q", stdout)
	}
	stdout, _ = g.must(t, cli.ExitDone, "--once", "--dry-run")
	if !strings.Contains(stdout, "12 would be delivered") || len(g.pdfs(t)) != 0 {
		t.Errorf("dry run: got %q and %d files", stdout, len(g.pdfs(t)))
	}

	stdout, _ = g.must(t, cli.ExitDone, "--once", "--json")
	var line map[string]any
	if err := json.Unmarshal([]byte(stdout), &line); err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("--once --json: %v: %q", err, stdout)
	}
	for _, key := range []string{"account", "listed", "delivered", "already", "failed", "parked", "confirmed", "unconfirmed",
		"requests", "bytes", "duration_ms", "error"} {
		if _, ok := line[key]; !ok {
			t.Errorf("--once --json has no %q: %s", key, stdout)
		}
	}
	if line["delivered"] != 12.0 || line["confirmed"] != 12.0 || line["error"] != nil {
		t.Errorf("--once --json: got %s", stdout)
	}
	if got := len(g.pdfs(t)); got != 12 {
		t.Errorf("%d documents in the folder, want 12", got)
	}

	stdout, _ = g.must(t, cli.ExitDone, "status", "--json")
	var status cli.StatusView
	if err := json.Unmarshal([]byte(stdout), &status); err != nil {
		t.Fatal(err)
	}
	if a := status.Accounts[0]; a.Login.State != "ok" || a.Documents.Confirmed != 12 || a.LastPass == nil || a.LastPass.Delivered != 12 {
		t.Errorf("status: got %+v", a)
	}
	if status.Budget.Limit == nil || *status.Budget.Limit != 5000 {
		t.Errorf("status: the budget is %+v, want the limit of the headers", status.Budget)
	}

	g.must(t, cli.ExitDone, "verify")
	if err := os.WriteFile(g.pdfs(t)[0], []byte("%PDF-1.4 something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _ = g.must(t, cli.ExitUnfinished, "verify")
	if !strings.Contains(stdout, "11 fine") || !strings.Contains(stdout, "1 changed") {
		t.Errorf("verify: got %q", stdout)
	}
	g.must(t, cli.ExitDone, "rekey")
	g.must(t, cli.ExitDone, "--once")
	g.must(t, cli.ExitDone, "logout")
	g.must(t, cli.ExitLogin, "--once")
}

func TestALostKey(t *testing.T) {
	g := newClinic(t, quick, "")
	g.server.Add(2, sandbox.Document{})
	g.must(t, cli.ExitDone, "login")
	if err := os.Remove(filepath.Join(g.state, "state.key")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--once"}, {"login"}} {
		if _, stderr := g.must(t, cli.ExitConfiguration, args...); !strings.Contains(stderr, "login --force") {
			t.Errorf("%q without the key: got %q, want the remedy", args, stderr)
		}
	}
	g.must(t, cli.ExitDone, "status")
	g.must(t, cli.ExitDone, "login", "--force")
	g.must(t, cli.ExitDone, "--once")
	if got := len(g.pdfs(t)); got != 2 {
		t.Errorf("%d documents delivered, want 2", got)
	}
}

func TestParkedDocumentsAreTriedAgain(t *testing.T) {
	g := newClinic(t, quick, "[limits]\nmax_attempts = 1\n")
	uuid := g.server.AddDocument(sandbox.Document{PDF: sandbox.PDFHTML})
	g.server.Add(3, sandbox.Document{})
	g.must(t, cli.ExitDone, "login")
	g.must(t, cli.ExitUnfinished, "--once")
	if got := len(g.pdfs(t)); got != 3 {
		t.Errorf("%d documents delivered, want the 3 good ones", got)
	}
	stdout, _ := g.must(t, cli.ExitDone, "status")
	if !strings.Contains(stdout, uuid) || !strings.Contains(stdout, "retry") {
		t.Errorf("status does not show the parked document and its remedy:\n%s", stdout)
	}
	g.must(t, cli.ExitConfiguration, "retry", "0190b5e2-7c1f-7d3a-9a53-2f6f1c0d4e8b")
	g.server.Edit(uuid, func(d *sandbox.Document) { d.PDF = sandbox.PDFBytes })
	g.must(t, cli.ExitDone, "retry", uuid)
	g.must(t, cli.ExitDone, "--once")
	if got := len(g.pdfs(t)); got != 4 {
		t.Errorf("%d documents delivered after the retry, want 4", got)
	}
}

func TestExitCodesOfTrouble(t *testing.T) {
	g := newClinic(t, quick, "")
	g.must(t, cli.ExitDone, "login")
	g.server.SetFaults(sandbox.Faults{Rate: 1, Kinds: []sandbox.Fault{sandbox.ErrorBefore}})
	_, stderr := g.must(t, cli.ExitUnfinished, "--once")
	if !strings.Contains(stderr, "askara-sync: ") {
		t.Errorf("Askara down: got %q", stderr)
	}
	if err := os.WriteFile(g.file, []byte("scedule = \"* * * * *\"\n[limits]\nworkers = 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr = g.must(t, cli.ExitConfiguration, "--once")
	for _, want := range []string{"scedule", "schedule", "limits.workers", "api.client_id"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("a wrong configuration: %q is not named in\n%s", want, stderr)
		}
	}
}

func TestTwoAccountsInOneFolder(t *testing.T) {
	g := newClinic(t, quick, "[[account]]\nname = \"lyon\"\n[[account]]\nname = \"paris\"\n")
	g.server.Add(10, sandbox.Document{})
	g.must(t, cli.ExitConfiguration, "login")
	g.must(t, cli.ExitDone, "login", "--account", "lyon")
	g.must(t, cli.ExitDone, "login", "--account", "paris") // the same person: the same documents
	stdout, _ := g.must(t, cli.ExitDone, "--once", "--json")
	if strings.Count(stdout, "\n") != 2 {
		t.Errorf("want a line for each account, got\n%s", stdout)
	}
	if got := len(g.pdfs(t)); got != 10 {
		t.Errorf("%d documents of 10 in the folder that two accounts share", got)
	}
	g.must(t, cli.ExitDone, "--once")
	if got := len(g.pdfs(t)); got != 10 {
		t.Errorf("%d documents of 10 after a second pass", got)
	}
}

// TestDaemonAndCommandsBesideIt runs the daemon and what a person does beside it.
func TestDaemonAndCommandsBesideIt(t *testing.T) {
	g := newClinic(t, quick, "")
	g.server.Add(5, sandbox.Document{})
	log := g.daemon(t)
	eventually(t, "the daemon to say that nobody is logged in", func() bool { return strings.Contains(log.String(), "pass failing") })
	g.must(t, cli.ExitDone, "login")
	eventually(t, "the first documents", func() bool { return len(g.pdfs(t)) == 5 })

	_, stderr := g.must(t, cli.ExitUnfinished) // a second daemon
	if !strings.Contains(stderr, "is running on this state directory already") {
		t.Errorf("a second daemon: got %q", stderr)
	}
	g.server.Add(4, sandbox.Document{})
	stdout, _ := g.must(t, cli.ExitDone, "--once", "--json")
	// A pass that the login began may have taken some of them already; either way all are there when the command is done.
	if !strings.Contains(stdout, `"error":null`) || len(g.pdfs(t)) != 9 {
		t.Errorf("--once beside the daemon: got %q and %d files", stdout, len(g.pdfs(t)))
	}
	stdout, _ = g.must(t, cli.ExitDone, "status", "--json")
	var status cli.StatusView
	if err := json.Unmarshal([]byte(stdout), &status); err != nil {
		t.Fatal(err)
	}
	if !status.Daemon.Running || status.Accounts[0].NextPassAt == nil {
		t.Errorf("status beside the daemon: got %s", stdout)
	}
	g.must(t, cli.ExitDone, "retry", "--all")
}

// TestAPassAskedForIsOneOfTheDaemon: what a person asks for beside the daemon ends a trouble and is told in the journal and to systemd,
// as the daemon's own passes are.
func TestAPassAskedForIsOneOfTheDaemon(t *testing.T) {
	status := systemdStatus(t)
	g := newClinic(t, quick, "")
	g.must(t, cli.ExitDone, "login")
	g.server.Add(3, sandbox.Document{})
	g.server.SetFaults(sandbox.Faults{Rate: 1, Kinds: []sandbox.Fault{sandbox.ErrorBefore}, Only: []sandbox.Kind{sandbox.KindList}})
	log := g.daemon(t)
	eventually(t, "the daemon's pass to fail", func() bool { return strings.Contains(log.String(), "pass failing") })
	g.must(t, cli.ExitUnfinished, "--once")
	if got := strings.Count(log.String(), "WARN  pass failing"); got != 1 {
		t.Errorf("the trouble was told %d times, want once\n%s", got, log)
	}
	g.server.SetFaults(sandbox.Faults{})
	g.must(t, cli.ExitDone, "--once")
	for _, want := range []string{"pass failing: recovered", "pass done"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("after a pass that was asked for the daemon's log has no %q\n%s", want, log)
		}
	}
	eventually(t, "systemd to be told of the pass", func() bool {
		last := status()
		return strings.HasPrefix(last, "last pass ") && strings.Contains(last, "3 delivered")
	})
}

// systemdStatus stands in for systemd and returns what shows the status that it was told last.
func systemdStatus(t *testing.T) (last func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	var mu sync.Mutex
	var status string
	var reader sync.WaitGroup
	reader.Go(func() {
		for b := make([]byte, 64<<10); ; {
			n, err := socket.Read(b)
			if err != nil {
				return // closed
			}
			if line, ok := strings.CutPrefix(string(b[:n]), "STATUS="); ok {
				mu.Lock()
				status = line
				mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { socket.Close(); reader.Wait() })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return status
	}
}

// daemon runs the daemon until the test ends, and returns its log.
func (g *clinic) daemon(t *testing.T) *lockedBuffer {
	t.Helper()
	log := &lockedBuffer{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		done <- cli.Main(ctx, cli.Env{Args: []string{"--config", g.file}, Getenv: environ(), Stdin: strings.NewReader(""), Stdout: log, Stderr: log})
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("the daemon ended with exit code %d\n%s", code, log)
		}
	})
	return log
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits for something that other goroutines do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited a minute for %s", what)
}

// TestNothingSecretInTheLog looks for every token, secret, name, title and file name in all that a whole life prints at debug level to
// standard error, and for tokens and secrets in every file of the state directory.
func TestNothingSecretInTheLog(t *testing.T) {
	g := newClinic(t, quick, "[limits]\nmax_attempts = 2\n")
	g.server.Add(8, sandbox.Document{})
	g.server.AddHostile()
	for _, mode := range []sandbox.PDFMode{sandbox.PDFHTML, sandbox.PDFEmpty, sandbox.PDFTruncated, sandbox.PDFLink, sandbox.PDFBase64} {
		g.server.AddDocument(sandbox.Document{PDF: mode})
	}
	g.server.AddDocument(sandbox.Document{PDFStatus: 422, ConfirmStatus: 422})
	var log strings.Builder
	for _, args := range [][]string{{"login"}, {"--once"}, {"--once"}, {"retry", "--all"}, {"--once"}, {"status"}, {"verify"}, {"--once", "--since", "30d"}} {
		_, stderr, _ := g.run(t, args...)
		log.WriteString(stderr)
	}
	g.server.SetFaults(sandbox.Faults{Rate: 0.5, Delay: 50 * time.Millisecond})
	for range 4 {
		_, stderr, _ := g.run(t, "--once", "--since", "30d")
		log.WriteString(stderr)
	}
	text := log.String()
	if len(text) < 4000 || !strings.Contains(text, " DEBUG ") {
		t.Fatalf("the log is too short to prove anything:\n%s", text)
	}
	secrets := append(g.server.Tokens(), sandbox.DefaultClientSecret)
	private := slices.Clone(secrets)
	for _, d := range g.server.Documents() {
		private = append(private, d.Title, d.Patient.FirstName, d.Patient.LastName, d.User.LastName)
	}
	for _, file := range g.pdfs(t) {
		private = append(private, filepath.Base(file))
	}
	for _, p := range private {
		if len(p) > 3 && strings.Contains(text, p) {
			t.Errorf("the log holds %.60q", p)
		}
	}
	files := 0
	err := filepath.WalkDir(g.state, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range secrets {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds a token or secret in clear", filepath.Base(path))
			}
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Base(path), info.Mode())
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("looked at %d files of the state directory: %v", files, err)
	}
}

func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	stdout, stderr, code := invoke(t, "demo", "--documents", "25", "--dir", dir)
	if code != 0 || !strings.Contains(stdout, "25 delivered") {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "inbox", "*.pdf")); len(names) != 25 {
		t.Errorf("%d documents in the folder, want 25", len(names))
	}
	if _, stderr, code := invoke(t, "demo", "--dir", dir); code != cli.ExitConfiguration || !strings.Contains(stderr, "earlier demo") {
		t.Errorf("a second demo in the same directory: exit code %d, %q", code, stderr)
	}
}
