package proof_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	_ "askara-sync/cli" // what the program is made of, so that a result of go test is not taken from the cache when it changes
)

var (
	killsFlag       = flag.Int("kills", 0, "SIGKILLs over undisturbed requests; 0: few, or 1000 in the long version")
	faultKillsFlag  = flag.Int("faultkills", 0, "SIGKILLs for each fault of the sandbox; 0: few, or 60 in the long version")
	dbKillsFlag     = flag.Int("dbkills", 0, "SIGKILLs for each destination; 0: few, or 300 in the long version")
	serverKillsFlag = flag.Int("serverkills", 0, "SIGKILLs of each database server; 0: 50, and none in the short version")
	cutsFlag        = flag.Int("cuts", 0, "power cuts; 0: few, or 200 in the long version")
)

// long says whether the proofs have their full length.
func long() bool { return os.Getenv("ASKARA_SYNC_PROOFS") != "" }

// count is how often something is done: what the flag says, else by the version.
func count(flag, short, full int) int {
	switch {
	case flag > 0:
		return flag
	case long():
		return full
	}
	return short
}

var scratchDir string

func TestMain(m *testing.M) {
	flag.Parse()
	// Processes that wait for disk and network, and hardly for the processor.
	err := flag.Set("test.parallel", "9")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if scratchDir, err = os.MkdirTemp("", "askara-sync-proof-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratchDir)
	os.Exit(code)
}

// program builds the program once for all tests, as it is shipped, and returns its path.
var program = sync.OnceValues(func() (string, error) {
	if _, err := os.Stat("../../main.go"); err != nil { // looked at for the cache's sake as well
		return "", err
	}
	path := filepath.Join(scratchDir, "askara-sync")
	build := exec.Command("go", "build", "-o", path, "askara-sync")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})
