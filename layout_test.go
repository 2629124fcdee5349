package main_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// arrows says which of our packages each may import, tests apart. A package that is missing here is a mistake as well.
var arrows = map[string][]string{
	"":               {"cli"},
	"askara":         {},
	"askara/sandbox": {"askara"},
	"store":          {"askara"},
	"sink":           {"askara"},
	"sync":           {"askara"},
	"cli":            {"askara", "askara/sandbox", "store", "sink", "sync"},
}

// tools are programs and test helpers of the repository that are no part of the product: they may import anything of it, and
// nothing of it may import them.
var tools = []string{"bench", "internal/", "store/storetest", "systemd/"}

type goPackage struct {
	ImportPath string
	Dir        string
	Name       string
	Imports    []string
	GoFiles    []string
}

const module = "askara-sync"

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Imports,GoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < len(arrows) {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

func own(path string) (name string, ok bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func isTool(name string) bool {
	return slices.ContainsFunc(tools, func(t string) bool { return name == strings.TrimSuffix(t, "/") || strings.HasPrefix(name, t) })
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name, _ := own(p.ImportPath)
		if isTool(name) {
			continue
		}
		seen[name] = true
		allowed, known := arrows[name]
		if !known && len(p.GoFiles) > 0 {
			t.Errorf("package %q has no place in the layout", name)
			continue
		}
		for _, path := range p.Imports {
			if dep, ok := own(path); ok && !slices.Contains(allowed, dep) {
				t.Errorf("package %q must not import %q", name, dep)
			}
		}
	}
	for name := range arrows {
		if !seen[name] {
			t.Errorf("package %q is in the layout and does not exist", name)
		}
	}
}

// TestSyncIsOnlyOurs keeps our package sync and the standard one apart: a file that needs both is a design error, and only cli
// imports ours.
func TestSyncIsOnlyOurs(t *testing.T) {
	standard, err := exec.Command("go", "doc", "-short", "sync").Output()
	if err != nil {
		t.Fatalf("go doc: %v", err)
	}
	ours, err := exec.Command("go", "doc", "-short", "./sync").Output()
	if err != nil {
		t.Fatalf("go doc: %v", err)
	}
	names := func(doc []byte) []string {
		var names []string
		for line := range strings.Lines(string(doc)) {
			f := strings.FieldsFunc(strings.TrimSpace(line), func(r rune) bool { return strings.ContainsRune(" ([", r) })
			if len(f) > 1 && slices.Contains([]string{"func", "type", "var", "const"}, f[0]) {
				names = append(names, f[1])
			}
		}
		return names
	}
	std := names(standard)
	if !slices.Contains(std, "Mutex") {
		t.Fatalf("go doc sync shows no Mutex: %q", std)
	}
	for _, name := range names(ours) {
		if slices.Contains(std, name) {
			t.Errorf("sync.%s has the name of one in the standard library", name)
		}
	}
	for _, p := range packages(t) {
		name, _ := own(p.ImportPath)
		imports := slices.Contains(p.Imports, module+"/sync")
		if imports && name != "cli" && !isTool(name) {
			t.Errorf("package %q imports sync; only cli may", name)
		}
		if imports {
			for _, f := range p.GoFiles {
				checkFile(t, filepath.Join(p.Dir, f))
			}
		}
	}
}

func checkFile(t *testing.T, path string) {
	t.Helper()
	std, ours := false, false
	for _, line := range readLines(t, path) {
		line = strings.TrimSpace(line)
		std = std || line == `"sync"`
		ours = ours || line == `"`+module+`/sync"`
		if strings.HasSuffix(line, ` "`+module+`/sync"`) && !strings.HasPrefix(line, "//") {
			t.Errorf("%s renames package sync", path)
		}
	}
	if std && ours {
		t.Errorf("%s needs both packages named sync", path)
	}
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}
