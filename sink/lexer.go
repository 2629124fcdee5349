package sink

import (
	"errors"
	"strings"
)

// lexis says how a database reads the text of a statement, as far as finding :parameters in it needs to know.
type lexis struct {
	backtick       bool   // `name`
	bracket        bool   // [name]
	backslash      bool   // \' inside a string, and "…" is a string
	escapeString   bool   // E'\''
	dollar         bool   // $tag$ … $tag$
	nested         bool   // /* /* */ */
	hash           bool   // # comment
	spacedDash     bool   // -- is a comment only before white space
	forbidden      string // bytes by which the database would take bound values of its own
	forbiddenDigit byte   // the same, where a digit follows
}

type token struct {
	kind tokenKind
	text string
}

type tokenKind int

const (
	spaceToken  tokenKind = iota // white space and comments
	wordToken                    // keywords, names, numbers
	nameToken                    // a quoted name
	stringToken                  // a literal
	paramToken                   // :name
	otherToken                   // one byte, or ::
)

// maxStatement bounds what is read of a statement; a real one is a tenth of it at most.
const maxStatement = 64 << 10

// tokens splits a statement. The texts of the tokens, joined, are the statement.
func tokens(s string, lx lexis) ([]token, error) {
	if len(s) > maxStatement {
		return nil, errors.New("the statement is longer than 64 KiB")
	}
	if strings.ContainsRune(s, 0) {
		return nil, errors.New("the statement contains a NUL character")
	}
	var out []token
	for len(s) > 0 {
		kind, n, err := lx.next(s)
		if err != nil {
			return nil, err
		}
		out = append(out, token{kind, s[:n]})
		s = s[n:]
	}
	return out, nil
}

// next returns the kind and the length of the first token of s, which is not empty.
func (lx lexis) next(s string) (tokenKind, int, error) {
	c := s[0]
	switch {
	case isSpace(c):
		n := 1
		for n < len(s) && isSpace(s[n]) {
			n++
		}
		return spaceToken, n, nil
	case strings.HasPrefix(s, "--") && (!lx.spacedDash || len(s) == 2 || isSpace(s[2])), c == '#' && lx.hash:
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return spaceToken, i + 1, nil
		}
		return spaceToken, len(s), nil
	case strings.HasPrefix(s, "/*"):
		return lx.comment(s)
	case c == '\'':
		return lx.quoted(s, stringToken, 0, lx.backslash)
	case (c == 'E' || c == 'e') && lx.escapeString && len(s) > 1 && s[1] == '\'':
		return lx.quoted(s, stringToken, 1, true)
	case c == '"' && lx.backslash:
		return lx.quoted(s, stringToken, 0, true)
	case c == '"', c == '`' && lx.backtick:
		return lx.quoted(s, nameToken, 0, false)
	case c == '[' && lx.bracket:
		if i := strings.IndexByte(s, ']'); i >= 0 {
			return nameToken, i + 1, nil
		}
		return 0, 0, errors.New("a [ is never closed")
	case c == '$' && lx.dollar:
		if n := dollarQuote(s); n != 0 {
			if n < 0 {
				return 0, 0, errors.New("a $$ quote is never closed")
			}
			return stringToken, n, nil
		}
	case c == ':':
		return lx.colon(s)
	case isWord(c):
		n := 1
		for n < len(s) && (isWord(s[n]) || s[n] == '$' && lx.dollar) {
			n++
		}
		return wordToken, n, nil
	}
	if strings.IndexByte(lx.forbidden, c) >= 0 || c == lx.forbiddenDigit && c != 0 && len(s) > 1 && isDigit(s[1]) {
		return 0, 0, errors.New("the statement has a placeholder " + string(c) + "; write :uuid and so on instead")
	}
	return otherToken, 1, nil
}

// colon reads a parameter, a cast or an assignment.
func (lx lexis) colon(s string) (tokenKind, int, error) {
	if len(s) > 1 && (s[1] == ':' || s[1] == '=') {
		return otherToken, 2, nil
	}
	n := 1
	for n < len(s) && isWord(s[n]) && (n > 1 || !isDigit(s[n])) {
		n++
	}
	if n == 1 {
		return otherToken, 1, nil
	}
	return paramToken, n, nil
}

// quoted reads what stands between two of the same quotes, the first of which is at s[from]. A doubled quote is part of it.
func (lx lexis) quoted(s string, kind tokenKind, from int, backslash bool) (tokenKind, int, error) {
	q := s[from]
	for i := from + 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && backslash:
			i++
		case s[i] == q && i+1 < len(s) && s[i+1] == q:
			i++
		case s[i] == q:
			return kind, i + 1, nil
		}
	}
	return 0, 0, errors.New("a quote " + string(q) + " is never closed")
}

func (lx lexis) comment(s string) (tokenKind, int, error) {
	if lx.hash && (strings.HasPrefix(s, "/*!") || strings.HasPrefix(s, "/*M!")) {
		return 0, 0, errors.New("a comment that the server executes (/*! … */) is not allowed")
	}
	depth := 1
	for i := 2; i+1 < len(s); {
		switch {
		case s[i] == '*' && s[i+1] == '/':
			if depth--; depth == 0 {
				return spaceToken, i + 2, nil
			}
			i += 2
		case lx.nested && s[i] == '/' && s[i+1] == '*':
			depth++
			i += 2
		default:
			i++
		}
	}
	return 0, 0, errors.New("a comment /* is never closed")
}

// dollarQuote returns the length of a $tag$…$tag$ literal at the start of s, 0 where there is none, -1 where it has no end.
func dollarQuote(s string) int {
	n := 1
	for n < len(s) && isWord(s[n]) && (n > 1 || !isDigit(s[n])) {
		n++
	}
	if n >= len(s) || s[n] != '$' {
		return 0
	}
	tag := s[:n+1]
	i := strings.Index(s[n+1:], tag)
	if i < 0 {
		return -1
	}
	return n + 1 + i + len(tag)
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isWord(c byte) bool {
	return c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
