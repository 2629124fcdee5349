package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/cli"
)

// notes is a Notebook in memory.
type notes struct {
	mu sync.Mutex
	m  map[string]string
}

func (n *notes) Note(_ context.Context, key string) (string, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v, ok := n.m[key]
	return v, ok, nil
}

func (n *notes) SetNote(_ context.Context, key, value string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.m == nil {
		n.m = map[string]string{}
	}
	n.m[key] = value
	return nil
}

// notifier runs one until the test ends, or stop is called.
func notifier(t *testing.T, c cli.NotifierConfig) (n *cli.Notifier, stop func()) {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	n = cli.NewNotifier(c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { n.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return n, stop
}

// script writes an executable.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tell")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// told reads the notices that a script has collected, one a line.
func told(t *testing.T, path string) (list []cli.Notice) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var n cli.Notice
		if err := json.Unmarshal([]byte(line), &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, n)
	}
	return list
}

var (
	parkedOne = cli.Health{Account: "a", Parked: 1, Login: askara.Login{State: askara.LoginOK}}
	allWell   = cli.Health{Account: "a", Login: askara.Login{State: askara.LoginOK}}
)

func observe(n *cli.Notifier, h cli.Health) {
	h.At = time.Now()
	n.Observe(h)
}

func TestNotifierTellsOnceThroughRestarts(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	book := &notes{}
	config := cli.NotifierConfig{Notify: cli.Notify{Command: []string{script(t, `cat >>"$1"; sleep 0.3`), out}}, Notebook: book}
	n, stop := notifier(t, config)
	observe(n, parkedOne)
	eventually(t, "the start", func() bool { return len(told(t, out)) == 1 })
	stop() // be it while the command still runs

	n, stop = notifier(t, config) // after a restart the trouble is still there
	observe(n, parkedOne)
	observe(n, cli.Health{Account: "b", Login: askara.Login{State: askara.LoginRequired}})
	eventually(t, "the other account's", func() bool { return len(told(t, out)) == 2 })
	observe(n, allWell)
	eventually(t, "the end", func() bool { return len(told(t, out)) == 3 })
	stop()

	for i, want := range []string{"document_parked started a", "login_required started b", "document_parked ended a"} {
		got := told(t, out)[i]
		if text := string(got.Event) + " " + got.State + " " + got.Account; text != want || got.Message == "" || got.Since.IsZero() {
			t.Errorf("notice %d: %+v, want %s", i+1, got, want)
		}
	}
}

// A notice that could not be given is given later, and its failure is one line in the log.
func TestNotifierTriesAgain(t *testing.T) {
	dir := t.TempDir()
	out, tries := filepath.Join(dir, "out"), filepath.Join(dir, "tries")
	log := &lockedBuffer{}
	n, _ := notifier(t, cli.NotifierConfig{
		Notify:   cli.Notify{Command: []string{script(t, `echo >>"$2"; test -e "$3" || exit 7; cat >>"$1"`), out, tries, filepath.Join(dir, "works")}},
		Notebook: &notes{}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	count := func() int { raw, _ := os.ReadFile(tries); return len(raw) }
	for i := 1; i <= 3; i++ {
		observe(n, parkedOne)
		eventually(t, "a try", func() bool { return count() == i })
	}
	if err := os.WriteFile(filepath.Join(dir, "works"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	observe(n, parkedOne)
	eventually(t, "the notice", func() bool { return len(told(t, out)) == 1 })
	eventually(t, "the line that it works again", func() bool { return strings.Contains(log.String(), "given again") })
	if got := strings.Count(log.String(), "notice not given"); got != 1 {
		t.Errorf("%d lines in the log for three failures:\n%s", got, log)
	}
}

// A command that hangs is killed with all that it has started.
func TestNotifierKillsTheCommand(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	log := &lockedBuffer{}
	n, _ := notifier(t, cli.NotifierConfig{
		Notify:   cli.Notify{Command: []string{script(t, `sleep 600 & echo "$$ $!" >"$1.new"; mv "$1.new" "$1"; wait`), pids}},
		Notebook: &notes{}, CommandTimeout: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	observe(n, parkedOne)
	eventually(t, "the kill", func() bool { return strings.Contains(log.String(), "killed after") })
	raw, err := os.ReadFile(pids)
	if err != nil {
		t.Fatalf("the command had no time to start anything: %v", err)
	}
	for _, field := range strings.Fields(string(raw)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of process "+field, func() bool { return !alive(pid) })
	}
}

// alive says whether a process runs; one that is dead and not yet waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestNotifierPings(t *testing.T) {
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.URL.String()+" "+string(body))
	}))
	defer server.Close()
	n, _ := notifier(t, cli.NotifierConfig{Notify: cli.Notify{PingURL: server.URL + "/ping/uuid?x=1"}, Notebook: &notes{}})
	want := []string{}
	expect := func(line string) {
		t.Helper()
		want = append(want, line)
		eventually(t, line, func() bool { mu.Lock(); defer mu.Unlock(); return len(got) >= len(want) })
		mu.Lock()
		defer mu.Unlock()
		if got[len(want)-1] != line {
			t.Errorf("got %q, want %q", got[len(want)-1], line)
		}
	}
	n.Begun()
	expect("GET /ping/uuid/start?x=1 ")
	observe(n, allWell)
	expect("GET /ping/uuid?x=1 ")
	observe(n, cli.Health{Account: "b", Failure: errors.New("list documents: Zzz")})
	expect("POST /ping/uuid/fail?x=1 account b: pass failed")
	observe(n, allWell) // b still fails
	expect("POST /ping/uuid/fail?x=1 account b: pass failed")
	observe(n, cli.Health{Account: "b"})
	expect("GET /ping/uuid?x=1 ")
}

// The address is a password: whoever knows it can keep an alarm silent. A redirect is not followed.
func TestNotifierHidesThePingAddress(t *testing.T) {
	followed := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed = true
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	for _, up := range []bool{true, false} {
		log := &lockedBuffer{}
		n, stop := notifier(t, cli.NotifierConfig{Notify: cli.Notify{PingURL: server.URL + "/s3cret-uuid"}, Notebook: &notes{},
			Logger: slog.New(slog.NewTextHandler(log, nil))})
		observe(n, allWell)
		eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "notice not given") })
		stop()
		if strings.Contains(log.String(), "s3cret") || followed {
			t.Errorf("up %v, followed %v: the log says %s", up, followed, log)
		}
		if up {
			server.Close()
		}
	}
}

// A server that hangs, and a command that hangs, hold nobody up, and the queue does not grow.
func TestNotifierNeverBlocks(t *testing.T) {
	release := make(chan struct{})
	hang := roundTripper(func(r *http.Request) (*http.Response, error) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return nil, errors.New("hung")
	})
	n, stop := notifier(t, cli.NotifierConfig{Notify: cli.Notify{PingURL: "https://ping.example/x"}, Notebook: &notes{}, Transport: hang})
	done := make(chan struct{})
	go func() {
		for range 10_000 {
			n.Begun()
			observe(n, allWell)
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("a hanging server holds passes up")
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Error("a hanging server holds the end up")
	}
	close(release)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNotifierWatchesTheDisk(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	n, _ := notifier(t, cli.NotifierConfig{Notify: cli.Notify{Command: []string{script(t, `cat >>"$1"`), out}, DiskLow: 1 << 50},
		Paths: []string{"/no/such/place", t.TempDir()}, Notebook: &notes{}})
	observe(n, allWell)
	eventually(t, "the notice", func() bool { return len(told(t, out)) == 1 })
	if got := told(t, out)[0]; got.Event != cli.EventDiskLow || got.Account != "" {
		t.Errorf("got %+v", got)
	}
}

// The daemon's own passes are what is told of: here from no login to the first documents.
func TestDaemonTellsOfTrouble(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	g := newClinic(t, quick, fmt.Sprintf("[notify]\ncommand = [%q, %q]\n", script(t, `cat >>"$1"`), out))
	g.server.Add(2, sandbox.Document{})
	var log lockedBuffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		done <- cli.Main(ctx, cli.Env{Args: []string{"--config", g.file}, Getenv: environ(), Stdin: strings.NewReader(""), Stdout: &log, Stderr: &log})
	}()
	defer func() { cancel(); <-done }()
	eventually(t, "the start", func() bool { return len(told(t, out)) == 1 })
	g.must(t, cli.ExitDone, "login")
	eventually(t, "the end", func() bool { return len(told(t, out)) == 2 })
	for i, want := range []string{"login_required started", "login_required ended"} {
		if got := told(t, out)[i]; string(got.Event)+" "+got.State != want {
			t.Errorf("notice %d is %+v, want %s", i+1, got, want)
		}
	}
}
