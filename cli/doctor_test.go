package cli_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/cli"
	"askara-sync/store"
)

// seed logs the default account in without the ceremony, which takes a second. edit may change what is kept of the login.
func (g *clinic) seed(t *testing.T, edit func(*askara.Login), scopes ...string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: g.state})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if scopes == nil {
		scopes = []string{"profile", "organization"}
	}
	access, refresh := g.server.LoginScopes("", scopes...)
	now := time.Now()
	l := askara.Login{Account: cli.DefaultAccount, State: askara.LoginOK, Generation: 1, Tokens: askara.Tokens{
		Access: askara.Secret(access), Refresh: askara.Secret(refresh), ObtainedAt: now, AccessExpiresAt: now.Add(time.Hour),
		RefreshExpiresAt: now.Add(30 * 24 * time.Hour),
	}}
	if edit != nil {
		edit(&l)
	}
	if err := s.SaveLogin(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

// healthy is an installation in which nothing is wrong.
func healthy(t *testing.T, c sandbox.Config, more string) *clinic {
	t.Helper()
	g := newClinic(t, c, more)
	g.seed(t, nil)
	if err := os.Mkdir(g.inbox, 0o700); err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-100 * time.Hour)
	for i := range 5 {
		at := begin.Add(time.Duration(i) * time.Hour)
		g.server.AddDocument(sandbox.Document{CreatedAt: at, UpdatedAt: at, ValidatedAt: at})
	}
	return g
}

func TestDoctorExaminesTheMachine(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		config  string // added to the end
		spoil   func(t *testing.T, g *clinic)
		check   string
		level   string
		text    string
		remedy  string
		code    int
		asRoot  bool // needs root to spoil
		offline bool // nothing is asked of Askara
	}{
		{name: "nothing", check: "state files", level: "ok", text: "closed to others"},
		{name: "nobody runs", check: "daemon", level: "warn", text: "not running", remedy: "systemctl enable --now"},
		{name: "state directory readable", spoil: func(t *testing.T, g *clinic) { must(t, os.Chmod(g.state, 0o755)) },
			check: "state directory", level: "warn", text: "mode 0755", remedy: "chmod 0700"},
		{name: "state directory writable", spoil: func(t *testing.T, g *clinic) { must(t, os.Chmod(g.state, 0o770)) },
			check: "state directory", level: "fail", text: "mode 0770", remedy: "chmod 0700", code: cli.ExitConfiguration},
		{name: "state directory of somebody else", asRoot: true, spoil: func(t *testing.T, g *clinic) {
			must(t, os.Chown(filepath.Join(g.state, "askara-sync.db"), 1, 1))
		}, check: "state files", level: "fail", text: "belong to another user", remedy: "chown", code: cli.ExitConfiguration},
		{name: "ledger readable", spoil: func(t *testing.T, g *clinic) { must(t, os.Chmod(filepath.Join(g.state, "askara-sync.db"), 0o644)) },
			check: "state files", level: "fail", text: "others may open", remedy: "chmod 0600", code: cli.ExitConfiguration},
		{name: "configuration writable by a group", spoil: func(t *testing.T, g *clinic) { must(t, os.Chmod(g.file, 0o660)) },
			check: "configuration", level: "warn", text: "group may change it", remedy: "chmod g-w"},
		{name: "configuration writable by everybody", spoil: func(t *testing.T, g *clinic) { must(t, os.Chmod(g.file, 0o666)) },
			check: "configuration", level: "fail", text: "by everybody", code: cli.ExitConfiguration, offline: true},
		{name: "secret readable by everybody", spoil: func(t *testing.T, g *clinic) {
			must(t, os.Chmod(filepath.Join(filepath.Dir(g.file), "secret"), 0o644))
		}, check: "configuration", level: "fail", text: "api.client_secret_file", code: cli.ExitConfiguration, offline: true},
		{name: "wrong settings", config: "[limits]\nworkers = 0\nburts = 1\n", check: "configuration", level: "fail", text: "burts",
			code: cli.ExitConfiguration, offline: true},
		{name: "disk full", config: "min_free = \"900000GiB\"\n", check: "free space", level: "fail", text: "MiB free", remedy: "df -h", code: cli.ExitUnfinished},
		{name: "folder missing", spoil: func(t *testing.T, g *clinic) { must(t, os.Remove(g.inbox)) },
			check: "folder", level: "warn", text: "not there yet"},
		{name: "folder writable by everybody", spoil: func(t *testing.T, g *clinic) { must(t, os.Chmod(g.inbox, 0o777)) },
			check: "folder", level: "warn", text: "everyone may write", remedy: "chmod o-w"},
		{name: "staging of another installation", spoil: func(t *testing.T, g *clinic) {
			g.must(t, cli.ExitDone, "--once")
			must(t, os.Rename(g.state, g.state+".old"))
			g.seed(t, nil)
		}, check: "staging", level: "fail", text: "", code: cli.ExitUnfinished},
		{name: "another key", spoil: func(t *testing.T, g *clinic) {
			write(t, g.state, "state.key", strings.Repeat("5a", 32)+"\n", 0o600)
		}, check: "seal key", level: "fail", text: "holds another key", remedy: "login --force", code: cli.ExitConfiguration, offline: true},
		{name: "no key", spoil: func(t *testing.T, g *clinic) { must(t, os.Remove(filepath.Join(g.state, "state.key"))) },
			check: "seal key", level: "fail", text: "is missing", remedy: "restore the key", code: cli.ExitConfiguration, offline: true},
		{name: "key readable", spoil: func(t *testing.T, g *clinic) { must(t, os.Chmod(filepath.Join(g.state, "state.key"), 0o640)) },
			check: "seal key", level: "fail", text: "mode 0640", code: cli.ExitConfiguration, offline: true},
		{name: "own key", check: "seal key", level: "ok", text: "a copy of the whole directory does"},
		{name: "ledger damaged", spoil: func(t *testing.T, g *clinic) {
			write(t, g.state, "askara-sync.db", strings.Repeat("no database ", 2000), 0o600)
		}, check: "database", level: "fail", text: "damaged", remedy: "restart the daemon", code: cli.ExitLogin},
		{name: "no backup", check: "backups", level: "warn", text: "none"},
		{name: "old backup", spoil: func(t *testing.T, g *clinic) {
			file := write(t, filepath.Join(g.state, "backup"), "askara-sync-20200102.db", "x", 0o600)
			must(t, os.Chtimes(file, time.Time{}, time.Date(2020, 1, 2, 12, 0, 0, 0, time.UTC)))
		}, check: "backups", level: "warn", text: "2020-01-02"},
		{name: "fresh backup", spoil: func(t *testing.T, g *clinic) {
			write(t, filepath.Join(g.state, "backup"), "askara-sync-20200102.db", "x", 0o600)
		}, check: "backups", level: "ok", text: "1, the newest"},
		{name: "confirming is off", config: "[api.contract]\nconfirm = false\n", check: "confirm", level: "ok", text: "off"},
		{name: "no client secret", spoil: func(t *testing.T, g *clinic) {
			data, err := os.ReadFile(g.file)
			must(t, err)
			var kept []string
			for line := range strings.Lines(string(data)) {
				if !strings.HasPrefix(line, "client_secret_file") {
					kept = append(kept, line)
				}
			}
			must(t, os.WriteFile(g.file, []byte(strings.Join(kept, "")), 0o600))
		}, check: "secrets", level: "warn", text: "no client secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.asRoot && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			g := healthy(t, quick, tt.config)
			if tt.spoil != nil {
				tt.spoil(t, g)
			}
			before := g.server.Stats().Total
			v := g.examine(t, tt.code)
			if asked := g.server.Stats().Total - before; asked == 0 != tt.offline {
				t.Errorf("%d requests", asked)
			}
			wantCheck(t, v, tt.check, tt.level, tt.text)
			for _, c := range checks(v, tt.check) {
				if c.Level != "ok" && (c.Remedy == nil || !strings.Contains(*c.Remedy, tt.remedy)) {
					t.Errorf("the remedy is %v, want one with %q", c.Remedy, tt.remedy)
				}
			}
			if tt.name == "folder missing" {
				if entries, err := os.ReadDir(filepath.Dir(g.inbox)); err != nil || len(entries) != 3 { // state, secret, config.toml
					t.Errorf("doctor made something: %v %v", entries, err)
				}
			}
		})
	}
}

// TestDoctorChangesNothing compares everything on disk before and after.
func TestDoctorChangesNothing(t *testing.T) {
	g := healthy(t, quick, "")
	g.must(t, cli.ExitDone, "--once")
	g.examine(t, cli.ExitDone)
	look := func() map[string]string {
		all := map[string]string{}
		err := filepath.WalkDir(filepath.Dir(g.file), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			all[path] = fmt.Sprint(info.Mode(), info.Size())
			if name := e.Name(); e.Type().IsRegular() && !strings.HasPrefix(name, "askara-sync.db") { // the budget is in there
				data, err := os.ReadFile(path)
				all[path] += string(data)
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := look()
	g.examine(t, cli.ExitDone)
	after := look()
	for path, was := range before {
		if after[path] != was && !strings.Contains(path, "askara-sync.db") {
			t.Errorf("%s was changed", path)
		}
		delete(after, path)
	}
	for path := range after {
		t.Errorf("%s was made", path)
	}
	if len(before) < 8 {
		t.Errorf("only %d files were looked at", len(before))
	}
}

func TestDoctorBesideTheDaemon(t *testing.T) {
	g := healthy(t, quick, "")
	var log lockedBuffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		done <- cli.Main(ctx, cli.Env{Args: []string{"--config", g.file}, Getenv: environ(), Stdin: strings.NewReader(""), Stdout: &log, Stderr: &log})
	}()
	defer func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("the daemon ended with exit code %d\n%s", code, log.String())
		}
	}()
	eventually(t, "the first documents", func() bool { return len(g.pdfs(t)) == 5 })
	eventually(t, "their confirmation", func() bool { return g.server.Stats().Confirmed == 5 })
	v := g.examine(t, cli.ExitDone)
	wantCheck(t, v, "daemon", "ok", "running, pid "+strconv.Itoa(os.Getpid()))
	wantCheck(t, v, "staging", "ok", "bound to this installation")
	wantCheck(t, v, "pdf", "ok", "/documents/{uuid}/pdf")
}

func TestDoctorExaminesLogins(t *testing.T) {
	now := time.Now()
	c := &cli.Config{Location: time.UTC, ReloginBefore: 5 * 24 * time.Hour, Accounts: []cli.Account{{Name: "default"}}}
	until := func(d time.Duration) askara.Tokens {
		return askara.Tokens{ObtainedAt: now.Add(d - 30*24*time.Hour), RefreshExpiresAt: now.Add(d)}
	}
	tests := []struct {
		name   string
		login  askara.Login
		level  string
		text   string
		usable bool
	}{
		{"never", askara.Login{Account: "default", State: askara.LoginRequired}, "fail", "nobody has logged in", false},
		{"gone", askara.Login{Account: "default", State: askara.LoginRequired, Reason: "Askara refused it"}, "fail", "Askara refused it", false},
		{"uncertain", askara.Login{Account: "default", State: askara.LoginUncertain, Reason: "an answer was lost"}, "warn", "an answer was lost", true},
		{"good", askara.Login{Account: "default", State: askara.LoginOK, Tokens: until(29 * 24 * time.Hour)}, "ok", "renewed 24 h ago", true},
		{"old", askara.Login{Account: "default", State: askara.LoginOK, Tokens: until(4 * 24 * time.Hour)}, "warn", "renewed 26 days ago", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checks, usable := cli.DoctorLogin(c, tt.login, now)
			if len(checks) != 1 || checks[0].Level != tt.level || !strings.Contains(checks[0].Text, tt.text) || usable != tt.usable {
				t.Errorf("got %+v, usable %v", checks, usable)
			}
			if tt.level != "ok" && (checks[0].Remedy == nil || tt.name != "uncertain" && !strings.Contains(*checks[0].Remedy, "askara-sync login")) {
				t.Errorf("the remedy is %v", checks[0].Remedy)
			}
		})
	}
}

func TestDoctorForAPerson(t *testing.T) {
	g := healthy(t, sandbox.Config{Contract: sandbox.Dialect{PDFPath: "/documents/{uuid}/rendu"}}, "[api.contract]\nready_status = [\"validated\"]\npdf_path = \"/x/{uuid}\"\n")
	stdout, stderr := g.must(t, cli.ExitConfiguration, "doctor", "--account", "default")
	for _, want := range []string{"ok    list ", "fail  pdf ", "→ the lines below", "1 failed", "requests to Askara", "below line 12 of " + g.file,
		"in place of line 14", "pdf_path = '/documents/{uuid}/rendu'  # tried"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "[api.contract]\n") {
		t.Errorf("a second header for a table that is there:\n%s", stdout)
	}
	if !strings.Contains(stderr, "askara-sync: doctor: 1 check failed") {
		t.Errorf("got %q", stderr)
	}
	g.must(t, cli.ExitConfiguration, "doctor", "--account", "nobody")
}
