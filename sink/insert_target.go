package sink

import "strings"

// findTargets fills target, columns and direct where the statement has the form insert into table (column, …) values (value, …).
// Another form is as good; then less can be checked and said.
func (s *statement) findTargets(toks []token, lx lexis) {
	r := reader{toks: toks[2:], lower: !lx.dollar, lx: lx}
	name, ok := r.name()
	if !ok {
		return
	}
	s.target.name = name
	if r.punct(".") {
		second, ok := r.name()
		if !ok {
			s.target = tableName{}
			return
		}
		s.target = tableName{name, second}
	}
	if r.word("as") {
		r.name()
	}
	if !r.punct("(") {
		return
	}
	var columns []string
	for {
		c, ok := r.name()
		if !ok {
			return
		}
		columns = append(columns, c)
		if r.punct(")") {
			break
		}
		if !r.punct(",") {
			return
		}
	}
	if !r.word("values") || !r.punct("(") {
		return
	}
	// The parameters before the values are none, so they are counted from the first.
	depth, column, length, param := 0, 0, 0, 0
	var inColumn []int
	for ; len(r.toks) > 0; r.toks = r.toks[1:] {
		t := r.toks[0]
		closing := t.text == ")" && t.kind == otherToken && depth == 0
		if closing || t.text == "," && t.kind == otherToken && depth == 0 {
			if len(inColumn) == 1 && length == 1 {
				s.direct[inColumn[0]] = true
			}
			inColumn, length = nil, 0
			column++
			if closing {
				return
			}
			continue
		}
		length++
		switch {
		case t.kind == paramToken:
			if column < len(columns) {
				s.columns[param] = columns[column]
			}
			inColumn = append(inColumn, param)
			param++
		case t.kind == otherToken && t.text == "(":
			depth++
		case t.kind == otherToken && t.text == ")":
			depth--
		}
	}
}

// reader takes tokens off the front of a list.
type reader struct {
	toks  []token
	lower bool // names are compared in lower case, quoted or not
	lx    lexis
}

func (r *reader) name() (string, bool) {
	if len(r.toks) == 0 {
		return "", false
	}
	t := r.toks[0]
	var name string
	switch t.kind {
	case wordToken:
		name = strings.ToLower(t.text)
	case nameToken:
		name = t.text[1 : len(t.text)-1]
		if r.lower {
			name = strings.ToLower(name)
		}
	default:
		return "", false
	}
	r.toks = r.toks[1:]
	return name, true
}

func (r *reader) punct(s string) bool {
	if len(r.toks) == 0 || r.toks[0].kind != otherToken || r.toks[0].text != s {
		return false
	}
	r.toks = r.toks[1:]
	return true
}

func (r *reader) word(s string) bool {
	if keyword(r.toks, 0) != s {
		return false
	}
	r.toks = r.toks[1:]
	return true
}
