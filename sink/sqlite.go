package sink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// sqliteDialect is a file that another program reads. Its journal mode is left as it is: delete in a file that we make, which
// every reader copes with, also over a network share. synchronous is EXTRA, since with FULL a power cut right after a commit
// may bring the journal back and undo it.
type sqliteDialect struct {
	path    string
	timeout time.Duration
}

func (s *sqliteDialect) kind() string           { return "sqlite" }
func (s *sqliteDialect) place() string          { return s.path }
func (s *sqliteDialect) user() string           { return "" }
func (s *sqliteDialect) exposed() bool          { return false }
func (s *sqliteDialect) placeholder(int) string { return "?" }
func (s *sqliteDialect) quote(n string) string  { return `"` + n + `"` }
func (s *sqliteDialect) sha256() string         { return "" }

func (s *sqliteDialect) lexis() lexis {
	return lexis{backtick: true, bracket: true, forbidden: "?@$"}
}

// sqliteBusy is how long SQLite itself waits for a lock. It is deaf meanwhile, so a stop of the program waits as long.
const sqliteBusy = 2 * time.Second

// open keeps no idle connection: a file that was replaced meanwhile must be noticed, and opening one costs little.
func (s *sqliteDialect) open() (*sql.DB, error) {
	q := url.Values{}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", min(s.timeout, sqliteBusy).Milliseconds()))
	q.Add("_pragma", "synchronous(EXTRA)")
	q.Add("_pragma", "foreign_keys(1)")
	q.Set("_txlock", "immediate")
	q.Set("mode", "rw")
	u := url.URL{Scheme: "file", Path: s.path, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, errors.New("the path cannot be used")
	}
	db.SetMaxIdleConns(0)
	db.SetMaxOpenConns(2)
	return db, nil
}

// createFile makes an empty database where there is no file yet. On return its name survives a power cut.
func (s *sqliteDialect) createFile(mode fs.FileMode, gid int) (created bool, err error) {
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if gid >= 0 {
		if err := f.Chown(-1, gid); err != nil {
			return true, err
		}
	}
	if err := f.Chmod(mode); err != nil {
		return true, err
	}
	dir, err := os.Open(filepath.Dir(s.path))
	if err != nil {
		return true, err
	}
	defer dir.Close()
	return true, errors.Join(f.Sync(), dir.Sync())
}

// lanes is one: SQLite takes one writer at a time.
func (s *sqliteDialect) lanes() int { return 1 }

// guard notices a file that was removed or replaced while it was open: rows in it would be seen by nobody.
func (s *sqliteDialect) guard() (func() error, error) {
	before, err := os.Stat(s.path)
	if err != nil {
		return nil, err
	}
	return func() error {
		now, err := os.Stat(s.path)
		if err == nil && !os.SameFile(before, now) {
			err = errors.New("the file was replaced meanwhile")
		}
		return err
	}, nil
}

func (s *sqliteDialect) insertNew(table tableName, columns []string) string {
	return insertInto(s, table, columns) + " on conflict do nothing"
}

// ddl puts the comment inside the statement, where SQLite keeps it.
func (s *sqliteDialect) ddl(table tableName, columns []field, comment string) []string {
	return []string{createTable(s, table, columns, " -- "+comment, " strict")}
}

func (s *sqliteDialect) sqlType(f field) string {
	switch f.kind {
	case intValue:
		return "integer"
	case bytesValue:
		return "blob"
	}
	return "text"
}

func (s *sqliteDialect) bind(k valueKind, v any) any { return bindText(v, isoTime, k) }

func (s *sqliteDialect) fits(k valueKind, sqlType string) bool {
	t := strings.ToUpper(sqlType)
	switch t {
	case "BLOB":
		return k == bytesValue
	case "TEXT":
		return k != bytesValue
	case "INTEGER", "INT", "REAL":
		return k == intValue
	}
	return true
}

func (s *sqliteDialect) inspect(ctx context.Context, q querier, table tableName) (tableInfo, error) {
	info := tableInfo{columns: map[string]columnInfo{}}
	master := "sqlite_schema"
	schema := "main"
	if table.schema != "" {
		schema, master = table.schema, s.quote(table.schema)+".sqlite_schema"
	}
	err := q.QueryRowContext(ctx, "select coalesce(sql, '') from "+master+" where type in ('table', 'view') and lower(name) = lower(?)", table.name).
		Scan(&info.comment)
	if errors.Is(err, sql.ErrNoRows) {
		return info, nil
	}
	if err != nil {
		return info, err
	}
	info.exists = true
	err = eachRow(ctx, q, func(scan func(...any) error) error {
		var c columnInfo
		var name string
		var notNull, pk int
		var def sql.NullString
		if err := scan(&name, &c.sqlType, &notNull, &def, &pk); err != nil {
			return err
		}
		c.needed = notNull == 1 && !def.Valid && pk == 0
		info.columns[strings.ToLower(name)] = c
		return nil
	}, `select name, type, "notnull", dflt_value, pk from pragma_table_info(?, ?)`, table.name, schema)
	if err != nil {
		return info, err
	}
	keys := map[string][]string{}
	err = eachRow(ctx, q, func(scan func(...any) error) error {
		var index string
		var column sql.NullString
		if err := scan(&index, &column); err != nil {
			return err
		}
		keys[index] = append(keys[index], strings.ToLower(column.String))
		return nil
	}, `select l.name, i.name from pragma_index_list(?, ?) l join pragma_index_info(l.name, ?) i where l."unique" = 1 and l.partial = 0`,
		table.name, schema, schema)
	for _, columns := range keys {
		info.unique = append(info.unique, columns)
	}
	return info, err
}

func (s *sqliteDialect) missing(context.Context, querier, tableName, ...string) ([]string, error) {
	return nil, nil
}

// sqliteMaxContent is SQLite's limit for a row, less room for the other columns.
const sqliteMaxContent = 1_000_000_000 - 1<<20

func (s *sqliteDialect) server(ctx context.Context, q querier) (serverInfo, error) {
	info := serverInfo{maxContent: sqliteMaxContent, maxSetting: "nothing: SQLite's own limit is 1 GB"}
	err := q.QueryRowContext(ctx, "select 'SQLite ' || sqlite_version()").Scan(&info.version)
	if err != nil {
		return info, err
	}
	return info, q.QueryRowContext(ctx, "pragma encoding").Scan(&info.encoding)
}
