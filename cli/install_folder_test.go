package cli_test

import (
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/cli"
)

// asRoot skips without root and returns a folder that everybody may pass through.
func asRoot(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir, err := os.MkdirTemp("", "folder")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func makeFolder(t *testing.T, dir, group string, mode os.FileMode) {
	t.Helper()
	g, err := user.LookupGroup(group)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 0, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
}

func TestInstallFolder(t *testing.T) {
	dir := asRoot(t)
	dropIn := filepath.Join(dir, "etc", "folder.conf")
	practice := filepath.Join(dir, `100% "practice"`)
	if err := os.Mkdir(practice, 0o755); err != nil {
		t.Fatal(err)
	}
	inbox := filepath.Join(practice, "in box")
	makeFolder(t, inbox, "games", 0o770)

	said, err := cli.InstallFolder(t.Context(), "nobody", dropIn, inbox, "", true)
	if err != nil || !strings.Contains(said, "SupplementaryGroups=games") {
		t.Fatalf("dry run: got %v\n%s", err, said)
	}
	if entries, err := os.ReadDir(practice); err != nil || len(entries) != 1 {
		t.Fatalf("the dry run left %v, %v", entries, err)
	}
	if said, err = cli.InstallFolder(t.Context(), "nobody", dropIn, inbox, "", false); err != nil {
		t.Fatalf("got %v\n%s", err, said)
	}
	staging := filepath.Join(practice, ".in box.askara-staging")
	info, err := os.Stat(staging)
	if err != nil || info.Mode().Perm() != 0o700 || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("staging: got %v, %v, want a folder of nobody's with mode 0700", info, err)
	}
	quoted := strings.NewReplacer("%", "%%", `"`, `\"`)
	want := `ReadWritePaths="` + quoted.Replace(practice) + "\"\nSupplementaryGroups=games\n"
	text, err := os.ReadFile(dropIn)
	if err != nil || !strings.HasSuffix(string(text), "[Service]\n"+want) {
		t.Errorf("drop-in: got %v\n%s\nwant an end of\n%s", err, text, want)
	}
	// Again: nothing changes. Another account's folder: both are there.
	if _, err := cli.InstallFolder(t.Context(), "nobody", dropIn, inbox, "", false); err != nil {
		t.Error(err)
	}
	if again, err := os.ReadFile(dropIn); err != nil || string(again) != string(text) {
		t.Errorf("the second run changed the drop-in: %v\n%s", err, again)
	}
	if _, err := cli.InstallFolder(t.Context(), "nobody", dropIn, filepath.Join(dir, "new", "inbox"), "games", false); err != nil {
		t.Error(err)
	}
	both, err := os.ReadFile(dropIn)
	if err != nil || strings.Count(string(both), "ReadWritePaths=") != 2 || strings.Count(string(both), "SupplementaryGroups=") != 1 {
		t.Errorf("two folders: got %v\n%s", err, both)
	}
	if info, err := os.Stat(filepath.Join(dir, "new", "inbox")); err != nil || info.Mode().Perm() != 0o770 || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("a folder that was made: got %v, %v", info, err)
	}
}

func TestInstallFolderRefusesWhatTheServiceCannotUse(t *testing.T) {
	dir := asRoot(t)
	makeFolder(t, filepath.Join(dir, "closed"), "games", 0o750)
	makeFolder(t, filepath.Join(dir, "wall"), "games", 0o700)
	makeFolder(t, filepath.Join(dir, "wall", "behind"), "games", 0o770)
	makeFolder(t, filepath.Join(dir, "taken"), "games", 0o770)
	write(t, dir, "file", "", 0o600)
	write(t, dir, ".taken.askara-staging", "not a folder", 0o600)
	tests := []struct{ name, path, group, user, want string }{
		{"not writable", dir + "/closed", "", "nobody", "may not write into"},
		{"not reachable", dir + "/wall/behind", "", "nobody", "may not write into"},
		{"a file", dir + "/file", "", "nobody", "is not a folder"},
		{"staging is a file", dir + "/taken", "", "nobody", "is no folder of nobody"},
		{"no such group", dir + "/taken", "no-such-group", "nobody", "there is no group"},
		{"no such user", dir + "/taken", "", "no-such-user", "there is no user"},
		{"in the root", "/inbox-of-a-test", "", "nobody", "nothing in common"},
		{"relative", "inbox", "", "nobody", "absolute path"},
		{"root of all", "/", "", "nobody", "no import folder"},
	}
	dropIn := filepath.Join(dir, "folder.conf")
	for _, test := range tests {
		_, err := cli.InstallFolder(t.Context(), test.user, dropIn, test.path, test.group, false)
		if err == nil || !strings.Contains(err.Error(), test.want) || askara.FaultOf(err) != askara.FaultConfiguration || askara.HintOf(err) == "" {
			t.Errorf("%s: got %v (hint %q), want %q", test.name, err, askara.HintOf(err), test.want)
		}
		if _, err := os.Stat(dropIn); err == nil {
			t.Fatalf("%s: a drop-in was written", test.name)
		}
	}
}

func TestInstallFolderInAHome(t *testing.T) {
	asRoot(t)
	said, err := cli.InstallFolder(t.Context(), "nobody", filepath.Join(t.TempDir(), "folder.conf"), "/home/practice/inbox", "games", true)
	if err != nil || !strings.Contains(said, "ProtectHome=tmpfs\n  BindPaths=\"/home/practice\"\n") || strings.Contains(said, "ReadWritePaths") {
		t.Errorf("got %v\n%s", err, said)
	}
}

// TestAFolderThatWasReplacedIsAdopted replaces the folder's staging by another installation's, which a pass refuses, and sets the
// folder up again.
func TestAFolderThatWasReplacedIsAdopted(t *testing.T) {
	g := newClinic(t, quick, "")
	g.server.Add(2, sandbox.Document{})
	g.must(t, cli.ExitDone, "login")
	g.must(t, cli.ExitDone, "--once")
	other := newClinic(t, quick, "")
	other.server.Add(1, sandbox.Document{})
	other.must(t, cli.ExitDone, "login")
	other.must(t, cli.ExitDone, "--once")
	staging := func(g *clinic) string { return filepath.Join(filepath.Dir(g.inbox), ".inbox.askara-staging") }
	if err := os.RemoveAll(staging(g)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(staging(g), os.DirFS(staging(other))); err != nil {
		t.Fatal(err)
	}
	g.server.Add(1, sandbox.Document{})
	_, stderr, code := g.run(t, "--once")
	if code == 0 || !strings.Contains(stderr, "install-folder") {
		t.Fatalf("exit code %d, want a refusal that names install-folder:\n%s", code, stderr)
	}
	r := cli.NewRun(cli.Env{Getenv: environ(), Stdout: io.Discard, Stderr: io.Discard})
	r.ConfigFile = g.file
	if err := cli.AdoptFolder(t.Context(), r, g.inbox); err != nil {
		t.Fatal(err)
	}
	g.must(t, cli.ExitDone, "--once")
	if got := len(g.pdfs(t)); got != 3 {
		t.Errorf("%d documents in the folder, want 3", got)
	}
}
