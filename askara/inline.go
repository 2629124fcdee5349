package askara

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
)

// inline looks, byte by byte, through a JSON answer that came in the place of a PDF, for the PDF in base64 or for a link to it.
// The answer is never held as a whole: a PDF of 100 MiB would take 400.
type inline struct {
	r        *bufio.Reader
	contract *Contract
	link     string
}

var (
	errNotJSON = errors.New("the answer is not JSON")
	errTooDeep = errors.New("the answer is nested too deeply")
)

const (
	// pdfBase64 begins the base64 of every PDF: "%PDF-".
	pdfBase64 = "JVBERi"
	// maxPrefix bounds what may stand before it: data:application/pdf;name=…;base64,
	maxPrefix = 512
	// maxDepth bounds the nesting.
	maxDepth = 64
	// inlineBuffer holds a prefix, and makes reads from the connection large.
	inlineBuffer = 32 << 10
)

// find returns a reader of the PDF where the answer holds one. Otherwise it returns nil, and link is set where there was one. A
// PDF is preferred, since it costs no second request.
func (in *inline) find() (io.Reader, error) {
	return in.value("", 0)
}

// value looks at the value that comes next, whose path is joined by dots.
func (in *inline) value(path string, depth int) (io.Reader, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	b, err := in.next()
	if err != nil {
		return nil, err
	}
	switch b {
	case '{':
		return in.object(path, depth)
	case '[':
		return in.array(depth)
	case '"':
		return in.text(path)
	}
	if !strings.ContainsRune("-0123456789tfn", rune(b)) {
		return nil, errNotJSON
	}
	for { // a number, true, false or null
		if b, err = in.r.ReadByte(); err != nil {
			if depth == 0 && err == io.EOF {
				return nil, nil
			}
			return nil, cut(err)
		}
		if b == ',' || b == '}' || b == ']' || isSpace(b) {
			return nil, in.r.UnreadByte()
		}
	}
}

func (in *inline) object(path string, depth int) (io.Reader, error) {
	for {
		b, err := in.next()
		switch {
		case err != nil:
			return nil, err
		case b == '}':
			return nil, nil
		case b == ',':
			continue
		case b != '"':
			return nil, errNotJSON
		}
		key, err := in.short()
		if err != nil {
			return nil, err
		}
		if b, err = in.next(); err != nil || b != ':' {
			return nil, errors.Join(err, errNotJSON)
		}
		if path != "" {
			key = path + "." + key
		}
		if found, err := in.value(key, depth+1); found != nil || err != nil {
			return found, err
		}
	}
}

// array passes over an array: none of the names that are looked for is inside one.
func (in *inline) array(depth int) (io.Reader, error) {
	for {
		b, err := in.next()
		switch {
		case err != nil:
			return nil, err
		case b == ']':
			return nil, nil
		case b == ',':
			continue
		}
		if err := in.r.UnreadByte(); err != nil {
			return nil, err
		}
		if found, err := in.value("[]", depth+1); found != nil || err != nil {
			return found, err
		}
	}
}

// text looks at a string whose first quote is read. The whole answer may be one, too.
func (in *inline) text(path string) (io.Reader, error) {
	content := path == "" || slices.Contains(in.contract.ContentFields, path)
	link := path == "" || slices.Contains(in.contract.LinkFields, path)
	if !content && !link {
		return nil, in.skip()
	}
	if n := in.prefix(); n >= 0 {
		if _, err := in.r.Discard(n); err != nil {
			return nil, cut(err)
		}
		return base64.NewDecoder(base64.RawStdEncoding, &characters{r: in.r}), nil
	}
	text, err := in.short()
	if err != nil {
		return nil, err
	}
	absolute := strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")
	if in.link == "" && text != "" && (absolute || link && path != "") {
		in.link = text
	}
	return nil, nil
}

// prefix returns how many bytes stand before the base64 of a PDF in the string that begins here: none, or a data URL's beginning.
// It is -1 where there is no PDF.
func (in *inline) prefix() int {
	peeked, _ := in.r.Peek(maxPrefix)
	head := string(peeked)
	n := 0
	if strings.HasPrefix(head, "data:") {
		comma := strings.IndexByte(head, ',')
		if comma < 0 || !strings.HasSuffix(head[:comma], ";base64") {
			return -1
		}
		n = comma + 1
	}
	if !strings.HasPrefix(head[n:], pdfBase64) {
		return -1
	}
	return n
}

// next returns the next byte that is no space.
func (in *inline) next() (byte, error) {
	for {
		b, err := in.r.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		if !isSpace(b) {
			return b, nil
		}
	}
}

// short returns the string whose first quote is read, "" where it is longer than any link.
func (in *inline) short() (string, error) {
	raw := []byte{'"'}
	for escaped := false; ; {
		b, err := in.r.ReadByte()
		if err != nil {
			return "", cut(err)
		}
		if len(raw) <= maxLink {
			raw = append(raw, b)
		}
		switch {
		case escaped:
			escaped = false
		case b == '\\':
			escaped = true
		case b == '"':
			if len(raw) > maxLink {
				return "", nil
			}
			text, ok := unquote(raw)
			if !ok {
				return "", errNotJSON
			}
			return text, nil
		}
	}
}

// skip passes over the string whose first quote is read.
func (in *inline) skip() error {
	for {
		part, err := in.r.ReadSlice('"')
		if err != nil && err != bufio.ErrBufferFull {
			return cut(err)
		}
		// A quote ends the string unless an odd number of backslashes stands before it. Where the buffer ended between them, the
		// rest decides.
		backslashes := 0
		for i := len(part) - 1 - len(`"`); i >= 0 && part[i] == '\\'; i-- {
			backslashes++
		}
		if err == nil && backslashes%2 == 0 {
			return nil
		}
		if err == bufio.ErrBufferFull && in.skipEscapes(part) != nil {
			return cut(io.ErrUnexpectedEOF)
		}
	}
}

// skipEscapes reads the byte that a backslash at the end of part escapes.
func (in *inline) skipEscapes(part []byte) error {
	backslashes := 0
	for i := len(part) - 1; i >= 0 && part[i] == '\\'; i-- {
		backslashes++
	}
	if backslashes%2 == 0 {
		return nil
	}
	_, err := in.r.ReadByte()
	return err
}

// cut turns an end in the middle into an error: JSON says itself where it ends.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
