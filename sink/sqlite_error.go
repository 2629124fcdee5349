package sink

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteName finds the names that SQLite's messages end in; nothing else of a message is ever used.
var sqliteName = regexp.MustCompile(`(?:constraint failed: |no such table: |no column named |no such column: )([A-Za-z_][A-Za-z0-9_.]*)`)

func (s *sqliteDialect) diagnose(err error) trouble {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		if t, ok := transport(err); ok {
			return t
		}
		return trouble{}
	}
	t := trouble{code: fmt.Sprint(e.Code())}
	name := ""
	if m := sqliteName.FindStringSubmatch(e.Error()); m != nil {
		name = m[1]
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_NOTNULL:
		t.kind = troubleRequired
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		t.kind = troubleDuplicate
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		t.kind = troubleReference
	case sqlite3.SQLITE_CONSTRAINT_DATATYPE:
		t.kind = troubleBadValue
	}
	if t.kind != troubleOther {
		if table, column, ok := strings.Cut(name, "."); ok {
			t.table, t.column = table, column
		}
		return t
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT:
		t.kind, t.constraint = troubleCheck, ""
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		t.kind = troubleTransient // also of a commit: the transaction ends undone with its connection
	case sqlite3.SQLITE_INTERRUPT:
		t.kind = troubleTimeout
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM:
		t.kind = troubleFull
	case sqlite3.SQLITE_READONLY:
		t.kind = troubleReadOnly
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		t.kind = troubleDenied
	case sqlite3.SQLITE_CANTOPEN:
		t.kind, t.note = troubleDown, "the file cannot be opened"
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		t.kind, t.note = troubleDown, "the file is not a whole SQLite database"
	case sqlite3.SQLITE_IOERR:
		t.kind, t.note = troubleDown, "the disk failed"
	case sqlite3.SQLITE_TOOBIG:
		t.kind = troubleTooLarge
	case sqlite3.SQLITE_MISMATCH:
		t.kind = troubleBadValue
	case sqlite3.SQLITE_ERROR:
		t.kind = troubleStatement
		switch {
		case strings.HasPrefix(trimLogic(e.Error()), "no such table: "):
			t.kind, t.table = troubleNoTable, name
		case strings.Contains(e.Error(), "no column named ") || strings.HasPrefix(trimLogic(e.Error()), "no such column: "):
			t.kind, t.column = troubleNoColumn, name
		}
	}
	return t
}

// trimLogic takes the driver's own words off the front of SQLite's.
func trimLogic(msg string) string { return strings.TrimPrefix(msg, "SQL logic error: ") }
