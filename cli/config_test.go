package cli_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"askara-sync/askara"
	"askara-sync/cli"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// golden compares got with a file, or writes the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

func samples(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples match %s (%v)", pattern, err)
	}
	return files
}

// environ is an environment with these variables alone.
func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// minimal is the least that a configuration has to say.
const minimal = "[api]\nclient_id = \"clinic\"\n"

func TestValidSamplesParse(t *testing.T) {
	for _, file := range samples(t, "testdata/config/valid/*.toml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cli.Parse(data, environ()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInvalidSamplesFailWithTheirMessage(t *testing.T) {
	for _, file := range samples(t, "testdata/config/invalid/*.toml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cli.Parse(data, environ())
			if err == nil {
				t.Fatal("accepted")
			}
			if got := askara.FaultOf(err); got != askara.FaultConfiguration {
				t.Errorf("fault is %v, want a configuration fault", got)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message shows the secret: %v", err)
			}
			golden(t, strings.TrimSuffix(file, ".toml")+".txt", err.Error()+"\n")
		})
	}
}

func TestEveryFaultOfOneFileIsReported(t *testing.T) {
	_, err := cli.Parse([]byte(`schedule = 5
colour = "red"
log_level = "loud"
[limits]
workers = 0
`), environ())
	fault, ok := errors.AsType[*cli.ConfigError](err)
	if !ok {
		t.Fatalf("got %v, want a ConfigError", err)
	}
	var keys []string
	for _, f := range fault.Faults {
		keys = append(keys, f.Key)
	}
	want := []string{"api.client_id", "schedule", "colour", "log_level", "limits.workers"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// parsed is the configuration of a text that has to be right.
func parsed(t *testing.T, text string, env ...string) *cli.Config {
	t.Helper()
	c, err := cli.Parse([]byte(text), environ(env...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var ignoreResolved = cmpopts.IgnoreFields(cli.Config{}, "Location", "File")

func TestExampleEqualsTheDefaults(t *testing.T) {
	data, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	// As it is installed it lacks the one key that has no default, and says so.
	_, err = cli.Parse(data, environ())
	if fault, ok := errors.AsType[*cli.ConfigError](err); !ok || len(fault.Faults) != 1 || fault.Faults[0].Key != "api.client_id" {
		t.Errorf("as installed: got %v, want a fault of api.client_id alone", err)
	}
	data = []byte(strings.Replace(string(data), "client_id = \"\"", "client_id = \"clinic\"", 1))
	asShipped := parsed(t, string(data))
	if diff := cmp.Diff(parsed(t, minimal), asShipped, ignoreResolved); diff != "" {
		t.Errorf("the example as shipped is not the default configuration (-default +example):\n%s", diff)
	}
	// With every # taken away that stands directly before a key or a table, it must say the same.
	var whole strings.Builder
	for line := range strings.Lines(string(data)) {
		if len(line) > 1 && line[0] == '#' && line[1] != ' ' {
			line = line[1:]
		}
		whole.WriteString(line)
	}
	if diff := cmp.Diff(asShipped, parsed(t, whole.String()), ignoreResolved); diff != "" {
		t.Errorf("a line of the example is not the default (-default +example):\n%s", diff)
	}
	keys := map[string]bool{}
	table := ""
	for line := range strings.Lines(whole.String()) {
		if name, ok := strings.CutPrefix(line, "["); ok {
			table = strings.Trim(strings.TrimSpace(name), "[]") + "."
		} else if name, _, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "#") {
			keys[table+name] = true
		}
	}
	for _, key := range cli.KnownKeys() {
		if !keys[key] && !strings.HasPrefix(key, "account.sink.") {
			t.Errorf("config.example.toml lacks %s", key)
		}
	}
	if len(cli.KnownKeys()) < 50 {
		t.Errorf("only %d keys are known", len(cli.KnownKeys()))
	}
}

func TestEveryKeyOfTheExampleHasALineOnIt(t *testing.T) {
	data, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	before, checked := "", 0
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, " = ") && !strings.HasPrefix(line, "# ") && !strings.HasPrefix(before, "#[account.sink]") {
			checked++
			if !strings.HasPrefix(before, "# ") {
				t.Errorf("no line on %s", line)
			}
		}
		before = line
	}
	if checked < 50 {
		t.Errorf("only %d keys found", checked)
	}
}

func TestStateDirectory(t *testing.T) {
	tests := []struct {
		name, text string
		env        []string
		want       string
	}{
		{"default", minimal, nil, "/var/lib/askara-sync"},
		{"systemd's", minimal, []string{"STATE_DIRECTORY", "/var/lib/elsewhere"}, "/var/lib/elsewhere"},
		{"the first of systemd's", minimal, []string{"STATE_DIRECTORY", "/var/lib/a:/var/lib/b"}, "/var/lib/a"},
		{"the file's", "state_dir = \"/data\"\n" + minimal, []string{"STATE_DIRECTORY", "/var/lib/a"}, "/data"},
	}
	for _, test := range tests {
		if got := parsed(t, test.text, test.env...).StateDir; got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestAccountsOverrideTheSink(t *testing.T) {
	c := parsed(t, minimal+`
[sink]
path = "/srv/all"
group = "praxis"
[[account]]
name = "lyon"
[[account]]
name = "nice"
[account.sink]
type = "sqlite"
path = "/srv/nice.db"
`)
	if len(c.Accounts) != 2 {
		t.Fatalf("got %d accounts, want 2", len(c.Accounts))
	}
	lyon, nice := c.Accounts[0].Sink, c.Accounts[1].Sink
	if lyon.Type != "folder" || lyon.Path != "/srv/all" || lyon.Group != "praxis" {
		t.Errorf("lyon: got %+v", lyon)
	}
	if nice.Type != "sqlite" || nice.Path != "/srv/nice.db" || nice.Group != "praxis" || nice.FileMode != 0o640 {
		t.Errorf("nice: got %+v", nice)
	}
	if got := c.Groups(); !cmp.Equal(got, []string{"praxis"}) {
		t.Errorf("groups: got %v", got)
	}
	if _, err := c.Account("paris"); askara.FaultOf(err) != askara.FaultConfiguration || !strings.Contains(askara.HintOf(err), "lyon, nice") {
		t.Errorf("an unknown account: got %v, hint %q", err, askara.HintOf(err))
	}
}

func TestValues(t *testing.T) {
	c := parsed(t, `
time_zone = "Europe/Paris"
jitter = "1m30s"
relogin_before = "7d"
[api]
client_id = "clinic"
base_url = "http://127.0.0.1:8080/prefix"
[limits]
max_document_size = "1.5GiB"
[sink]
file_mode = "0660"
`)
	if c.Location.String() != "Europe/Paris" || c.Jitter != 90*time.Second || c.ReloginBefore != 7*24*time.Hour {
		t.Errorf("got %v, %v, %v", c.Location, c.Jitter, c.ReloginBefore)
	}
	if c.Limits.MaxDocumentSize != 3<<29 || c.Accounts[0].Sink.FileMode != 0o660 || c.API.Base.Path != "/prefix" {
		t.Errorf("got %v, %v, %v", c.Limits.MaxDocumentSize, c.Accounts[0].Sink.FileMode, c.API.Base)
	}
}
