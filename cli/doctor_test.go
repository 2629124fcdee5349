package cli_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
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

func TestDoctorExaminesTheService(t *testing.T) {
	tests := []struct {
		name    string
		config  sandbox.Config
		more    string
		seed    func(l *askara.Login)
		before  func(s *sandbox.Server)
		check   string
		level   string
		text    string
		remedy  string
		code    int
		nothing bool // nobody is logged in
	}{
		{name: "nobody logged in", nothing: true, check: "login", level: "fail", text: "nobody", remedy: "askara-sync login", code: cli.ExitLogin},
		{name: "nobody logged in, and it answers", nothing: true, check: "server", level: "ok", text: "wants a login", code: cli.ExitLogin},
		{name: "login revoked", before: func(s *sandbox.Server) { s.Revoke("") }, check: "me", level: "fail", text: "log in again",
			remedy: "askara-sync login", code: cli.ExitLogin},
		{name: "access token dead", before: func(s *sandbox.Server) { s.ExpireAccess("") }, check: "me", level: "ok", text: "is user"},
		{name: "wrong client secret", seed: func(l *askara.Login) { l.Tokens.AccessExpiresAt = time.Now() },
			config: sandbox.Config{ClientSecret: "another"}, check: "me", level: "fail", text: "client", remedy: "client_secret", code: cli.ExitConfiguration},
		{name: "scope missing", config: sandbox.Config{Contract: sandbox.Dialect{RequiredScope: "document"}}, check: "me", level: "fail", text: "403",
			remedy: "api.scopes", code: cli.ExitConfiguration},
		{name: "me by POST", config: sandbox.Config{Contract: sandbox.Dialect{MePost: true}}, check: "me", level: "ok", text: "is user"},
		{name: "Askara down", before: func(s *sandbox.Server) {
			s.SetFaults(sandbox.Faults{Rate: 1, Kinds: []sandbox.Fault{sandbox.ErrorBefore}})
		},
			check: "me", level: "fail", text: "50", code: cli.ExitUnfinished},
		{name: "clock a little off", config: sandbox.Config{Contract: sandbox.Dialect{DateSkew: 3 * time.Minute}}, check: "clock", level: "warn", text: "behind",
			remedy: "timedatectl"},
		{name: "clock wrong", config: sandbox.Config{Contract: sandbox.Dialect{DateSkew: -2 * time.Hour}}, check: "clock", level: "fail", text: "ahead of",
			remedy: "timedatectl", code: cli.ExitConfiguration},
		{name: "no rate headers", config: sandbox.Config{Contract: sandbox.Dialect{LimitHeaders: sandbox.HeadersAbsent}}, check: "rate limit", level: "warn",
			text: "do not tell", remedy: "limits.burst"},
		{name: "broken rate headers", config: sandbox.Config{Contract: sandbox.Dialect{LimitHeaders: sandbox.HeadersGarbage}}, check: "rate limit", level: "warn",
			text: "no sense", remedy: "limits.burst"},
		{name: "budget nearly spent", before: func(s *sandbox.Server) { s.SpendBudget(4960) }, check: "rate limit", level: "warn", text: "of 5000", remedy: "wait"},
		{name: "budget spent", before: func(s *sandbox.Server) { s.SpendBudget(5000) }, check: "api", level: "warn", text: "429", remedy: "again"},
		{name: "confirm unseen", config: sandbox.Config{Contract: sandbox.Dialect{ConfirmPath: "/a/{uuid}/b", Description: sandbox.DescriptionNone}}, check: "confirm",
			level: "warn", text: "cannot be seen", remedy: "doctor --confirm UUID"},
		{name: "PDFs nowhere", config: sandbox.Config{Contract: sandbox.Dialect{PDFPath: "/a/{uuid}/b", Description: sandbox.DescriptionNone}}, check: "pdf",
			level: "fail", text: "404", remedy: "api.contract.pdf_path", code: cli.ExitConfiguration},
		{name: "lists nowhere", config: sandbox.Config{Contract: sandbox.Dialect{DocumentsPath: "/a/b", Description: sandbox.DescriptionNone}}, check: "list",
			level: "fail", text: "404", remedy: "api.contract.documents_path", code: cli.ExitConfiguration},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newClinic(t, tt.config, tt.more)
			if !tt.nothing {
				g.seed(t, tt.seed)
			}
			g.server.Add(3, sandbox.Document{})
			if tt.before != nil {
				tt.before(g.server)
			}
			v := g.examine(t, tt.code)
			wantCheck(t, v, tt.check, tt.level, tt.text)
			for _, c := range checks(v, tt.check) {
				if tt.remedy != "" && (c.Remedy == nil || !strings.Contains(*c.Remedy, tt.remedy)) {
					t.Errorf("the remedy is %v, want one with %q", c.Remedy, tt.remedy)
				}
			}
			if len(v.Contract.Lines) > 0 {
				t.Errorf("lines are proposed: %q", v.Contract.Lines)
			}
		})
	}
}

func TestDoctorConfirmsWhereItIsTold(t *testing.T) {
	hidden := sandbox.Dialect{NoAllow: true, Description: sandbox.DescriptionNone}
	other := hidden
	other.ConfirmPath = "/a/{uuid}/b"
	allowed := hidden
	allowed.ConfirmMethod = "POST" // with the media type of a PATCH
	derived := sandbox.Dialect{ConfirmMethod: "PUT", ConfirmContentType: "application/json"}
	for _, tt := range []struct {
		name      string
		dialect   sandbox.Dialect
		level     string
		code      int
		confirmed int
		note      string
	}{
		{"as configured", hidden, "ok", cli.ExitDone, 1, ""},
		{"in another way, unknown", other, "fail", cli.ExitConfiguration, 0, ""},
		{"in another way, allowed", allowed, "fail", cli.ExitConfiguration, 1, "tried on the document that you named"},
		{"in another way, derived", derived, "fail", cli.ExitConfiguration, 1, "tried on the document that you named"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := healthy(t, sandbox.Config{Contract: tt.dialect}, "")
			uuid := g.server.Documents()[2].UUID
			v := g.examine(t, tt.code, "--confirm", uuid)
			wantCheck(t, v, "confirm", tt.level, "")
			for _, d := range g.server.Documents() {
				if got := len(d.Confirms); got > 0 && d.UUID != uuid {
					t.Errorf("document %s was confirmed, which nobody named", d.UUID)
				}
			}
			if got := g.server.Stats().Confirmed; got != tt.confirmed {
				t.Errorf("%d confirmations, want %d", got, tt.confirmed)
			}
			for _, line := range v.Contract.Lines {
				if strings.HasPrefix(line, "confirm") && !strings.HasSuffix(line, "# "+tt.note) {
					t.Errorf("the line %q is not noted as %q", line, tt.note)
				}
			}
		})
	}
}

// reserved resolves nothing: its only name server is a closed port of this machine.
func reserved(t *testing.T) *net.Resolver {
	t.Helper()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return nil, errors.New("no name server is asked in tests")
	}}
}

// closedPort is an address of this machine where nobody answers.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDoctorExaminesTheWay(t *testing.T) {
	secure := httptest.NewUnstartedServer(nil)
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	defer secure.Close()
	ca := write(t, t.TempDir(), "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})), 0o600)
	open := httptest.NewServer(nil)
	defer open.Close()
	for _, tt := range []struct {
		name   string
		base   string
		more   string
		check  string
		level  string
		text   string
		remedy string
		open   bool
		code   int
	}{
		{"open", open.URL, "", "tls", "ok", "none", "", true, cli.ExitDone},
		{"nobody answers", "http://" + closedPort(t), "", "connection", "fail", "does not answer", "api.base_url", false, cli.ExitUnfinished},
		{"no such name", "https://api.askara.invalid", "", "dns", "fail", "api.askara.invalid cannot be found", "name servers", false, cli.ExitUnfinished},
		{"unknown certificate", secure.URL, "", "tls", "fail", "does not trust", "api.ca_file", false, cli.ExitConfiguration},
		{"certificate in ca_file", secure.URL, "ca_file = \"" + ca + "\"\n", "tls", "ok", "accepted with api.ca_file", "", true, cli.ExitDone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, t.TempDir(), "config.toml", minimal+fmt.Sprintf("base_url = %q\n%s", tt.base, tt.more), 0o600)
			c, err := cli.Load(cli.LoadConfig{File: file, Getenv: environ()})
			if err != nil {
				t.Fatal(err)
			}
			found, isOpen, err := cli.DoctorNetwork(t.Context(), c, reserved(t))
			v := cli.DoctorView{Checks: found}
			wantCheck(t, v, tt.check, tt.level, tt.text)
			if isOpen != tt.open || cli.ExitCode(err) != tt.code {
				t.Errorf("open: %v, exit code %d", isOpen, cli.ExitCode(err))
			}
			if c := checks(v, tt.check); tt.remedy != "" && (c[0].Remedy == nil || !strings.Contains(*c[0].Remedy, tt.remedy)) {
				t.Errorf("the remedy is %v, want one with %q", c[0].Remedy, tt.remedy)
			}
		})
	}
}

// TestDoctorBehindADeadProxy runs in a process of its own, since net/http reads the environment once.
func TestDoctorBehindADeadProxy(t *testing.T) {
	const marker = "ASKARA_SYNC_TEST_CONFIG"
	if file := os.Getenv(marker); file != "" {
		os.Exit(cli.Main(t.Context(), cli.Env{Args: []string{"--config", file, "doctor", "--json"}, Getenv: os.Getenv,
			Stdin: strings.NewReader(""), Stdout: os.Stdout, Stderr: os.Stderr}))
	}
	dir := t.TempDir()
	file := write(t, dir, "config.toml", fmt.Sprintf("state_dir = %q\n", filepath.Join(dir, "state"))+minimal+
		fmt.Sprintf("base_url = \"https://api.askara.invalid\"\n[sink]\npath = %q\n", filepath.Join(dir, "inbox")), 0o600)
	proxy := closedPort(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDoctorBehindADeadProxy$")
	cmd.Env = []string{marker + "=" + file, "HTTPS_PROXY=http://somebody:hunter2@" + proxy}
	stdout, err := cmd.Output()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != cli.ExitLogin { // which is worse than a proxy that is down
		t.Fatalf("got %v\n%s", err, stdout)
	}
	var v cli.DoctorView
	if err := json.Unmarshal(stdout, &v); err != nil {
		t.Fatalf("%v: %q", err, stdout)
	}
	wantCheck(t, v, "proxy", "fail", proxy+" does not answer")
	if strings.Contains(string(stdout), "hunter2") {
		t.Errorf("the output holds the proxy's password: %s", stdout)
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
