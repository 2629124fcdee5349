package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"askara-sync/cli"
)

// write makes a file for a test and returns its path.
func write(t *testing.T, dir, name, text string, mode fs.FileMode) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return file
}

func TestLoadLooksInThreePlaces(t *testing.T) {
	dir := t.TempDir()
	named := write(t, dir, "named.toml", minimal, 0o600)
	fromEnv := write(t, dir, "env.toml", minimal, 0o600)
	c, err := cli.Load(cli.LoadConfig{File: named, Getenv: environ("ASKARA_SYNC_CONFIG", fromEnv)})
	if err != nil || c.File != named {
		t.Errorf("--config: got %v, %v", c, err)
	}
	c, err = cli.Load(cli.LoadConfig{Getenv: environ("ASKARA_SYNC_CONFIG", fromEnv)})
	if err != nil || c.File != fromEnv {
		t.Errorf("environment: got %v, %v", c, err)
	}
	if _, err := os.Stat(cli.ConfigFile); err != nil {
		if _, err := cli.Load(cli.LoadConfig{Getenv: environ()}); err == nil || !strings.Contains(err.Error(), cli.ConfigFile+" has a fault:\n  does not exist") {
			t.Errorf("no file: got %v", err)
		}
	}
}

func TestLoadRefusesWhatIsNoConfiguration(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ file, want string }{
		"directory":  {dir, "not a regular file"},
		"fifo":       {fifo, "not a regular file"},
		"huge":       {write(t, dir, "huge.toml", strings.Repeat("#", 1<<20+1), 0o600), "larger than 1MiB"},
		"everyone's": {write(t, dir, "open.toml", minimal, 0o666), "chmod o-w"},
	}
	for name, test := range tests {
		if _, err := cli.Load(cli.LoadConfig{File: test.file, Getenv: environ()}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	secret := write(t, dir, "own", "hunter2\r\n", 0o640)
	write(t, dir, "run/client_secret", "from systemd\n", 0o400)
	write(t, dir, "run/sink_dsn", "postgres://clinic\n", 0o400)
	key := write(t, dir, "run/state_key", "0123", 0o400)
	own := write(t, dir, "own.toml", minimal+fmt.Sprintf("client_secret_file = %q\n", secret), 0o600)
	plain := write(t, dir, "plain.toml", minimal+"[sink]\ntype = \"postgres\"\n", 0o600)
	systemd := environ("CREDENTIALS_DIRECTORY", filepath.Join(dir, "run"))

	load := func(file string, getenv func(string) string) *cli.Config {
		t.Helper()
		c, err := cli.Load(cli.LoadConfig{File: file, Getenv: getenv})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := load(own, systemd); c.API.ClientSecret.Reveal() != "hunter2" || c.StateKeyFile != key {
		t.Errorf("own file: got secret %q, state key %q", c.API.ClientSecret.Reveal(), c.StateKeyFile)
	}
	if c := load(plain, systemd); c.API.ClientSecret.Reveal() != "from systemd" || c.Accounts[0].Sink.DSN.Reveal() != "postgres://clinic" {
		t.Errorf("credential: got secret %q, dsn %q", c.API.ClientSecret.Reveal(), c.Accounts[0].Sink.DSN.Reveal())
	}
	c := load(own, systemd)
	dump, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(*c), fmt.Sprintf("%+v %#v", *c, c.API), string(dump)} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "REDACTED") {
			t.Errorf("a dump of the configuration shows the secret, or is none: %s", text)
		}
	}
}

func TestFaultsOfSecrets(t *testing.T) {
	dir := t.TempDir()
	open := write(t, dir, "open", "hunter2", 0o644)
	empty := write(t, dir, "empty", "\n", 0o600)
	bad := write(t, dir, "bad.pem", "not pem", 0o644)
	none := environ("CREDENTIALS_DIRECTORY", filepath.Join(dir, "none"))
	tests := []struct{ name, lines, want string }{
		{"open", fmt.Sprintf("client_secret_file = %q", open), "api.client_secret_file: the file can be read by everybody"},
		{"missing", `client_secret_file = "/nowhere/hunter2"`, "api.client_secret_file: the file cannot be read: no such file or directory"},
		{"empty", fmt.Sprintf("client_secret_file = %q", empty), "api.client_secret_file: the file is empty"},
		{"no dsn", "[sink]\ntype = \"mysql\"", "sink.dsn_file: is missing"},
		{"own dsn", "[[account]]\n[account.sink]\ntype = \"mysql\"\ndsn_file = \"/nowhere\"", "account[1].sink.dsn_file: the file cannot be read"},
		{"no ca", `ca_file = "/nowhere.pem"`, "api.ca_file: the file cannot be read"},
		{"bad ca", fmt.Sprintf("ca_file = %q", bad), "api.ca_file: the file holds no certificate"},
		{"with others", "ca_file = \"/nowhere.pem\"\nscope = 1", "api.scope: unknown key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, t.TempDir(), "config.toml", minimal+test.lines, 0o600)
			_, err := cli.Load(cli.LoadConfig{File: file, Getenv: none})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q and not the secret", err, test.want)
			}
			if _, err := cli.Load(cli.LoadConfig{File: file, Getenv: none, NoSecrets: true}); err != nil && test.name != "with others" {
				t.Errorf("without secrets: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/config/valid/*.toml", "testdata/config/invalid/*.toml", "../config.example.toml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no samples match %s (%v)", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("\"\t\"=1\n\"\t\"=1"))
	f.Add([]byte("a={\"\\u0001\"=1,\"\\u0001\"=2}"))
	f.Add([]byte("a=" + strings.Repeat("9", 2000) + ".0"))
	f.Add([]byte("a=" + strings.Repeat("9", 2000) + "e999"))
	f.Add([]byte("api.contract.token_path = '" + strings.Repeat(" ", 2000) + "'"))
	f.Add([]byte("sink.name = '{{" + strings.Repeat("a", 2000) + "}}'"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := cli.Parse(data, environ())
		if err == nil {
			if len(c.Accounts) == 0 || c.Location == nil || c.API.Base == nil || c.Limits.Workers < 1 {
				t.Errorf("accepted, but not resolved: %+v", c)
			}
			return
		}
		fault, ok := errors.AsType[*cli.ConfigError](err)
		if !ok || len(fault.Faults) == 0 {
			t.Fatalf("got %v, want a ConfigError with faults", err)
		}
		for line := range strings.Lines(err.Error()) {
			if len(line) > 2000 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' }) {
				t.Errorf("a line no person can read: %q", line)
			}
		}
	})
}
