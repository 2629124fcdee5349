package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/cli"
	"askara-sync/store"
)

// statusConfig is a configuration with a state directory of its own.
func statusConfig(t *testing.T) (file, state string) {
	t.Helper()
	dir := t.TempDir()
	state = filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "config.toml", fmt.Sprintf("state_dir = %q\ntime_zone = \"UTC\"\n%s", state, minimal), 0o600), state
}

func statusJSON(t *testing.T, file string) cli.StatusView {
	t.Helper()
	stdout, stderr, code := invoke(t, "status", "--json", "--config", file)
	var view cli.StatusView
	if err := json.Unmarshal([]byte(stdout), &view); err != nil || code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("got %v, exit code %d, %q, stderr %q", err, code, stdout, stderr)
	}
	return view
}

func TestStatusBeforeTheFirstLogin(t *testing.T) {
	file, state := statusConfig(t)
	view := statusJSON(t, file)
	if len(view.Accounts) != 1 || view.Accounts[0].Login.State != "required" || view.Daemon.Running {
		t.Errorf("got %+v", view)
	}
	if entries, err := os.ReadDir(state); err != nil || len(entries) != 0 {
		t.Errorf("status made %v (%v)", entries, err)
	}
}

func TestStatusFromTheLedger(t *testing.T) {
	file, state := statusConfig(t)
	s, err := store.Open(t.Context(), store.Config{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now().Truncate(time.Second)
	ends := now.Add(20 * statusDay)
	login := askara.Login{Account: "default", State: askara.LoginOK, Generation: 1, Tokens: askara.Tokens{
		Access: "hunter2-access", Refresh: "hunter2-refresh", ObtainedAt: now, AccessExpiresAt: now.Add(time.Hour), RefreshExpiresAt: ends,
	}}
	if err := s.SaveLogin(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	var documents []askara.Document
	for i := range 3 {
		documents = append(documents, askara.Document{
			UUID: fmt.Sprintf("0190b0ee-0000-7000-8000-00000000000%d", i), Order: now, UpdatedAt: now, Ready: true, Raw: json.RawMessage(`{}`),
		})
	}
	if _, err := s.Record(t.Context(), askara.Listing{Account: "default", Documents: documents, Cursor: &askara.Cursor{At: now}, At: now}); err != nil {
		t.Fatal(err)
	}
	due, err := s.Due(t.Context(), "default", now, 10, askara.Pending)
	if err != nil || len(due) != 3 {
		t.Fatalf("got %d due, %v", len(due), err)
	}
	due[0].State, due[0].Reason = askara.Parked, "larger than 100MiB"
	due[1].NextAttemptAt, due[1].Reason, due[1].Attempts = now.Add(time.Hour), "not a PDF", 1
	if err := s.Save(t.Context(), due[:2]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SavePass(t.Context(), askara.Pass{Account: "default", StartedAt: now, Duration: time.Second, Listed: 3, Failed: 2}); err != nil {
		t.Fatal(err)
	}

	view := statusJSON(t, file)
	a := view.Accounts[0]
	if a.Login.State != "ok" || a.Login.RefreshExpiresAt == nil || !a.Login.RefreshExpiresAt.Equal(ends) || a.Cursor == nil || !a.Cursor.Equal(now) {
		t.Errorf("login and cursor: got %+v, %v", a.Login, a.Cursor)
	}
	if a.Documents.Pending != 2 || a.Documents.Parked != 1 || a.LastPass == nil || a.LastPass.Listed != 3 || a.LastPass.DurationMS != 1000 || a.LastPass.Error != nil {
		t.Errorf("documents and pass: got %+v, %+v", a.Documents, a.LastPass)
	}
	if len(a.Waiting) != 2 || *a.Waiting[0].Reason != "not a PDF" || a.Waiting[1].Reason != nil || a.Waiting[1].Count != 1 {
		t.Errorf("waiting: got %+v", a.Waiting)
	}
	if len(a.Parked) != 1 || a.Parked[0].UUID != due[0].UUID || !strings.Contains(a.Parked[0].Remedy, "retry "+due[0].UUID) {
		t.Errorf("parked: got %+v", a.Parked)
	}
	stdout, _, code := invoke(t, "status", "--config", file)
	if code != 0 || !strings.Contains(stdout, "The daemon is not running.") || !strings.Contains(stdout, due[0].UUID+"  larger than 100MiB") {
		t.Errorf("for people: got exit code %d\n%s", code, stdout)
	}
	for _, text := range []string{stdout, fmt.Sprint(view)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("status shows a token:\n%s", text)
		}
	}
}

func TestStatusBesideADaemon(t *testing.T) {
	file, state := statusConfig(t)
	s, err := store.Open(t.Context(), store.Config{Dir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	unlock, _, err := s.LockDaemon()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	view := statusJSON(t, file) // a daemon that does not answer, as while it starts
	if !view.Daemon.Running || view.Daemon.PID == nil || *view.Daemon.PID != os.Getpid() || view.Accounts[0].NextPassAt != nil {
		t.Errorf("silent daemon: got %+v, next %v", view.Daemon, view.Accounts[0].NextPassAt)
	}
	next := time.Now().Add(time.Minute).Truncate(time.Second)
	serve(t, state, func(_ context.Context, q cli.ControlRequest, emit func(cli.ControlEvent)) error {
		result, err := json.Marshal(cli.DaemonStatus{NextPassAt: &next})
		if err != nil || q.Verb != cli.ControlStatus {
			return cli.UnknownVerb(q)
		}
		emit(cli.ControlEvent{Kind: cli.ControlResult, Account: view.Accounts[0].Name, Result: result})
		return nil
	})
	if got := statusJSON(t, file).Accounts[0].NextPassAt; got == nil || !got.Equal(next) {
		t.Errorf("next pass: got %v, want %v", got, next)
	}
}
