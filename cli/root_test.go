package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/cli"
)

func TestExitCodes(t *testing.T) {
	tests := map[askara.Fault]int{
		askara.FaultUnexpected: 1, askara.FaultService: 75, askara.FaultLimited: 75, askara.FaultNotReady: 75, askara.FaultDocument: 75,
		askara.FaultPermanent: 75, askara.FaultDestination: 75, askara.FaultLogin: 77, askara.FaultConfiguration: 78,
	}
	for fault, want := range tests {
		if got := cli.ExitCode(fmt.Errorf("list documents: %w", &askara.Error{Kind: fault})); got != want {
			t.Errorf("fault %v: got exit code %d, want %d", fault, got, want)
		}
	}
	if got := cli.ExitCode(nil); got != 0 {
		t.Errorf("no error: got %d", got)
	}
	if got := cli.ExitCode(fmt.Errorf("walk: %w", context.Canceled)); got != 75 {
		t.Errorf("interrupted: got %d, want 75", got)
	}
}

func TestErrorsAreFollowedByAHint(t *testing.T) {
	err := fmt.Errorf("start: %w", &cli.UsageError{Problem: "no such account", Remedy: "the accounts are: lyon"})
	var out bytes.Buffer
	cli.PrintError(&out, err, false)
	if want := "askara-sync: start: no such account\nhint: the accounts are: lyon\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	cli.PrintError(&out, err, true)
	if want := "<3>askara-sync: start: no such account\n<3>hint: the accounts are: lyon\n"; out.String() != want {
		t.Errorf("journal: got %q, want %q", out.String(), want)
	}
}

// invoke runs a command line and returns what it printed and its exit code.
func invoke(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	code = cli.Main(t.Context(), cli.Env{
		Args: args, Getenv: environ(), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &diagnostics,
	})
	return out.String(), diagnostics.String(), code
}

func TestCommandLine(t *testing.T) {
	stdout, stderr, code := invoke(t, "version")
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "askara-sync ") || strings.Count(stdout, "\n") != 1 {
		t.Errorf("version: got %q, %q, %d", stdout, stderr, code)
	}
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"versoin"}, "askara-sync: \"versoin\" is not a verb of askara-sync\nhint: askara-sync version\n"},
		{[]string{"version", "now"}, "askara-sync: askara-sync version takes no argument \"now\"\nhint: askara-sync --help\n"},
		{[]string{"--colour"}, "askara-sync: unknown flag: --colour\nhint: askara-sync --help\n"},
	}
	for _, test := range tests {
		stdout, stderr, code := invoke(t, test.args...)
		if code != 78 || stdout != "" || stderr != test.want {
			t.Errorf("%v: got exit code %d, %q, stderr %q, want %q", test.args, code, stdout, stderr, test.want)
		}
	}
}
