package askara

import (
	"bufio"
	"io"
	"unicode/utf8"
)

// characters reads the base64 in a JSON string to its closing quote, in the standard alphabet, without padding, space and escapes.
type characters struct {
	r    *bufio.Reader
	done bool
}

// Read implements io.Reader.
func (c *characters) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && !c.done {
		n += c.plain(p[n:])
		if n == len(p) || n > 0 && c.r.Buffered() == 0 {
			return n, nil // what is here already, before waiting for more
		}
		b, err := c.r.ReadByte()
		if err != nil {
			return n, cut(err)
		}
		switch b {
		case '"':
			c.done = true
			continue
		case '\\':
			if b, err = c.escaped(); err != nil {
				return n, err
			}
		}
		switch b {
		case '=', ' ', '\n', '\r', '\t':
			continue
		case '-':
			b = '+'
		case '_':
			b = '/'
		}
		p[n] = b
		n++
	}
	if n == 0 && c.done {
		return 0, io.EOF
	}
	return n, nil
}

// plain copies what is buffered up to the first character that is no letter or digit of the standard alphabet.
func (c *characters) plain(p []byte) int {
	buffered, err := c.r.Peek(min(c.r.Buffered(), len(p)))
	if err != nil { // what is buffered can be had
		return 0
	}
	n := 0
	for n < len(buffered) && isBase64(buffered[n]) {
		n++
	}
	copy(p, buffered[:n])
	if _, err := c.r.Discard(n); err != nil {
		return 0
	}
	return n
}

func isBase64(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '+' || b == '/'
}

// escaped returns the byte that an escape stands for.
func (c *characters) escaped() (byte, error) {
	b, err := c.r.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	switch b {
	case 'n', 'r', 't':
		return ' ', nil
	case 'u':
		var digits [4]byte
		if _, err := io.ReadFull(c.r, digits[:]); err != nil {
			return 0, cut(err)
		}
		text, ok := unquote([]byte(`"\u` + string(digits[:]) + `"`))
		if r, size := utf8.DecodeRuneInString(text); !ok || size != len(text) || r >= utf8.RuneSelf {
			return 0xff, nil // no base64: the decoder says so
		}
		return text[0], nil
	}
	return b, nil
}
