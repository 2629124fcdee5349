package sink

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"askara-sync/askara"
)

// magic is what every PDF begins with. A login page or a proxy's page that came with status 200 does not.
const magic = "%PDF-"

// bufferSize is how much of a document is in memory at a time.
const bufferSize = 128 << 10

// buffers are reused among downloads; a document is never in memory as a whole.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// receive copies body to its end into dst and checks it: that it begins as a PDF, is no larger than max bytes (0: no limit) and
// exactly as long as announced (size, -1 where unknown). It returns the length and the checksum of what it has read.
//
// Errors of dst are FaultDestination where they have no Fault of their own, too large is FaultPermanent, any other bad content
// is FaultDocument. An error of body keeps its own Fault and is a FaultService where it has none. After an error dst may hold a
// part.
func receive(ctx context.Context, dst io.Writer, body io.Reader, size, max int64) (int64, askara.Checksum, error) {
	var none askara.Checksum
	if max > 0 && size > max {
		return 0, none, tooLarge(max)
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)

	// The first read is filled as far as the magic, so that nothing else is ever written anywhere.
	n, err := io.ReadAtLeast(body, buf[:], len(magic))
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, none, unread(err)
	}
	if n < len(magic) || string(buf[:len(magic)]) != magic {
		if err == io.ErrUnexpectedEOF && size >= 0 && int64(n) < size {
			return 0, none, wrongLength(int64(n), size)
		}
		return 0, none, &Error{Op: "check document", Kind: askara.FaultDocument, Err: errors.New("it is not a PDF")}
	}

	sum := sha256.New()
	var total int64
	for {
		total += int64(n)
		switch {
		case max > 0 && total > max:
			return total, none, tooLarge(max)
		case size >= 0 && total > size:
			return total, none, wrongLength(total, size)
		}
		sum.Write(buf[:n])
		if w, werr := dst.Write(buf[:n]); werr != nil {
			return total, none, failure("write document", "", werr)
		} else if w < n {
			return total, none, failure("write document", "", io.ErrShortWrite)
		}
		if err == io.EOF {
			break
		}
		if cerr := ctx.Err(); cerr != nil {
			return total, none, fmt.Errorf("read document: %w", cerr)
		}
		if n, err = body.Read(buf[:]); err != nil && err != io.EOF {
			return total, none, unread(err)
		}
	}
	if size >= 0 && total != size {
		return total, none, wrongLength(total, size)
	}
	return total, askara.Checksum(sum.Sum(nil)), nil
}

func tooLarge(max int64) error {
	return &Error{
		Op: "check document", Kind: askara.FaultPermanent, Err: fmt.Errorf("it is larger than %d bytes", max),
		hint: "raise limits.max_document_size, then: askara-sync retry UUID",
	}
}

func wrongLength(got, want int64) error {
	if got > want {
		return &Error{Op: "check document", Kind: askara.FaultDocument, Err: fmt.Errorf("it is longer than the announced %d bytes", want)}
	}
	return &Error{Op: "check document", Kind: askara.FaultDocument, Err: fmt.Errorf("it ended after %d of %d bytes", got, want)}
}

// unread wraps an error of a document's body.
func unread(err error) error {
	if askara.FaultOf(err) != askara.FaultUnexpected || errors.Is(err, context.Canceled) {
		return fmt.Errorf("read document: %w", err)
	}
	return &Error{Op: "read document", Kind: askara.FaultService, Err: err}
}
