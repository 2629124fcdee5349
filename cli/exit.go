package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"askara-sync/askara"
)

// The exit codes are an interface: the unit, scripts and people depend on them.
const (
	ExitDone          = 0
	ExitUnexpected    = 1
	ExitUnfinished    = 75 // will succeed later: Askara down, budget spent, disk full, some documents failed, interrupted
	ExitLogin         = 77 // a person must log in
	ExitConfiguration = 78 // a setting or the command line is wrong; systemd does not restart on it
)

// exitCode sorts the error that a verb ended with.
func exitCode(err error) int {
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, context.Canceled) && askara.FaultOf(err) == askara.FaultUnexpected:
		return ExitUnfinished // Ctrl-C: what is in the ledger goes on with the next pass
	}
	switch askara.FaultOf(err) {
	case askara.FaultLogin:
		return ExitLogin
	case askara.FaultConfiguration:
		return ExitConfiguration
	case askara.FaultService, askara.FaultLimited, askara.FaultNotReady, askara.FaultDocument, askara.FaultPermanent,
		askara.FaultDestination:
		return ExitUnfinished
	default:
		return ExitUnexpected
	}
}

// printError writes an error and its hint for a person; journal says that w is systemd's journal.
func printError(w io.Writer, err error, journal bool) {
	lines := strings.Split("askara-sync: "+err.Error(), "\n")
	if hint := askara.HintOf(err); hint != "" {
		lines = append(lines, "hint: "+hint)
	}
	for _, line := range lines {
		if journal {
			line = journalPriority(slog.LevelError) + line
		}
		fmt.Fprintln(w, line)
	}
}

// UsageError is a command line that makes no sense.
type UsageError struct {
	Problem string
	Remedy  string // "" points at --help
}

// Error says what is wrong with the command line.
func (e *UsageError) Error() string { return e.Problem }

// Fault says that starting it again in the same way will not help.
func (e *UsageError) Fault() askara.Fault { return askara.FaultConfiguration }

// Hint says what to type instead.
func (e *UsageError) Hint() string {
	if e.Remedy == "" {
		return "askara-sync --help"
	}
	return e.Remedy
}
