// Package systemd_test checks what this directory installs: the unit, the packages and, on a booted system, their whole life.
package systemd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// most is the exposure that the unit may have, by systemd's own measure from 0 to 10.
const most = 1.5

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func analyze(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze (Debian: systemd)")
	}
	return program
}

// exposure measures a unit with a drop-in, "" for none.
func exposure(t *testing.T, unit, dropIn string) float64 {
	t.Helper()
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "usr/lib/systemd/system/askara-sync.service"), unit, 0o644)
	if dropIn != "" {
		writeFile(t, filepath.Join(root, "etc/systemd/system/askara-sync.service.d/folder.conf"), dropIn, 0o644)
	}
	out, err := exec.Command(analyze(t), "security", "--offline=true", "--no-pager", "--root="+root, "askara-sync.service").CombinedOutput()
	found := regexp.MustCompile(`Overall exposure level for askara-sync.service: ([0-9.]+)`).FindStringSubmatch(string(out))
	if found == nil {
		t.Fatalf("no exposure level (%v):\n%s", err, out)
	}
	level, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return level
}

func TestExposure(t *testing.T) {
	unit := readFile(t, "askara-sync.service")
	dropIn := "[Service]\nReadWritePaths=\"/srv/askara\"\nSupplementaryGroups=praxis\n"
	for name, drop := range map[string]string{"as installed": "", "with an import folder": dropIn} {
		level := exposure(t, unit, drop)
		t.Logf("exposure %s: %.1f", name, level)
		if level > most {
			t.Errorf("exposure %s: %.1f, want at most %.1f", name, level, most)
		}
	}
	if level := exposure(t, unit, dropIn+"ProtectSystem=no\n"); level <= most {
		t.Errorf("a drop-in that opens everything: %.1f, so drop-ins are not measured", level)
	}
	// The measure notices what is missing.
	for _, line := range []string{"ProtectSystem=strict\n", "CapabilityBoundingSet=\n", "User=askara-sync\n"} {
		if !strings.Contains(unit, line) {
			t.Fatalf("the unit lacks %q", line)
		}
		if level := exposure(t, strings.Replace(unit, line, "", 1), dropIn); level <= most {
			t.Errorf("without %q: %.1f, want more than %.1f", line, level, most)
		}
	}
}

func TestUnitIsValid(t *testing.T) {
	verify := func(unit string) string {
		t.Helper()
		// The program and its manual are not installed here.
		unit = strings.ReplaceAll(unit, "/usr/bin/askara-sync", "/bin/true")
		unit = strings.ReplaceAll(unit, "man:askara-sync(1) ", "")
		file := filepath.Join(t.TempDir(), "askara-sync.service")
		writeFile(t, file, unit, 0o644)
		out, err := exec.Command(analyze(t), "verify", "--man=no", file).CombinedOutput()
		if err != nil && len(out) == 0 {
			t.Fatal(err)
		}
		var ours []string
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "askara-sync.service") { // not what is wrong with this machine's own units
				ours = append(ours, line)
			}
		}
		return strings.Join(ours, "")
	}
	unit := readFile(t, "askara-sync.service")
	if complaints := verify(unit); complaints != "" {
		t.Errorf("systemd complains:\n%s", complaints)
	}
	if verify(unit+"\n[Service]\nProtectEverything=yes\n") == "" {
		t.Error("a wrong line goes unnoticed")
	}
}

func TestEveryHardeningLineHasItsReason(t *testing.T) {
	_, hardening, ok := strings.Cut(readFile(t, "askara-sync.service"), "\nGroup=askara-sync\n")
	if !ok {
		t.Fatal("the unit has no group")
	}
	hardening, _, _ = strings.Cut(hardening, "[Install]")
	reason, lines := false, 0
	for _, line := range strings.Split(hardening, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			reason = true
		case line == "":
			reason = false
		default:
			lines++
			if !reason {
				t.Errorf("no reason for %s", line)
			}
		}
	}
	if lines < 30 {
		t.Errorf("only %d lines found", lines)
	}
}

func TestScriptsAreValidShell(t *testing.T) {
	for _, name := range []string{"preinst", "postinst", "prerm", "postrm"} {
		if out, err := exec.Command("sh", "-n", filepath.Join("scripts", name)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if out, err := exec.Command("bash", "-n", "build-packages").CombinedOutput(); err != nil {
		t.Errorf("build-packages: %v\n%s", err, out)
	}
}

// preinst runs the script that refuses a downgrade, with a ledger elsewhere.
func preinst(t *testing.T, ledger string, readable int, args ...string) (string, error) {
	t.Helper()
	script := readFile(t, "scripts/preinst")
	for old, with := range map[string]string{"@SCHEMA@": fmt.Sprint(readable), "/var/lib/askara-sync/askara-sync.db": ledger} {
		if !strings.Contains(script, old) {
			t.Fatalf("preinst does not name %s", old)
		}
		script = strings.ReplaceAll(script, old, with)
	}
	file := filepath.Join(t.TempDir(), "preinst")
	writeFile(t, file, script, 0o755)
	out, err := exec.Command("sh", append([]string{file}, args...)...).CombinedOutput()
	return string(out), err
}
