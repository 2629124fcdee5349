package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/mdp/qrterminal/v3"

	"askara-sync/askara"
)

// showDevice tells the person where to go and what to type.
func (f *loginFlow) showDevice(g askara.DeviceGrant) {
	fmt.Fprintf(f.Screen, "To log in to account %s, open this page in any browser, on any device:\n\n    %s\n\n", f.Account, g.VerificationURI)
	fmt.Fprintf(f.Screen, "and enter this code:\n\n    %s\n\n", grouped(g.UserCode))
	link := g.VerificationURIComplete
	if link == "" {
		link = g.VerificationURI
	}
	if f.Terminal && drawQR(f.Screen, link) {
		fmt.Fprintf(f.Screen, "\nOr scan this with a telephone, and compare the code.\n\n")
	}
}

// grouped splits a code of eight characters in two for reading. Askara takes it with the dash or without.
func grouped(code string) string {
	if len(code) == 8 && !strings.ContainsAny(code, "- ") {
		return code[:4] + "-" + code[4:]
	}
	return code
}

// maxQR bounds what is drawn: beyond it the code is wider than a terminal's 80 columns.
const maxQR = 300

// drawQR draws link as a QR code for a dark terminal, two rows of modules a line. It draws nothing where it would not fit.
func drawQR(w io.Writer, link string) bool {
	if len(link) > maxQR {
		return false
	}
	qrterminal.GenerateWithConfig(link, qrterminal.Config{
		Level: qrterminal.L, Writer: w, HalfBlocks: true, QuietZone: 2,
		BlackChar: qrterminal.BLACK_BLACK, WhiteChar: qrterminal.WHITE_WHITE,
		BlackWhiteChar: qrterminal.BLACK_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK,
	})
	return true
}

// maxLine bounds a line that somebody enters: a pasted address is the longest.
const maxLine = 16 << 10

// readLines passes on the lines of r until it ends, until a line is too long, or until nobody listens. A read in flight cannot
// be ended: the goroutine then stays until r or the process ends.
func readLines(ctx context.Context, r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// input returns the lines of In; reading begins with the first call.
func (f *loginFlow) input(ctx context.Context) <-chan string {
	if f.lines == nil {
		f.lines = readLines(ctx, f.In)
	}
	return f.lines
}

// line waits for one line.
func (f *loginFlow) line(ctx context.Context) (string, error) {
	select {
	case line, ok := <-f.input(ctx):
		if !ok {
			return "", &askara.NoLoginError{Reason: "nothing was entered; the login stays as it was"}
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
