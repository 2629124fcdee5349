package cli_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"askara-sync/cli"
)

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
