package cli_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"askara-sync/askara"
	"askara-sync/cli"
)

func TestJournalLinesHavePrioritiesAndNoTime(t *testing.T) {
	var out bytes.Buffer
	level := &slog.LevelVar{}
	log := cli.NewLogger(&out, level, true)
	log.Debug("not yet")
	level.Set(slog.LevelDebug)
	log.Debug("request done", "status", 200)
	log.Info("pass done", "listed", 12, "msg_size", 3)
	log.With("account", "lyon").Warn("will be retried", "reason", "no route\nto host")
	log.WithGroup("disk").Error("disk full", "free", 0, "token", askara.Secret("hunter2"))
	log.Info("bare")
	want := `<7>request done status=200
<6>pass done listed=12 msg_size=3
<4>will be retried account=lyon reason="no route\nto host"
<3>disk full disk.free=0 disk.token=REDACTED
<6>bare
`
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", out.String(), want)
	}
}

func TestOtherLinesHaveTimeAndLevel(t *testing.T) {
	var out bytes.Buffer
	cli.NewLogger(&out, slog.LevelInfo, false).Warn("will be retried", "account", "lyon")
	if want := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* WARN  will be retried account=lyon\n$`); !want.MatchString(out.String()) {
		t.Errorf("got %q, want a match of %s", out.String(), want)
	}
}

// lines counts writes: two goroutines must not mix their lines.
type lines struct{ got []string }

func (l *lines) Write(p []byte) (int, error) {
	l.got = append(l.got, string(p))
	return len(p), nil
}

func TestOneRecordIsOneWrite(t *testing.T) {
	out := &lines{}
	log := cli.NewLogger(out, slog.LevelInfo, true)
	done := make(chan bool)
	for i := range 4 {
		go func() {
			for range 50 {
				log.With("worker", i).Info("document delivered", "size", i)
			}
			done <- true
		}()
	}
	for range 4 {
		<-done
	}
	if len(out.got) != 200 {
		t.Errorf("got %d writes, want 200", len(out.got))
	}
	for _, line := range out.got {
		if !regexp.MustCompile(`^<6>document delivered worker=(\d) size=\d\n$`).MatchString(line) {
			t.Fatalf("got %q", line)
		}
	}
}

func TestJournalIsRecognised(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	tests := []struct {
		stream string
		want   bool
	}{
		{fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), true},
		{fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1), false},
		{"", false},
		{"nonsense", false},
	}
	for _, test := range tests {
		if got := cli.IsJournal(file, environ("JOURNAL_STREAM", test.stream)); got != test.want {
			t.Errorf("%q: got %v, want %v", test.stream, got, test.want)
		}
	}
	if cli.IsJournal(&bytes.Buffer{}, environ("JOURNAL_STREAM", "1:2")) {
		t.Error("a buffer is no journal")
	}
}
