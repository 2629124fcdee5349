package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"askara-sync/askara"
)

// ErrNoDaemon says that no daemon runs on the state directory: there is no socket, or it is a dead daemon's.
var ErrNoDaemon = errors.New("no daemon is running")

// ControlClient is a connection to a running daemon, good for one request.
type ControlClient struct {
	conn net.Conn
}

// DialControl connects to the daemon of a state directory; ErrNoDaemon where none runs.
func DialControl(ctx context.Context, stateDir string) (*ControlClient, error) {
	address, release, err := controlAddress(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoDaemon
	}
	if err != nil {
		return nil, fmt.Errorf("reach the daemon: %w", err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, controlPatience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", address)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNoDaemon
	case errors.Is(err, fs.ErrPermission):
		return nil, &UsageError{Problem: "the running daemon may not be asked by this user", Remedy: "run it with sudo"}
	case err != nil:
		return nil, fmt.Errorf("reach the daemon: %w", err)
	}
	return &ControlClient{conn: conn}, nil
}

// Close ends the connection; what the daemon has begun goes on.
func (c *ControlClient) Close() error { return c.conn.Close() }

// Do sends the request and blocks until the daemon is done with it or ctx ends. watch is told of every event before the last.
// An error of the daemon is a *RemoteError.
func (c *ControlClient) Do(ctx context.Context, q ControlRequest, watch func(ControlEvent)) error {
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	q.Version = Version()
	line, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	if len(line) >= maxControlLine {
		return &UsageError{Problem: "too many documents for one request", Remedy: "name fewer at a time"}
	}
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return c.failure(ctx, err)
	}
	in := bufio.NewReader(c.conn)
	for {
		var e ControlEvent
		if err := readLine(in, &e); err != nil {
			return c.failure(ctx, err)
		}
		switch e.Kind {
		case ControlDone:
			return nil
		case ControlFailed:
			return remoteError(e)
		default:
			watch(e)
		}
	}
}

// failure explains an end of the connection before the last event.
func (c *ControlClient) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &brokenError{err: err}
}

// brokenError is a daemon that went away while it was asked, as at a restart.
type brokenError struct{ err error }

func (e *brokenError) Error() string {
	return "the daemon went away before it was done: " + e.err.Error()
}
func (e *brokenError) Unwrap() error       { return e.err }
func (e *brokenError) Fault() askara.Fault { return askara.FaultService }
func (e *brokenError) Hint() string {
	return "what it had begun goes on when it runs again; see: systemctl status askara-sync"
}
