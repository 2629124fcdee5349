package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"askara-sync/cli"
)

var statusNow = time.Date(2026, 11, 25, 10, 2, 0, 0, time.UTC)

// ago is a time before statusNow; a negative duration is after it.
func ago(d time.Duration) *time.Time {
	t := statusNow.Add(-d)
	return &t
}

func ptr[T any](v T) *T { return &v }

const statusDay = 24 * time.Hour

// statusSamples are states that a clinic sees.
var statusSamples = map[string]cli.StatusView{
	"fresh": {
		Accounts: []cli.AccountView{{
			Name:  "default",
			Login: cli.LoginView{State: "required", Reason: ptr("nobody has logged in yet")},
		}},
	},
	"fine": {
		Accounts: []cli.AccountView{{
			Name:       "default",
			Login:      cli.LoginView{State: "ok", RefreshExpiresAt: ago(-29*statusDay - time.Hour)},
			Cursor:     ago(time.Hour),
			Documents:  cli.DocumentsView{Delivered: 12345, Confirmed: 12344, Unconfirmed: 1, Today: 12, Week: 1080},
			LastPass:   &cli.PassView{StartedAt: *ago(2 * time.Minute), DurationMS: 1234, Listed: 3, Delivered: 3},
			NextPassAt: ago(-3 * time.Minute),
		}},
		Budget: cli.BudgetView{Limit: ptr(5000), Remaining: ptr(4800), ResetsAt: ago(-10 * time.Minute)},
		Daemon: cli.DaemonView{Running: true, PID: ptr(4711)},
	},
	"trouble": {
		Accounts: []cli.AccountView{
			{
				Name:      "lyon",
				Login:     cli.LoginView{State: "ok", RefreshExpiresAt: ago(-3 * statusDay)},
				Cursor:    ago(30 * time.Hour),
				Documents: cli.DocumentsView{Pending: 7, Parked: 3, Delivered: 1, Confirmed: 1},
				LastPass: &cli.PassView{
					StartedAt: *ago(26 * time.Hour), DurationMS: 61_000, Listed: 100, Delivered: 1, Failed: 2,
					Error: ptr("the folder is full"),
				},
				Waiting: []cli.WaitingView{
					{Count: 4, Reason: ptr("the PDF is not ready yet"), NextAttemptAt: ago(-90 * time.Second)},
					{Count: 3},
				},
				Parked: []cli.ParkedView{
					{UUID: "0190b0ee-0000-7000-8000-000000000001", Reason: "larger than 100MiB", Remedy: "sudo askara-sync retry 0190b0ee-0000-7000-8000-000000000001"},
					{UUID: "0190b0ee-0000-7000-8000-000000000002", Reason: "not a PDF"},
				},
			},
			{
				Name:  "nice",
				Login: cli.LoginView{State: "uncertain", Reason: ptr("the answer to the refresh of 09:58 was lost"), RetryAt: ago(-time.Minute)},
			},
			{
				Name:  "paris",
				Login: cli.LoginView{State: "required", Reason: ptr("Askara refused the refresh token")},
			},
		},
		Budget: cli.BudgetView{Limit: ptr(5000), Remaining: ptr(60), ResetsAt: ago(-8 * time.Minute)},
		Daemon: cli.DaemonView{Running: true},
	},
}

func TestStatusForPeople(t *testing.T) {
	for name, view := range statusSamples {
		var out bytes.Buffer
		if err := cli.RenderStatus(&out, view, statusNow, false); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/status/"+name+".txt", out.String())
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s: colours on no terminal", name)
		}
		var coloured bytes.Buffer
		if err := cli.RenderStatus(&coloured, view, statusNow, true); err != nil {
			t.Fatal(err)
		}
		plain := coloured.String()
		for _, code := range []string{"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"} {
			plain = strings.ReplaceAll(plain, code, "")
		}
		if plain != out.String() || !strings.Contains(coloured.String(), "\x1b[") {
			t.Errorf("%s: the coloured page says something else:\n%s", name, coloured.String())
		}
	}
}

func TestStatusAsJSON(t *testing.T) {
	for name, view := range statusSamples {
		line, err := json.Marshal(view)
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, line, "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/status/"+name+".json", indented.String()+"\n")
	}
	// What scripts may count on, whatever else there is.
	var got struct {
		Accounts []map[string]json.RawMessage `json:"accounts"`
		Budget   map[string]json.RawMessage   `json:"budget"`
		Daemon   map[string]json.RawMessage   `json:"daemon"`
	}
	line, err := json.Marshal(statusSamples["fresh"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"name", "login", "cursor", "documents", "last_pass", "next_pass_at"} {
		if _, ok := got.Accounts[0][key]; !ok {
			t.Errorf("an account lacks %s", key)
		}
	}
	for _, key := range []string{"limit", "remaining", "resets_at"} {
		if string(got.Budget[key]) != "null" {
			t.Errorf("budget.%s is %s where nothing is known, want null", key, got.Budget[key])
		}
	}
	if string(got.Daemon["running"]) != "false" || string(got.Daemon["pid"]) != "null" {
		t.Errorf("daemon: got %s", line)
	}
}

func TestColoursAreForTerminals(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if cli.WantsColour(file, environ("TERM", "xterm")) {
		t.Error("a file gets colours")
	}
	// A pseudo terminal is one to the program.
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminal: %v", err)
	}
	defer pty.Close()
	if !cli.WantsColour(pty, environ("TERM", "xterm")) {
		t.Error("a terminal gets no colours")
	}
	if cli.WantsColour(pty, environ("TERM", "xterm", "NO_COLOR", "1")) || cli.WantsColour(pty, environ("TERM", "dumb")) {
		t.Error("NO_COLOR or TERM=dumb is not heeded")
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestStatusReportsThatItCouldNotPrint(t *testing.T) {
	if err := cli.RenderStatus(brokenPipe{}, statusSamples["fine"], statusNow, false); err == nil {
		t.Error("no error")
	}
}
