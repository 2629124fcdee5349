package cli_test

import (
	"runtime"
	"testing"

	"askara-sync/cli"
)

func TestUseProcessors(t *testing.T) {
	was := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(was)
	for _, tt := range []struct {
		set      string
		now, has int
	}{{"", 1, 4}, {"", 2, 4}, {"", 6, 6}, {"2", 2, 2}} {
		runtime.GOMAXPROCS(tt.now)
		cli.UseProcessors(environ("GOMAXPROCS", tt.set))
		if got := runtime.GOMAXPROCS(0); got != tt.has {
			t.Errorf("GOMAXPROCS=%q with %d: got %d, want %d", tt.set, tt.now, got, tt.has)
		}
	}
}
