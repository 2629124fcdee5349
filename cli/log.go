package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// parseLevel reads log_level.
func parseLevel(s string) (slog.Level, error) {
	switch s {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, errors.New("must be one of debug, info, warn, error")
}

// newLogger writes one line a record: time, level, message, then key=value pairs. For the journal, which has times and levels of
// its own, a line begins with systemd's <N> instead. A record is one Write.
func newLogger(w io.Writer, level slog.Leveler, journal bool) *slog.Logger {
	h := &logHandler{level: level, journal: journal, out: &logOutput{w: w}}
	h.attrs = slog.NewTextHandler(&h.out.buf, &slog.HandlerOptions{Level: slog.LevelDebug - 8, ReplaceAttr: dropBuiltin})
	return slog.New(h)
}

// logHandler writes message and prefix itself, and has slog's own text handler write the pairs.
type logHandler struct {
	level   slog.Leveler
	journal bool
	out     *logOutput
	attrs   slog.Handler
}

// logOutput is shared by a handler and those made from it.
type logOutput struct {
	mu  sync.Mutex
	buf bytes.Buffer
	w   io.Writer
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	buf := &h.out.buf
	buf.Reset()
	if h.journal {
		buf.WriteString(journalPriority(r.Level))
	} else {
		fmt.Fprintf(buf, "%s %-5s ", r.Time.Format(time.RFC3339), r.Level)
	}
	buf.WriteString(r.Message)
	buf.WriteByte(' ')
	r.Time = time.Time{} // the text handler leaves a zero time out
	if err := h.attrs.Handle(ctx, r); err != nil {
		return err
	}
	line := append(bytes.TrimRight(buf.Bytes(), " \n"), '\n')
	_, err := h.out.w.Write(line)
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	copied := *h
	copied.attrs = h.attrs.WithAttrs(attrs)
	return &copied
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	copied := *h
	copied.attrs = h.attrs.WithGroup(name)
	return &copied
}

// dropBuiltin leaves out level and message, which the line begins with.
func dropBuiltin(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

// journalPriority is the prefix by which systemd tells how grave a line is.
func journalPriority(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "<3>"
	case l >= slog.LevelWarn:
		return "<4>"
	case l >= slog.LevelInfo:
		return "<6>"
	default:
		return "<7>"
	}
}

// isJournal says that w is the stream that systemd has connected to its journal, whose device and inode it gives in
// JOURNAL_STREAM; a child whose output goes elsewhere inherits the variable, hence the comparison.
func isJournal(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(*os.File)
	if !ok || getenv("JOURNAL_STREAM") == "" {
		return false
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &stat); err != nil {
		return false
	}
	return getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
