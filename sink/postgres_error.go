package sink

import (
	"errors"
	"regexp"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgresParam finds which bound value an error is about; nothing else of the context is used.
var postgresParam = regexp.MustCompile(`parameter \$(\d{1,4})`)

// postgresName finds the name at the start of a message about something that does not exist, in a server that speaks English.
var postgresName = regexp.MustCompile(`^(?:column|relation|schema) "?([A-Za-z_][A-Za-z0-9_.]*)"? `)

func (p *postgresDialect) diagnose(err error) trouble {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if t, ok := transport(err); ok {
			return t
		}
		if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
			return trouble{kind: troubleDown}
		}
		if errors.Is(err, pgconn.ErrConnClosed) || pgconn.SafeToRetry(err) {
			return trouble{kind: troubleLost}
		}
		return trouble{}
	}
	t := trouble{code: e.Code, table: e.TableName, column: e.ColumnName, constraint: e.ConstraintName}
	if m := postgresParam.FindStringSubmatch(e.Where); m != nil {
		t.param, _ = strconv.Atoi(m[1])
	}
	t.kind = postgresKind(e.Code)
	if m := postgresName.FindStringSubmatch(e.Message); m != nil && t.kind == troubleNoColumn {
		t.column = m[1]
	} else if m != nil && t.kind == troubleNoTable {
		t.table = m[1]
	}
	if t.kind == troubleDown && e.Code != "57P03" {
		t.note = "the server has trouble of its own"
	}
	return t
}

// postgresKind sorts the SQLSTATEs of PostgreSQL, single ones before their class.
func postgresKind(code string) troubleKind {
	switch code {
	case "40001", "40P01":
		return troubleTransient
	case "55P03", "57014":
		return troubleTimeout
	case "57P01", "57P02", "25P03", "25P04", "57P05":
		return troubleLost
	case "53100", "53200":
		return troubleFull
	case "25006":
		return troubleReadOnly
	case "42501":
		return troubleDenied
	case "42P01", "3F000":
		return troubleNoTable
	case "42703":
		return troubleNoColumn
	case "3D000":
		return troubleNoDatabase
	case "23505":
		return troubleDuplicate
	case "23503":
		return troubleReference
	case "23502":
		return troubleRequired
	case "22001":
		return troubleTooLong
	case "22P05", "22021":
		return troubleEncoding
	case "54000":
		return troubleTooLarge
	}
	switch code[:min(2, len(code))] {
	case "08":
		return troubleLost
	case "28":
		return troubleLogin
	case "22":
		return troubleBadValue
	case "23", "44", "P0", "09", "27":
		return troubleCheck
	case "42":
		return troubleStatement
	case "53", "57", "58", "XX", "F0":
		return troubleDown
	}
	return troubleOther
}
