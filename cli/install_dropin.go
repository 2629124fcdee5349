package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// dropInFile opens the import folder to the hardened unit.
const dropInFile = "/etc/systemd/system/askara-sync.service.d/folder.conf"

// writeDropIn adds the folder to the unit's drop-in; folders of other accounts stay in it.
func (f *folderInstall) writeDropIn() error {
	old, err := os.ReadFile(f.dropIn)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the drop-in: %w", err)
	}
	text := string(old)
	if text == "" {
		text = "# Written by askara-sync install-folder: where the service may write besides its state.\n[Service]\n"
	}
	for _, line := range f.dropInLines() {
		if !slices.Contains(strings.Split(text, "\n"), line) {
			text = strings.TrimRight(text, "\n") + "\n" + line + "\n"
		}
	}
	if text == string(old) {
		f.say("%s has the folder already", f.dropIn)
		return nil
	}
	f.say("write %s:\n%s", f.dropIn, strings.TrimRight("  "+strings.ReplaceAll(text, "\n", "\n  "), " \n"))
	if f.dryRun {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.dropIn), 0o755); err != nil {
		return fmt.Errorf("write the drop-in: %w", err)
	}
	if err := os.WriteFile(f.dropIn+".new", []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the drop-in: %w", err)
	}
	if err := os.Rename(f.dropIn+".new", f.dropIn); err != nil {
		return fmt.Errorf("write the drop-in: %w", err)
	}
	return nil
}

// dropInLines opens the folder that holds both, in one piece: systemd mounts each path of a list anew, and no file can be moved in one
// step from one mount to another, even on the same file system. Permissions still keep the service from everything else in there.
func (f *folderInstall) dropInLines() []string {
	parent := commonDir(f.path, f.staging)
	lines := []string{"ReadWritePaths=" + unitQuote(parent)}
	for _, home := range []string{"/home", "/root", "/run/user"} {
		if inside(parent, home) { // which the unit hides
			lines = []string{"ProtectHome=tmpfs", "BindPaths=" + unitQuote(parent)}
		}
	}
	return append(lines, "SupplementaryGroups="+f.group)
}

// commonDir is the deepest folder that holds both paths.
func commonDir(a, b string) string {
	dir := filepath.Dir(a)
	for !inside(b, dir) {
		dir = filepath.Dir(dir)
	}
	return dir
}

// reload tells systemd, where it runs and the drop-in is its own.
func (f *folderInstall) reload(ctx context.Context) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil || f.dropIn != dropInFile {
		f.say("systemd does not run here; after its start it knows of the folder")
		return nil
	}
	f.say("run systemctl daemon-reload")
	if f.dryRun {
		return nil
	}
	out, err := exec.CommandContext(ctx, "systemctl", "daemon-reload").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run systemctl daemon-reload: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// unitQuote writes a path for a unit file: in quotes, with specifiers and escapes made plain.
func unitQuote(path string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\t", `\t`)
	return `"` + r.Replace(path) + `"`
}

// shellQuote writes a path so that it can be pasted into a shell.
func shellQuote(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool { return notBare(r) && !strings.ContainsRune("/.,:+@", r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
