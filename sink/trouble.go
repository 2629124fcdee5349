package sink

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"askara-sync/askara"
)

// trouble is a database's error, reduced to what may be shown. Drivers' messages quote values of the row, which are patient
// data, so they are never passed on: only codes and the names of tables, columns and constraints are.
type trouble struct {
	kind                            troubleKind
	code                            string
	table, column, constraint, note string
	// param is the 1-based bound value that the database complained about; 0 where it did not say.
	param int
}

type troubleKind int

const (
	troubleOther      troubleKind = iota
	troubleLost                   // the connection broke: what was in flight may or may not have happened
	troubleDown                   // no connection
	troubleLogin                  // refused user or password
	troubleNoDatabase             // the server has no such database
	troubleTransient              // deadlock, serialization: the same again is likely to work
	troubleTimeout                // waited too long, for a lock mostly
	troubleFull                   // disk or memory of the server
	troubleReadOnly
	troubleDenied    // a grant is missing
	troubleNoTable   //
	troubleNoColumn  //
	troubleStatement // syntax and the like: the statement can never work
	troubleDuplicate // a unique key
	troubleReference // a foreign key
	troubleRequired  // a column must not be null
	troubleCheck     // a check constraint or a trigger
	troubleTooLong   // a value is longer than its column
	troubleBadValue  // a value is not what its column takes
	troubleEncoding  // a character that the database's encoding lacks
	troubleTooLarge  // a document larger than the database takes
	troubleCancelled // the caller's context ended
)

// transport reads the errors that every driver shares: those of the connection.
func transport(err error) (trouble, bool) {
	var op *net.OpError
	var errno syscall.Errno
	note := ""
	if errors.As(err, &errno) {
		note = errno.Error()
	}
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &cert):
		return trouble{kind: troubleDown, note: "its certificate is not trusted"}, true
	case errors.As(err, &record):
		return trouble{kind: troubleDown, note: "it does not speak TLS"}, true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return trouble{kind: troubleTimeout}, true
	case errors.Is(err, context.Canceled):
		return trouble{kind: troubleCancelled}, true
	case errors.As(err, &op) && op.Op == "dial":
		return trouble{kind: troubleDown, note: note}, true
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.As(err, &op), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return trouble{kind: troubleLost, note: note}, true
	}
	return trouble{}, false
}

// explain makes the error that everybody sees out of a driver's error: what happened, in which table and column, and what to
// do. atStart says that no document is involved yet, so that a wrong table or statement is the configuration's fault; later
// it is the destination that has changed under us, and documents wait.
func (d *Database) explain(op string, t trouble, atStart bool) error {
	where := d.where(t)
	code := ""
	if t.code != "" {
		code = " (" + d.dialect.kind() + " error " + t.code + ")"
	}
	structural := askara.FaultDestination
	if atStart {
		structural = askara.FaultConfiguration
	}
	say := func(kind askara.Fault, hint, format string, args ...any) error {
		return dbError(op, kind, hint, "%s%s", fmt.Sprintf(format, args...), code)
	}
	switch t.kind {
	case troubleCancelled:
		return fmt.Errorf("%s: %w", op, context.Canceled)
	case troubleDown:
		note := t.note
		if note == "" {
			note = "no answer"
		}
		return say(askara.FaultDestination, "start the database or correct the connection string; documents wait meanwhile",
			"the database at %s cannot be reached: %s", d.dialect.place(), note)
	case troubleLost:
		return say(askara.FaultDestination, "nothing to do if the database was restarted; documents wait and are looked up before they are sent again",
			"the connection to the database at %s broke", d.dialect.place())
	case troubleLogin:
		return say(askara.FaultDestination, "check user and password in the connection string (sink.dsn_file or the credential sink_dsn)",
			"the database at %s refused the user or the password", d.dialect.place())
	case troubleNoDatabase:
		return say(askara.FaultDestination, "create the database, or correct its name in the connection string",
			"the database named in the connection string does not exist at %s or is not open to this user", d.dialect.place())
	case troubleTransient:
		return say(askara.FaultDestination, "", "%s is in use by others, again and again", where)
	case troubleTimeout:
		return say(askara.FaultDestination, "look for another session that holds a lock on the table", "%s did not answer in time", where)
	case troubleFull:
		return say(askara.FaultDestination, "make room on the database's server", "the database has no room left for %s", where)
	case troubleReadOnly:
		return say(askara.FaultDestination, "connect to the primary, or make the database writable", "the database is read-only")
	case troubleDenied:
		return say(askara.FaultDestination, d.grantHint(t), "%s is denied to this user", where)
	case troubleNoTable:
		return say(structural, "create the table, or correct sink.table or sink.insert", "%s does not exist", where)
	case troubleNoColumn:
		if t.column == "" {
			where = "a column in a statement for " + where
		}
		return say(structural, "compare the table's columns with sink.insert and the README", "%s does not exist", where)
	case troubleStatement:
		return say(structural, "try the statement in the database's own client", "the database does not accept the statement")
	case troubleDuplicate:
		return say(askara.FaultDocument, "find out which program wrote that row; askara-sync never overwrites one",
			"%s already has a row with this key, written by somebody else", where)
	case troubleReference:
		return say(askara.FaultDocument, "the document is tried again; it fits once the row that it refers to is there",
			"%s refers to a row that does not exist", where)
	case troubleRequired:
		return say(askara.FaultPermanent, "let the column be null, or give it a default", "%s must have a value and the document has none", where)
	case troubleCheck:
		return say(askara.FaultPermanent, "look at the table's check constraints and triggers", "%s refused the row", where)
	case troubleTooLong:
		return say(askara.FaultPermanent, "make the column longer, then: askara-sync retry", "the value for %s is longer than the column", where)
	case troubleBadValue:
		return say(askara.FaultPermanent, "compare the column's type with the README, then: askara-sync retry", "the value for %s does not fit its type", where)
	case troubleEncoding:
		return say(askara.FaultPermanent, "use a database in UTF-8, then: askara-sync retry",
			"a character of the document's metadata does not exist in the encoding of %s", where)
	case troubleTooLarge:
		hint := "raise the limit in the database's configuration, then: askara-sync retry"
		if t.note != "" {
			hint = "raise " + t.note + " in the database's configuration, then: askara-sync retry"
		}
		return say(askara.FaultPermanent, hint, "the document is larger than the database takes")
	}
	return say(askara.FaultDestination, "look at the database's own log", "the database failed on %s", where)
}

// where names what an error is about: column and table, as precisely as the database told.
func (d *Database) where(t trouble) string {
	column := t.column
	if column == "" && t.param > 0 && d.insert != nil && t.param <= len(d.insert.params) {
		column = d.columnOf(t.param - 1)
	}
	table := t.table
	if table == "" {
		table = d.target.String()
	}
	var b strings.Builder
	if column != "" {
		b.WriteString("column " + column + " of ")
	}
	b.WriteString("table " + table)
	if t.constraint != "" {
		b.WriteString(" (constraint " + t.constraint + ")")
	}
	return b.String()
}

// grantHint is the statement that gives what is missing.
func (d *Database) grantHint(t trouble) string {
	right := t.note
	if right == "" {
		right = "INSERT, SELECT"
	}
	table := t.table
	if table == "" {
		table = d.target.String()
	}
	if d.dialect.user() == "" {
		return "let the service's user read and write the file and its directory"
	}
	return fmt.Sprintf("let an administrator of the database run: GRANT %s ON %s TO %s", right, table, d.dialect.user())
}

// dbError is an error of a database destination.
func dbError(op string, kind askara.Fault, hint, format string, args ...any) error {
	return &Error{Op: op, Kind: kind, Err: fmt.Errorf(format, args...), hint: hint}
}
