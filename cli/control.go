package cli

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"askara-sync/askara"
)

// A running daemon is asked over a socket in the state directory: one request, a line of JSON, then events, a line each, of which the last
// is done or failed. Daemon and command may be of different versions for a while, during an upgrade: unknown fields and kinds of events
// are ignored, and an unknown verb is refused with a word on why.

// controlSocket is the socket's name in the state directory.
const controlSocket = "control.sock"

// maxControlLine bounds a request and an event: 10,000 uuids or the status of many accounts fit.
const maxControlLine = 1 << 20

// Verbs of a ControlRequest.
const (
	ControlPass   = "pass"   // run a pass: Account, Since, Until
	ControlRetry  = "retry"  // try parked documents again: Account, UUIDs (none: all)
	ControlWake   = "wake"   // something has changed, such as a login: look now
	ControlReload = "reload" // read the configuration again
	ControlStatus = "status" // the daemon's own view: Result of the event
)

// ControlRequest asks the daemon for something.
type ControlRequest struct {
	Verb    string    `json:"verb"`
	Account string    `json:"account,omitempty"` // "" means all
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	UUIDs   []string  `json:"uuids,omitempty"`
	Version string    `json:"version,omitempty"` // of the command that asks
}

// Kinds of a ControlEvent.
const (
	ControlProgress = "progress" // how far the pass of Account has come
	ControlNote     = "note"     // Message is for the person who waits
	ControlResult   = "result"   // Result is the verb's result, one event for each account
	ControlDone     = "done"     // the end, and all is well
	ControlFailed   = "failed"   // the end: Message, Hint and ExitCode say how
)

// ControlEvent is what the daemon tells whoever asked. Which fields count depends on Kind.
type ControlEvent struct {
	Kind      string          `json:"kind"`
	Account   string          `json:"account,omitempty"`
	Listed    int             `json:"listed,omitempty"`
	Total     int             `json:"total,omitempty"`
	Delivered int             `json:"delivered,omitempty"`
	Failed    int             `json:"failed,omitempty"`
	Confirmed int             `json:"confirmed,omitempty"`
	Bytes     int64           `json:"bytes,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Message   string          `json:"message,omitempty"`
	Hint      string          `json:"hint,omitempty"`
	ExitCode  int             `json:"exit_code,omitempty"`
	Version   string          `json:"version,omitempty"` // of the daemon, in the last event
}

// unknownVerb is the daemon's answer to what it does not know.
func unknownVerb(q ControlRequest) error {
	return &UsageError{
		Problem: fmt.Sprintf("the running daemon (%s) does not know %s, which this command (%s) asks for", Version(), quote(q.Verb),
			cmp.Or(q.Version, "unknown version")),
		Remedy: "sudo systemctl restart askara-sync",
	}
}

// RemoteError is an error that the daemon met while it did what was asked.
type RemoteError struct {
	Message string
	hint    string
	exit    int
}

func remoteError(e ControlEvent) *RemoteError {
	return &RemoteError{Message: e.Message, hint: e.Hint, exit: e.ExitCode}
}

// Error is the daemon's error in its own words.
func (e *RemoteError) Error() string { return e.Message }

// Hint is the daemon's hint.
func (e *RemoteError) Hint() string { return e.hint }

// Fault is what gives the same exit code here as it would there.
func (e *RemoteError) Fault() askara.Fault {
	switch e.exit {
	case ExitLogin:
		return askara.FaultLogin
	case ExitConfiguration:
		return askara.FaultConfiguration
	case ExitUnfinished:
		return askara.FaultService
	default:
		return askara.FaultUnexpected
	}
}

// controlAddress returns the address of the state directory's socket. The kernel takes at most 107 bytes: where the path has more, the
// address goes by way of an open directory, which release closes.
func controlAddress(stateDir string) (address string, release func(), err error) {
	path := filepath.Join(stateDir, controlSocket)
	if len(path) < len(unix.RawSockaddrUnix{}.Path) {
		return path, func() {}, nil
	}
	dir, err := unix.Open(stateDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: stateDir, Err: err}
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir, controlSocket), func() { unix.Close(dir) }, nil
}

// readLine reads one line of JSON into v. Past the bound, and at an end in the middle of a line, it fails.
func readLine(r *bufio.Reader, v any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxControlLine {
			return fmt.Errorf("read a line: more than %s", Size(maxControlLine))
		}
		if err == nil {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("read a line: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
