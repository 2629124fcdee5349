package systemd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"askara-sync/askara/sandbox"
)

// TestOnARealSystem takes a package through the whole life of an installation on a Debian that a real systemd has booted: the
// scripts in testdata run in there as root, one for each boot, and report step by step.
func TestOnARealSystem(t *testing.T) {
	box := findBox(t)
	dir := t.TempDir()
	packages := buildPackages(t, filepath.Join(dir, "packages"), "1.0.0")
	deb := filepath.Join(packages, "askara-sync_1.0.0_"+runtime.GOARCH+".deb")
	server := httptest.NewServer(newClinic())
	defer server.Close()

	root := copyBox(t, box)
	install := func(from, name string) {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(root, "root", name), string(data), 0o755)
	}
	install(deb, "1.0.0.deb")
	install(repack(t, deb, "1.1.0", nil), "1.1.0.deb")
	install(repack(t, deb, "0.9.0", func(dir string) {
		preinst := filepath.Join(dir, "DEBIAN", "preinst")
		text := readFile(t, preinst)
		line := text[strings.Index(text, "\nreadable=")+1:]
		line, _, _ = strings.Cut(line, "\n")
		writeFile(t, preinst, strings.Replace(text, line, "readable=0", 1), 0o755)
	}), "0.9.0.deb")
	for _, name := range []string{"box-lib.sh", "box-first-boot.sh", "box-second-boot.sh"} {
		install(filepath.Join("testdata", name), name)
	}

	boot(t, box, root, server.URL, "box-first-boot.sh", []string{
		"install", "status before anything", "prepare the folder", "start without a login", "login", "deliver into another program's folder",
		"hardening holds", "commands leave nothing of root's", "once beside the daemon", "kill -9", "stuck loop", "reload", "reload of a wrong configuration",
		"stop during a pass", "figures",
	})
	boot(t, box, root, server.URL, "box-second-boot.sh", []string{
		"reboot", "wrong configuration", "upgrade", "downgrade is refused", "remove", "purge",
	})
}

// findBox returns the program that boots a Debian in a folder.
func findBox(t *testing.T) string {
	t.Helper()
	if os.Getenv("ASKARA_SYNC_PROOFS") == "" {
		t.Skip("slow: set ASKARA_SYNC_PROOFS=1")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to boot a system in a folder")
	}
	box := os.Getenv("ASKARA_SYNC_BOX")
	if box == "" {
		box = "../../shared/tools/systemd-box"
	}
	box, err := filepath.Abs(box)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(box); err != nil {
		t.Skipf("needs a program that boots a Debian in a folder: ASKARA_SYNC_BOX=PROGRAM, called as PROGRAM FOLDER COMMAND… (%v)", err)
	}
	return box
}

// copyBox returns the root of a fresh system. The first call makes one that later ones copy, which takes minutes.
func copyBox(t *testing.T, box string) string {
	t.Helper()
	const kept = "/var/cache/askara-sync-box"
	if _, err := os.Stat(kept); err != nil {
		begun := kept + ".new" // whole under its own name, or not at all
		if err := os.RemoveAll(begun); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(box, begun, "true").CombinedOutput(); err != nil {
			t.Fatalf("make a system: %v\n%s", err, tail(out))
		}
		if err := os.Rename(begun, kept); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.MkdirTemp("/var/tmp", "askara-sync-box")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if out, err := exec.Command("cp", "-a", kept+"/.", root).CombinedOutput(); err != nil {
		t.Fatalf("copy a system: %v\n%s", err, out)
	}
	// The system's own daily work, which is due at any moment after a boot, locks the packages for a second.
	for _, timer := range []string{"apt-daily.timer", "apt-daily-upgrade.timer"} {
		if err := os.Symlink("/dev/null", filepath.Join(root, "etc/systemd/system", timer)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// boot runs a script in the system and turns what it reports into subtests. Every step has to be reported.
func boot(t *testing.T, box, root, server, script string, steps []string) {
	t.Helper()
	// Generous: on an idle machine a boot takes a minute. Asked to stop, the program ends the system that it has booted.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, box, root, "bash", "/root/"+script, server)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what is killed in there must not reach this process
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if file, err := os.Create(os.Getenv("ASKARA_SYNC_BOX_LOG")); err == nil { // to follow it by hand
		defer file.Close()
		cmd.Stdout = io.MultiWriter(&out, file)
		cmd.Stderr = cmd.Stdout
	}
	if err := cmd.Run(); err != nil {
		t.Errorf("%s: %v\n%s", script, err, tail(out.Bytes()))
	}
	said := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out.Bytes())); lines.Scan(); {
		for _, verdict := range []string{"PASS ", "FAIL "} {
			if name, ok := strings.CutPrefix(lines.Text(), verdict); ok {
				said[name] = verdict
			}
		}
		if figure, ok := strings.CutPrefix(lines.Text(), "FIGURE "); ok {
			t.Log(figure)
		}
	}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			if said[step] != "PASS " {
				t.Errorf("%q\n%s", said[step], section(out.String(), step))
			}
		})
	}
}

// section is what a script printed during a step.
func section(out, step string) string {
	_, after, ok := strings.Cut(out, "STEP "+step+"\n")
	if !ok {
		return "not reached; the end of the output:\n" + tail([]byte(out))
	}
	text, _, _ := strings.Cut(after, "\nSTEP ")
	return text
}

func tail(out []byte) string { return string(out[max(0, len(out)-4000):]) }

// clinic is Askara, and the handles by which a script in the system moves it.
type clinic struct {
	*http.ServeMux
	askara *sandbox.Server
	pause  atomic.Int64 // of each download
}

func newClinic() *clinic {
	c := &clinic{ServeMux: http.NewServeMux()}
	c.askara = sandbox.New(sandbox.Config{
		AutoApprove: true, DeviceInterval: time.Second, Burst: -1,
		OnDownload: func(string) { time.Sleep(time.Duration(c.pause.Load())) },
	})
	c.Handle("/", c.askara)
	c.HandleFunc("/clinic/add/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.askara.Add(n, sandbox.Document{})
	})
	c.HandleFunc("/clinic/pause/{duration}", func(w http.ResponseWriter, r *http.Request) {
		d, err := time.ParseDuration(r.PathValue("duration"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.pause.Store(int64(d))
	})
	c.HandleFunc("/clinic/documents", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, len(c.askara.Documents())) })
	c.HandleFunc("/clinic/unconfirmed", func(w http.ResponseWriter, _ *http.Request) {
		n := 0
		for _, d := range c.askara.Documents() {
			if !d.Confirmed() {
				n++
			}
		}
		fmt.Fprintln(w, n)
	})
	// What the daemon and the commands must never have done.
	c.HandleFunc("/clinic/sins", func(w http.ResponseWriter, _ *http.Request) {
		s := c.askara.Stats()
		fmt.Fprintln(w, s.Reuses+s.ForeignBearer+s.Outside+s.Early)
	})
	return c
}

// repack makes another version of a .deb, and perhaps other changes.
func repack(t *testing.T, deb, version string, change func(dir string)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deb")
	if out, err := exec.Command("dpkg-deb", "-R", deb, dir).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	control := filepath.Join(dir, "DEBIAN", "control")
	text := readFile(t, control)
	if !strings.Contains(text, "Version: 1.0.0\n") {
		t.Fatalf("not version 1.0.0:\n%s", text)
	}
	writeFile(t, control, strings.Replace(text, "Version: 1.0.0\n", "Version: "+version+"\n", 1), 0o644)
	if change != nil {
		change(dir)
	}
	file := filepath.Join(t.TempDir(), version+".deb")
	if out, err := exec.Command("dpkg-deb", "-b", "--root-owner-group", dir, file).CombinedOutput(); err != nil {
		t.Fatalf("pack: %v\n%s", err, out)
	}
	return file
}

// buildPackages runs the build for this machine's architecture.
func buildPackages(t *testing.T, out, version string) string {
	t.Helper()
	cmd := exec.Command("./build-packages", "--arch", runtime.GOARCH, "--version", version, out)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("build packages: %v\n%s", err, tail(said.Bytes()))
	}
	return out
}
