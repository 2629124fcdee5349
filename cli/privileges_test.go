package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"askara-sync/askara"
	"askara-sync/cli"
)

// stateOf is a configuration with that state directory, and accounts with these groups.
func stateOf(dir string, groups ...string) *cli.Config {
	c := &cli.Config{StateDir: dir}
	for _, g := range groups {
		c.Accounts = append(c.Accounts, cli.Account{Sink: cli.Sink{Group: g}})
	}
	return c
}

func TestRootIsGivenUpForGood(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	if os.Getenv("ASKARA_SYNC_DROP") != "" {
		c := stateOf(os.Getenv("ASKARA_SYNC_DROP"), "games")
		c.StateKeyFile = filepath.Join(c.StateDir, "key") // root's own
		if err := cli.DropRoot(c); err != nil {
			t.Fatal(err)
		}
		if key, err := os.ReadFile(c.StateKeyFile); err != nil || string(key) != "the key" {
			t.Errorf("key: got %q, %v", key, err)
		}
		status, err := os.ReadFile("/proc/self/task/" + fmt.Sprint(syscall.Gettid()) + "/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(status))
		if syscall.Setuid(0) == nil {
			t.Error("root can be had back")
		}
		fmt.Println("dropped")
		return
	}
	dir := t.TempDir()
	// Everybody may pass through the directories above, as in /var/lib.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := cli.DropRoot(stateOf(dir)); err != nil || os.Geteuid() != 0 {
		t.Errorf("root's own state directory: got %v, user %d", err, os.Geteuid())
	}
	if err := cli.DropRoot(stateOf(filepath.Join(dir, "none"))); err != nil || os.Geteuid() != 0 {
		t.Errorf("no state directory: got %v, user %d", err, os.Geteuid())
	}
	write(t, dir, "key", "the key", 0o400)
	const uid, gid = 54321, 54322
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestRootIsGivenUpForGood$", "-test.v")
	cmd.Env = append(os.Environ(), "ASKARA_SYNC_DROP="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "dropped") {
		t.Fatalf("got %v:\n%s", err, out)
	}
	for _, want := range []string{
		"Uid:\t54321\t54321\t54321\t54321", "Gid:\t54322\t54322\t54322\t54322", "Groups:\t60 54322", "CapEff:\t0000000000000000",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if err := cli.DropRoot(stateOf(dir, "no-such-group")); askara.FaultOf(err) != askara.FaultConfiguration {
		t.Errorf("unknown group: got %v, want a configuration fault", err)
	}
}
