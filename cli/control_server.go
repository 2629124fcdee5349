package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"askara-sync/askara"
)

const (
	// controlPatience is how long a client may take to send its request, or to take an event: a command that was stopped with
	// Ctrl-Z must not hold up a pass.
	controlPatience = 5 * time.Second
	// maxControlClients are served at the same time; more have to come again.
	maxControlClients = 16
)

// ControlServer answers the commands that are run beside a daemon.
type ControlServer struct {
	// Handle does what is asked. It emits events as they come, from any goroutine; emit does not fail, since a client that has
	// gone away changes nothing. ctx ends when the client goes away or the server stops: work that must not depend on the client
	// does not hang on it. The returned error, or nil, becomes the last event.
	Handle func(ctx context.Context, q ControlRequest, emit func(ControlEvent)) error
	// Logger must not be nil.
	Logger *slog.Logger
}

// ListenControl opens the socket in the state directory. The caller holds the daemon lock, so that a socket that is there
// already is a dead daemon's and is removed. Closing the listener removes it.
func ListenControl(stateDir string) (net.Listener, error) {
	path := filepath.Join(stateDir, controlSocket)
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("open the control socket: %s is there and is no socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove a dead daemon's control socket: %w", err)
	}
	address, release, err := controlAddress(stateDir)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	defer release()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // its name may be gone by then; controlListener knows the real one
	// Until here the state directory's own mode keeps others out.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	return &controlListener{Listener: l, path: path}, nil
}

type controlListener struct {
	net.Listener
	path string
}

func (l *controlListener) Close() error {
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // whoever tidied up was quicker, which is no reason for a stop to fail
	}
	return errors.Join(err, l.Listener.Close())
}

// Serve answers clients until ctx ends, then closes l and waits for the handlers in flight. It returns an error only where the
// listener failed before.
func (s *ControlServer) Serve(ctx context.Context, l net.Listener) error {
	var clients sync.WaitGroup
	defer clients.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { closed <- l.Close() })
	seats := make(chan struct{}, maxControlClients)
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return <-closed
			}
			if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ECONNABORTED) {
				select { // passes; the daemon has better to do than to spin
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
				continue
			}
			if stop() {
				l.Close()
			}
			return fmt.Errorf("accept on the control socket: %w", err)
		}
		select {
		case seats <- struct{}{}:
			clients.Go(func() {
				defer func() { <-seats }()
				s.serve(ctx, conn)
			})
		default:
			conn.Close()
		}
	}
}

// serve answers one client.
func (s *ControlServer) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	if err := checkPeer(conn); err != nil {
		s.Logger.Warn("control request refused", "error", err)
		return
	}
	conn.SetDeadline(time.Now().Add(controlPatience))
	in := bufio.NewReader(conn)
	var q ControlRequest
	out := &eventWriter{conn: conn}
	if err := readLine(in, &q); err != nil {
		out.emit(ControlEvent{Kind: ControlFailed, Message: "not a request: " + err.Error(), ExitCode: ExitUnexpected, Version: Version()})
		return
	}
	conn.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := make(chan struct{})
	go func() { // a client says nothing more, so what ends this read is its going away, or our closing
		defer close(gone)
		in.ReadByte()
		cancel()
	}()
	s.Logger.Debug("control request", "verb", q.Verb, "account", q.Account)
	last := ControlEvent{Kind: ControlDone, Version: Version()}
	if err := s.Handle(ctx, q, out.emit); err != nil {
		last = ControlEvent{
			Kind: ControlFailed, Message: err.Error(), Hint: askara.HintOf(err), ExitCode: exitCode(err), Version: Version(),
		}
	}
	out.emit(last)
	conn.Close()
	<-gone
}

// eventWriter sends events to one client until that fails once.
type eventWriter struct {
	mu   sync.Mutex
	conn net.Conn
	gone bool
}

func (w *eventWriter) emit(e ControlEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		w.conn.SetWriteDeadline(time.Now().Add(controlPatience))
		_, err = w.conn.Write(append(line, '\n'))
	}
	w.gone = err != nil
}

// checkPeer lets in the daemon's own user and root. The file's mode does so too; this holds also where somebody has changed it.
func checkPeer(conn net.Conn) error {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if credErr != nil {
		return fmt.Errorf("look who asks: %w", credErr)
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("user %d may not ask", cred.Uid)
	}
	return nil
}
