package sink

import (
	"errors"
	"strings"
)

// statement is an SQL statement with named parameters. Every occurrence of a parameter is bound on its own, so that the database
// may take it for another type in each place.
type statement struct {
	segments []string // the text around the parameters: one more than there are parameters
	params   []field
	// columns holds, for each parameter, the column of the target table that it is for; "" where that is not plain.
	columns []string
	// direct says that the parameter is the column's whole value, so that their types must fit.
	direct []bool
	// target is the table of an insert; the zero value where it is not plain.
	target tableName
	// tolerant says that the statement itself says what to do about a key that is there (on conflict, on duplicate key).
	tolerant bool
}

// render is the statement as the database gets it.
func (s *statement) render(d dialect) string {
	var b strings.Builder
	for i, segment := range s.segments {
		b.WriteString(segment)
		if i < len(s.params) {
			b.WriteString(d.placeholder(i + 1))
		}
	}
	return b.String()
}

// has says whether the parameter is used.
func (s *statement) has(name string) bool {
	for _, p := range s.params {
		if p.name == name {
			return true
		}
	}
	return false
}

// ownStatement is the statement that fills the named columns of one of our own tables.
func ownStatement(d dialect, table tableName, columns []string) *statement {
	s := &statement{params: fieldsNamed(columns), columns: columns, target: table, tolerant: true}
	text := d.insertNew(table, columns)
	for i := range columns {
		before, after, _ := strings.Cut(text, d.placeholder(i+1))
		s.segments, text = append(s.segments, before), after
		s.direct = append(s.direct, true)
	}
	s.segments = append(s.segments, text)
	return s
}

// ParseInsert checks the text of an integrator's own insert statement for a kind of database, as far as that is possible
// without one: it is a single insert, every parameter is known, and the PDF or its path is among them.
func ParseInsert(kind, text, content string) error {
	lx, err := lexisOf(kind)
	if err != nil {
		return err
	}
	_, err = parseInsert(text, lx, content == ContentFile)
	return err
}

// ParseExists checks the text of the query that looks whether a document is there.
func ParseExists(kind, text string) error {
	lx, err := lexisOf(kind)
	if err != nil {
		return err
	}
	_, err = parseExists(text, lx)
	return err
}

func lexisOf(kind string) (lexis, error) {
	switch kind {
	case KindSQLite:
		return (&sqliteDialect{}).lexis(), nil
	case KindPostgres:
		return (&postgresDialect{}).lexis(), nil
	case KindMySQL:
		return (&mysqlDialect{}).lexis(), nil
	}
	return lexis{}, errors.New("it is sqlite, postgres or mysql")
}

func parseInsert(text string, lx lexis, file bool) (*statement, error) {
	s, toks, err := parseStatement(text, lx)
	if err != nil {
		return nil, err
	}
	first, second := keyword(toks, 0), keyword(toks, 1)
	switch {
	case first == "replace", first == "insert" && second == "or" && keyword(toks, 2) == "replace":
		return nil, errors.New("replace would overwrite what is there; write insert into … values (…)")
	case first == "insert" && (second == "ignore" || second == "or"):
		return nil, errors.New("ignore would also swallow values that do not fit; write insert into …, a document is inserted only once anyway")
	case first != "insert" || second != "into":
		return nil, errors.New("it is not a statement that begins with insert into")
	}
	for i := range toks {
		if keyword(toks, i) == "on" && (keyword(toks, i+1) == "conflict" || keyword(toks, i+1) == "duplicate") {
			s.tolerant = true
		}
	}
	if file && !s.has("path") && !s.has("file_name") {
		return nil, errors.New("with content = \"file\" the statement must use :path or :file_name, or nobody could find the document")
	}
	if file && s.has("content") {
		return nil, errors.New("with content = \"file\" there is no :content; use :path, or content = \"inline\"")
	}
	if !file && !s.has("content") {
		return nil, errors.New("the statement does not use :content, so the document itself would be lost; with content = \"file\" use :path")
	}
	s.findTargets(toks, lx)
	return s, nil
}

func parseExists(text string, lx lexis) (*statement, error) {
	s, toks, err := parseStatement(text, lx)
	if err != nil {
		return nil, err
	}
	if keyword(toks, 0) != "select" {
		return nil, errors.New("it is not a statement that begins with select")
	}
	if s.has("content") {
		return nil, errors.New("the query cannot use :content; use :uuid and :revision, or :sha256")
	}
	if !s.has("uuid") && !s.has("sha256") {
		return nil, errors.New("the query must use :uuid or :sha256, or it could not tell one document from another")
	}
	return s, nil
}

// parseStatement splits a single statement at its parameters. The tokens that it returns are those that mean something.
func parseStatement(text string, lx lexis) (*statement, []token, error) {
	all, err := tokens(strings.TrimRight(strings.TrimSpace(text), "; \t\r\n"), lx)
	if err != nil {
		return nil, nil, err
	}
	s := &statement{}
	var segment strings.Builder
	var toks []token
	for _, t := range all {
		switch {
		case t.kind == paramToken:
			f, ok := fieldByName(t.text[1:])
			if !ok {
				return nil, nil, unknownParameter(t.text[1:])
			}
			s.segments = append(s.segments, segment.String())
			segment.Reset()
			s.params = append(s.params, f)
		case t.kind == otherToken && t.text == ";":
			return nil, nil, errors.New("it is more than one statement")
		default:
			segment.WriteString(t.text)
		}
		if t.kind != spaceToken {
			toks = append(toks, t)
		}
	}
	s.segments = append(s.segments, segment.String())
	s.columns, s.direct = make([]string, len(s.params)), make([]bool, len(s.params))
	if len(toks) == 0 {
		return nil, nil, errors.New("the statement is empty")
	}
	return s, toks, nil
}

// keyword is the i-th token in lower case where it is a word, "" otherwise.
func keyword(toks []token, i int) string {
	if i >= len(toks) || toks[i].kind != wordToken {
		return ""
	}
	return strings.ToLower(toks[i].text)
}
