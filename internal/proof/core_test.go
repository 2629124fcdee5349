package proof_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// TestNoCoreFile: whatever the shell allows, a crash leaves no core file, which would hold tokens.
func TestNoCoreFile(t *testing.T) {
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out := &output{}
	cmd := exec.Command("sh", "-c", `ulimit -c unlimited 2>/dev/null; exec "$0" "$@"`, bin, "demo", "--serve", "--documents", "1",
		"--dir", filepath.Join(t.TempDir(), "demo"))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	out.find(t, `run until Ctrl-C`)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("a core file is allowed:\n%s", limits)
	}
}
