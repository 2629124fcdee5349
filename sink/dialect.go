package sink

import (
	"context"
	"database/sql"
	"time"
)

// dialect is what differs between the kinds of database. It holds no connection.
type dialect interface {
	// kind is the word of the configuration: sqlite, postgres or mysql.
	kind() string
	// open returns a pool; nothing is connected yet.
	open() (*sql.DB, error)
	// place names the database in messages: host and port, or the file. Never a user or a password.
	place() string
	// user is whom grants are given to, as a GRANT statement has it; "" where there are none.
	user() string
	// exposed says that documents cross a network without encryption.
	exposed() bool
	// placeholder is the n-th bound value of a statement, from 1.
	placeholder(n int) string
	quote(name string) string
	// lexis says how the text of a statement is read.
	lexis() lexis
	// insertNew is the statement that puts one row into one of our own tables unless its key is there. It either affects no row
	// then, or fails with troubleDuplicate.
	insertNew(table tableName, columns []string) string
	// ddl creates one of our own tables where it does not exist.
	ddl(table tableName, columns []field, comment string) []string
	// sqlType is the type of a parameter's column in our own tables.
	sqlType(f field) string
	// bind turns a parameter's value into what the driver gets.
	bind(k valueKind, v any) any
	// lanes is how many transactions may usefully run at once. Each may want a second connection to look something up, so it is at
	// most half of what the pool has.
	lanes() int
	// inspect looks a table up in the catalog, which needs no grant on the table itself.
	inspect(ctx context.Context, q querier, table tableName) (tableInfo, error)
	// fits says whether a column of the type takes a parameter of the kind; unknown types do.
	fits(k valueKind, sqlType string) bool
	// missing returns which of the rights the connected user lacks on a table, as far as the database tells before a statement runs.
	missing(ctx context.Context, q querier, table tableName, rights ...string) ([]string, error)
	// server looks at what limits a connection sets.
	server(ctx context.Context, q querier) (serverInfo, error)
	// sha256 is an expression for the checksum of the column content as 64 hex digits; "" where the database has none.
	sha256() string
	// diagnose reads a driver's error. The result holds names and codes, never a value.
	diagnose(err error) trouble
	// guard is called before every transaction; what it returns is called after the commit and fails where the commit went to a
	// database that nobody sees any more.
	guard() (after func() error, err error)
}

// querier is a pool, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// serverInfo is what the connected server says of itself.
type serverInfo struct {
	version string
	// maxContent is the largest document that it takes; 0 where there is no limit below ours.
	maxContent int64
	// maxSetting names the setting behind maxContent.
	maxSetting string
	// asciiOnly says that the database stores bytes without knowing their encoding.
	asciiOnly bool
	encoding  string
	// volatile names the setting by which a commit may be lost in a power cut; "" where commits are durable.
	volatile string
}

// tableInfo is what the catalog says of a table.
type tableInfo struct {
	exists  bool
	comment string
	columns map[string]columnInfo
	// unique holds the columns of each unique key.
	unique [][]string
	// engine names a storage engine that cannot roll back; "" where the table can.
	engine string
}

type columnInfo struct {
	sqlType string
	limit   int64 // in characters, or in bytes for binary; 0 where there is none
	// needed says that a row cannot be inserted without a value for it.
	needed bool
}

// valueKind is the kind of value that a parameter has.
type valueKind int

const (
	textValue valueKind = iota
	wordValue           // short text that is part of a key
	intValue
	timeValue
	dateValue
	jsonValue
	bytesValue
)

// String names the kind for a person who chooses a column's type.
func (k valueKind) String() string {
	return [...]string{"text", "text", "a whole number", "a date and time", "a date", "JSON", "the bytes of the PDF"}[k]
}

// Text forms of dates and times. MySQL takes no offset, so it gets UTC without one.
const (
	isoTime   = "2006-01-02T15:04:05.000000Z"
	plainTime = "2006-01-02 15:04:05.000000"
	isoDate   = time.DateOnly
)

// bindText is the part of bind that all dialects share: times as text in the given layout, nothing as null. A year that no
// database takes is nothing.
func bindText(v any, layout string, k valueKind) any {
	t, ok := v.(time.Time)
	if !ok {
		return v
	}
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return nil
	}
	if k == dateValue {
		return t.Format(isoDate)
	}
	return t.UTC().Format(layout)
}

// eachRow runs a query and calls fn with each row's Scan.
func eachRow(ctx context.Context, q querier, fn func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// noGuard is the guard of a database that is reached over a connection.
func noGuard() (func() error, error) { return func() error { return nil }, nil }
