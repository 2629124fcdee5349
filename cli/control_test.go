package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
	"askara-sync/cli"
)

type handler = func(ctx context.Context, q cli.ControlRequest, emit func(cli.ControlEvent)) error

// serve runs a control server on dir until the test ends.
func serve(t *testing.T, dir string, handle handler) (stop func()) {
	t.Helper()
	l, err := cli.ListenControl(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := &cli.ControlServer{Handle: handle, Logger: slog.New(slog.DiscardHandler)}
	go func() { done <- server.Serve(ctx, l) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// ask sends one request and returns the events.
func ask(t *testing.T, dir string, q cli.ControlRequest) ([]cli.ControlEvent, error) {
	t.Helper()
	c, err := cli.DialControl(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var events []cli.ControlEvent
	err = c.Do(t.Context(), q, func(e cli.ControlEvent) { events = append(events, e) })
	return events, err
}

func TestControlPassesRequestAndEventsOn(t *testing.T) {
	dir := t.TempDir()
	since := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	serve(t, dir, func(_ context.Context, q cli.ControlRequest, emit func(cli.ControlEvent)) error {
		if q.Verb != cli.ControlPass || q.Account != "lyon" || !q.Since.Equal(since) || !q.Until.IsZero() || q.Version == "" {
			t.Errorf("got %+v", q)
		}
		emit(cli.ControlEvent{Kind: cli.ControlProgress, Account: "lyon", Listed: 3, Total: 2, Bytes: 1 << 40})
		emit(cli.ControlEvent{Kind: cli.ControlResult, Result: json.RawMessage(`{"account":"lyon"}`)})
		return nil
	})
	events, err := ask(t, dir, cli.ControlRequest{Verb: cli.ControlPass, Account: "lyon", Since: since})
	if err != nil {
		t.Fatal(err)
	}
	want := []cli.ControlEvent{
		{Kind: cli.ControlProgress, Account: "lyon", Listed: 3, Total: 2, Bytes: 1 << 40},
		{Kind: cli.ControlResult, Result: json.RawMessage(`{"account":"lyon"}`)},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dir, "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: got %v, %v, want mode 0600", info.Mode(), err)
	}
}

func TestControlErrorKeepsFaultAndHint(t *testing.T) {
	for _, fault := range []askara.Fault{askara.FaultUnexpected, askara.FaultService, askara.FaultLogin, askara.FaultConfiguration} {
		dir := t.TempDir()
		serve(t, dir, func(context.Context, cli.ControlRequest, func(cli.ControlEvent)) error {
			if fault == askara.FaultConfiguration {
				return &cli.UsageError{Problem: "no account", Remedy: "name one"}
			}
			return fmt.Errorf("list documents: %w", &askara.Error{Op: "list", Kind: fault})
		})
		_, err := ask(t, dir, cli.ControlRequest{Verb: cli.ControlWake})
		remote, ok := errors.AsType[*cli.RemoteError](err)
		if !ok || askara.FaultOf(err) != fault {
			t.Errorf("fault %v: got %v, fault %v", fault, err, askara.FaultOf(err))
		}
		if fault == askara.FaultConfiguration && (remote.Message != "no account" || askara.HintOf(err) != "name one") {
			t.Errorf("got %q, hint %q", remote.Message, askara.HintOf(err))
		}
	}
}

func TestControlWithoutDaemon(t *testing.T) {
	dir := t.TempDir()
	if _, err := cli.DialControl(t.Context(), dir); !errors.Is(err, cli.ErrNoDaemon) {
		t.Errorf("no socket: got %v, want ErrNoDaemon", err)
	}
	if _, err := cli.DialControl(t.Context(), filepath.Join(dir, strings.Repeat("x", 120))); !errors.Is(err, cli.ErrNoDaemon) {
		t.Errorf("no state directory: got %v, want ErrNoDaemon", err)
	}
}

func TestControlSocketOfADeadDaemonIsRecognised(t *testing.T) {
	dir := t.TempDir()
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "control.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false) // as after kill -9
	dead.Close()
	if _, err := cli.DialControl(t.Context(), dir); !errors.Is(err, cli.ErrNoDaemon) {
		t.Errorf("dead daemon: got %v, want ErrNoDaemon", err)
	}
	stop := serve(t, dir, func(context.Context, cli.ControlRequest, func(cli.ControlEvent)) error { return nil })
	if _, err := ask(t, dir, cli.ControlRequest{Verb: cli.ControlWake}); err != nil {
		t.Errorf("next daemon: %v", err)
	}
	stop()
	if _, err := os.Lstat(filepath.Join(dir, "control.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end the socket is still there: %v", err)
	}
}

func TestControlDoesNotRemoveWhatIsNoSocket(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "control.sock", "precious", 0o600)
	if l, err := cli.ListenControl(dir); err == nil {
		l.Close()
		t.Error("no error")
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestControlUnderALongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name/", 12))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stop := serve(t, dir, func(context.Context, cli.ControlRequest, func(cli.ControlEvent)) error { return nil })
	if _, err := ask(t, dir, cli.ControlRequest{Verb: cli.ControlWake}); err != nil {
		t.Error(err)
	}
	stop()
	if _, err := os.Lstat(filepath.Join(dir, "control.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end the socket is still there: %v", err)
	}
}

func TestControlToleratesOtherVersions(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, func(_ context.Context, q cli.ControlRequest, _ func(cli.ControlEvent)) error {
		if q.Verb == cli.ControlWake {
			return nil
		}
		return cli.UnknownVerb(q)
	})
	_, err := ask(t, dir, cli.ControlRequest{Verb: "dance"})
	if askara.FaultOf(err) != askara.FaultConfiguration || !strings.Contains(askara.HintOf(err), "systemctl restart") {
		t.Errorf("unknown verb: got %v, hint %q", err, askara.HintOf(err))
	}
	if got := raw(t, dir, `{"verb":"wake","tempo":"presto"}`+"\n"); !strings.Contains(got, `"kind":"done"`) {
		t.Errorf("unknown field: got %q", got)
	}
}

// raw writes bytes to the socket and returns the answer.
func raw(t *testing.T, dir, text string) string {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The server may have answered and closed before it has read everything.
	if _, err := conn.Write([]byte(text)); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return string(answer)
}

func TestControlRefusesBadRequests(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, func(context.Context, cli.ControlRequest, func(cli.ControlEvent)) error {
		t.Error("handled")
		return nil
	})
	for _, text := range []string{"\n", "[]\n", "GET / HTTP/1.1\r\n", `{"verb":` + "\n", `{"verb":5}` + "\n"} {
		if got := raw(t, dir, text); !strings.Contains(got, `"kind":"failed"`) || !strings.Contains(got, "not a request") {
			t.Errorf("%q: got %q", text, got)
		}
	}
	raw(t, dir, strings.Repeat("x", 2<<20)) // must neither be kept in memory for ever nor handled
}

func TestControlSurvivesAClientThatGoesAway(t *testing.T) {
	dir := t.TempDir()
	ended := make(chan error, 1)
	begun := make(chan bool, 1)
	serve(t, dir, func(ctx context.Context, q cli.ControlRequest, emit func(cli.ControlEvent)) error {
		if q.Verb == cli.ControlWake {
			return nil
		}
		begun <- true
		<-ctx.Done()
		for range 100 { // nobody reads these
			emit(cli.ControlEvent{Kind: cli.ControlNote, Message: strings.Repeat("x", 10_000)})
		}
		ended <- ctx.Err()
		return nil
	})
	c, err := cli.DialControl(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := c.Do(ctx, cli.ControlRequest{Verb: cli.ControlPass}, func(cli.ControlEvent) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("client: got %v, want context canceled", err)
	}
	c.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("handler: got %v", err)
	}
	if _, err := ask(t, dir, cli.ControlRequest{Verb: cli.ControlWake}); err != nil {
		t.Errorf("the next client: %v", err)
	}
}

func TestControlSaysWhenTheDaemonGoesAway(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Read(make([]byte, 1000))
		conn.Write([]byte(`{"kind":"note"}` + "\n" + `{"kind":"do`))
		conn.Close()
	}()
	events, err := ask(t, dir, cli.ControlRequest{Verb: cli.ControlPass})
	if err == nil || askara.FaultOf(err) != askara.FaultService || askara.HintOf(err) == "" || len(events) != 1 {
		t.Errorf("got %v, hint %q, %d events", err, askara.HintOf(err), len(events))
	}
}

func TestControlLetsInItsOwnUserAlone(t *testing.T) {
	if dir := os.Getenv("ASKARA_SYNC_CONTROL"); dir != "" {
		fmt.Printf("user %d: answer %q\n", os.Getuid(), raw(t, dir, `{"verb":"wake"}`+"\n"))
		return
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var handled atomic.Int64
	serve(t, dir, func(context.Context, cli.ControlRequest, func(cli.ControlEvent)) error {
		handled.Add(1)
		return nil
	})
	// The worst case: both modes have been opened to everybody.
	for path, mode := range map[string]fs.FileMode{dir: 0o777, filepath.Join(dir, "control.sock"): 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	test, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "client")
	if err := os.WriteFile(program, test, 0o755); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]bool{0: true, 54321: false} {
		var out bytes.Buffer
		cmd := exec.Command("setpriv", fmt.Sprintf("--reuid=%d", uid), "--clear-groups", program, "-test.run=^TestControlLetsInItsOwnUserAlone$", "-test.v")
		if uid == 0 {
			cmd = exec.Command(program, "-test.run=^TestControlLetsInItsOwnUserAlone$", "-test.v")
		}
		cmd.Env = append(os.Environ(), "ASKARA_SYNC_CONTROL="+dir)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
		err := cmd.Run()
		if !strings.Contains(out.String(), fmt.Sprintf("user %d: answer", uid)) {
			t.Fatalf("user %d did not ask (%v):\n%s", uid, err, out.String())
		}
		if got := strings.Contains(out.String(), "done"); got != want {
			t.Errorf("user %d: let in %v, want %v (%v)\n%s", uid, got, want, err, out.String())
		}
	}
	if n := handled.Load(); n != 1 {
		t.Errorf("handled %d requests, want root's alone", n)
	}
}

func FuzzControlRequest(f *testing.F) {
	f.Add([]byte(`{"verb":"pass","since":"2026-01-31T00:00:00Z","account":"lyon"}` + "\n"))
	f.Add([]byte(`{"verb":"retry","uuids":["a","b"]}` + "\n"))
	f.Add([]byte("{}\n{}\n"))
	f.Add([]byte(`{"verb":"pass","since":"yesterday"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var q cli.ControlRequest
		err := cli.ReadLine(bytes.NewReader(data), &q)
		if err == nil && !bytes.ContainsRune(data, '\n') {
			t.Errorf("half a line was taken for a request: %+v", q)
		}
	})
}
