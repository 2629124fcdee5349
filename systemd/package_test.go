package systemd_test

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// maxBinary is the size in bytes that the program may have.
const maxBinary = 25_000_000

func TestPackage(t *testing.T) {
	if os.Getenv("ASKARA_SYNC_PROOFS") == "" {
		t.Skip("slow: set ASKARA_SYNC_PROOFS=1")
	}
	dir := t.TempDir()
	out := buildPackages(t, filepath.Join(dir, "here"), "1.0.0")
	deb := filepath.Join(out, "askara-sync_1.0.0_"+runtime.GOARCH+".deb")

	t.Run("contents", func(t *testing.T) { checkContents(t, deb) })
	root := filepath.Join(dir, "root")
	if said, err := exec.Command("dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, said)
	}
	program := filepath.Join(root, "usr/bin/askara-sync")
	t.Run("program", func(t *testing.T) { checkProgram(t, program) })
	t.Run("bill of materials", func(t *testing.T) {
		checkSBOM(t, filepath.Join(root, "usr/share/doc/askara-sync/sbom.spdx.json"), program)
	})
	t.Run("sums", func(t *testing.T) { checkSums(t, out) })
	t.Run("again elsewhere", func(t *testing.T) { checkReproducible(t, out, filepath.Join(dir, "there")) })
}

func checkContents(t *testing.T, deb string) {
	said, err := exec.Command("dpkg-deb", "-c", deb).CombinedOutput()
	if err != nil {
		t.Fatalf("list: %v\n%s", err, said)
	}
	modes := map[string]string{}
	for line := range strings.Lines(string(said)) {
		fields := strings.Fields(line)
		modes[strings.TrimPrefix(fields[5], ".")] = fields[0]
		if fields[1] != "root/root" || fields[0][8] == 'w' || fields[0][5] == 'w' || strings.HasSuffix(fields[5], "/") && fields[0] != "drwxr-xr-x" {
			t.Errorf("owner or mode: %s", line)
		}
	}
	for _, file := range []string{
		"/etc/askara-sync/config.toml", "/usr/lib/systemd/system/askara-sync.service", "/usr/lib/sysusers.d/askara-sync.conf",
		"/usr/lib/tmpfiles.d/askara-sync.conf", "/usr/share/doc/askara-sync/config.example.toml", "/usr/share/doc/askara-sync/sbom.spdx.json",
		"/usr/share/man/man1/askara-sync.1.gz", "/usr/share/man/man1/askara-sync-status.1.gz", "/usr/share/man/man1/askara-sync-login.1.gz",
		"/usr/share/bash-completion/completions/askara-sync", "/usr/share/fish/vendor_completions.d/askara-sync.fish",
		"/usr/share/zsh/vendor-completions/_askara-sync",
	} {
		if modes[file] != "-rw-r--r--" {
			t.Errorf("%s has mode %q, want -rw-r--r--", file, modes[file])
		}
	}
	if modes["/usr/bin/askara-sync"] != "-rwxr-xr-x" {
		t.Errorf("the program has mode %q", modes["/usr/bin/askara-sync"])
	}
	conffiles, err := exec.Command("dpkg-deb", "-I", deb, "conffiles").Output()
	if err != nil || strings.TrimSpace(string(conffiles)) != "/etc/askara-sync/config.toml" {
		t.Errorf("conffiles: got %q, %v", conffiles, err)
	}
	preinst, err := exec.Command("dpkg-deb", "-I", deb, "preinst").Output()
	if err != nil || bytes.Contains(preinst, []byte("@SCHEMA@")) || !bytes.Contains(preinst, []byte("readable=")) {
		t.Errorf("the schema was not filled in: %v\n%s", err, preinst)
	}
}

func checkProgram(t *testing.T, program string) {
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %d bytes", info.Size())
	if info.Size() > maxBinary {
		t.Errorf("the program has %d bytes, more than %d", info.Size(), maxBinary)
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program is not static")
		}
	}
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Error("the program is not stripped")
	}
	said, err := exec.Command(program, "version").Output()
	if err != nil || !strings.HasPrefix(string(said), "askara-sync 1.0.0 ") {
		t.Errorf("version: got %q, %v", said, err)
	}
}

// checkSBOM compares the bill of materials with what the toolchain wrote into the program.
func checkSBOM(t *testing.T, file, program string) {
	var sbom struct {
		Version       string `json:"spdxVersion"`
		Relationships []struct {
			Related string `json:"relatedSpdxElement"`
		} `json:"relationships"`
		Packages []struct {
			ID         string `json:"SPDXID"`
			References []struct {
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
	}
	if err := json.Unmarshal([]byte(readFile(t, file)), &sbom); err != nil || sbom.Version != "SPDX-2.3" {
		t.Fatalf("got version %q, %v", sbom.Version, err)
	}
	var listed, ids []string
	for _, p := range sbom.Packages {
		listed = append(listed, p.References[0].Locator)
		if slices.Contains(ids, p.ID) {
			t.Errorf("%s stands for two packages", p.ID)
		}
		ids = append(ids, p.ID)
	}
	for _, r := range sbom.Relationships {
		if !slices.Contains(ids, r.Related) {
			t.Errorf("a relationship to %s, which is not there", r.Related)
		}
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil || len(info.Deps) < 10 {
		t.Fatalf("the program names %d modules, %v", len(info.Deps), err)
	}
	for _, m := range info.Deps {
		if want := fmt.Sprintf("pkg:golang/%s@%s", m.Path, m.Version); !slices.Contains(listed, want) {
			t.Errorf("the bill lacks %s", want)
		}
	}
	if len(listed) != len(info.Deps)+2 { // itself and the standard library
		t.Errorf("the bill lists %d packages, the program %d modules", len(listed), len(info.Deps))
	}
}

func checkSums(t *testing.T, out string) {
	lines := strings.Split(strings.TrimSpace(readFile(t, filepath.Join(out, "SHA256SUMS"))), "\n")
	files, err := os.ReadDir(out)
	if err != nil || len(files) != len(lines)+1 || len(lines) != 3 {
		t.Errorf("%d sums of %d files, %v; want a .deb, an .rpm and a bill", len(lines), len(files)-1, err)
	}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		want := sha256.Sum256([]byte(readFile(t, filepath.Join(out, name))))
		if sum != hex.EncodeToString(want[:]) {
			t.Errorf("the sum of %s is wrong", name)
		}
	}
}

// checkReproducible builds the same commit in another place, in another time zone and with another umask. The tree here must have
// nothing that the commit has not.
func checkReproducible(t *testing.T, first, dir string) {
	if changed, err := exec.Command("git", "status", "--porcelain", "--", "..").Output(); err != nil || len(changed) > 0 {
		t.Skipf("only of a commit: the tree has changes (%v)\n%s", err, changed)
	}
	if said, err := exec.Command("git", "clone", "-q", "..", dir).CombinedOutput(); err != nil {
		t.Fatalf("clone: %v\n%s", err, said)
	}
	second := filepath.Join(dir, "out")
	cmd := exec.Command("sh", "-c", "umask 077 && exec systemd/build-packages --arch $1 --version 1.0.0 $2", "sh", runtime.GOARCH, second)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, tail(said))
	}
	if a, b := readFile(t, filepath.Join(first, "SHA256SUMS")), readFile(t, filepath.Join(second, "SHA256SUMS")); a != b {
		t.Errorf("two builds of a commit differ:\n%s\n%s", a, b)
	}
}
