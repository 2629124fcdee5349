package sink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"askara-sync/askara"
)

// The values of DatabaseConfig.Type.
const (
	KindSQLite   = "sqlite"
	KindPostgres = "postgres"
	KindMySQL    = "mysql"
)

// The values of DatabaseConfig.Content.
const (
	ContentInline = "inline"
	ContentFile   = "file"
)

// DatabaseConfig says which database and how documents are put into it.
type DatabaseConfig struct {
	// Type is KindSQLite, KindPostgres or KindMySQL (which is MariaDB as well).
	Type string
	// Path is the file of an SQLite database; FileMode (0: 0600) and Group ("": the process's) are those of a file that is made.
	Path     string
	FileMode fs.FileMode
	Group    string
	// DSN is the connection string of a PostgreSQL or MySQL database.
	DSN askara.Secret

	// Table is our own table, made on first use; "" means DefaultTable. With Insert it only names the receipt table.
	Table string
	// Insert is an integrator's own insert statement with named parameters; "" fills our own table.
	Insert string
	// Exists is a query with named parameters that returns a row where a document is there already. With Insert it replaces
	// the receipt table; "" uses the receipt table.
	Exists string
	// Content says what the row holds: ContentInline (or "") the PDF, ContentFile the path of a file that Folder delivers first.
	Content string
	// Folder delivers the files; only with ContentFile.
	Folder *Folder

	// Spool is a private directory of this destination's own, for documents on their way. Not used with ContentFile.
	Spool string
	// Ledger is the file of the program's own database, which is refused as a destination; "" checks nothing.
	Ledger string
	// LedgerID is written into every row of our own tables.
	LedgerID string
	// MaxSize is the largest document in bytes; 0: no limit but the database's.
	MaxSize int64
	// Timeout is for connecting and for each transaction, to which a second is added for every MiB; 0 means 30 s.
	Timeout time.Duration
	// Logger is for what a person should know beside the errors; nil drops it.
	Logger *slog.Logger
}

const defaultTimeout = 30 * time.Second

// Database puts documents into a table. It implements the staging and the destination of a pass.
//
// The row is the proof: a document is delivered when the transaction with its row is committed, and after any interruption the
// row is looked for. An integrator's own statement runs in one transaction with a row of a receipt table, so that it is executed
// exactly once whatever its table looks like; with Exists it is as good as that query and a unique key are.
//
// In memory there is one document at a time: up to 8 MiB of it for PostgreSQL and our own table, which is streamed above
// that, one copy for MySQL, and three for SQLite and for an own statement on PostgreSQL, whose drivers copy. Of documents up to
// 2 MiB there may be two, where a server's own table is filled by two transactions. Two accounts with a Database each count twice.
//
// Databases are safe for concurrent use.
type Database struct {
	config  DatabaseConfig
	dialect dialect
	db      *sql.DB
	spool   *spool

	table tableName
	// target is the table that messages name: our own, or that of the integrator's statement.
	target tableName
	// proof fills our own table or the receipt table; nil with Exists.
	proof      *statement
	proofTable tableName
	proofOnly  bool // proof is all there is: our own table
	// insert is the statement that holds the document: proof, or the integrator's.
	insert *statement
	exists *statement

	facts atomic.Pointer[facts]
}

// facts is what Prepare found out about the connected database.
type facts struct {
	server serverInfo
	// types are those of our own table's columns.
	types map[string]string
	// limits are those of the target's columns.
	limits map[string]int64
}

// OpenDatabase checks the configuration; every error is a FaultConfiguration. It connects to nothing: a database that is down is found
// out by Prepare. The caller closes the Database.
func OpenDatabase(_ context.Context, c DatabaseConfig) (*Database, error) {
	d := &Database{config: c}
	if d.config.Timeout <= 0 {
		d.config.Timeout = defaultTimeout
	}
	if d.config.Logger == nil {
		d.config.Logger = slog.New(slog.DiscardHandler)
	}
	for _, step := range []func() error{d.setDialect, d.setTable, d.setStatements, d.setContent} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	var err error
	if d.db, err = d.dialect.open(); err != nil {
		return nil, wrongSetting("sink.dsn_file", err)
	}
	return d, nil
}

func wrongSetting(key string, err error) error {
	return &Error{Op: key, Kind: askara.FaultConfiguration, Err: err, hint: "correct " + key + " in the configuration"}
}

func (d *Database) setDialect() (err error) {
	c := &d.config
	switch c.Type {
	case KindSQLite:
		if c.Path == "" || !filepath.IsAbs(c.Path) {
			return wrongSetting("sink.path", errors.New("it is not the absolute path of a file"))
		}
		if sameFile(c.Path, c.Ledger) {
			return wrongSetting("sink.path", errors.New("it is the program's own database; documents need a file of their own"))
		}
		d.dialect = &sqliteDialect{path: c.Path, timeout: c.Timeout}
	case KindPostgres:
		d.dialect, err = newPostgres(c.DSN.Reveal(), c.Timeout)
	case KindMySQL:
		d.dialect, err = newMySQL(c.DSN.Reveal(), c.Timeout)
	default:
		return wrongSetting("sink.type", errors.New("it is not sqlite, postgres or mysql"))
	}
	if err != nil {
		return wrongSetting("sink.dsn_file", err)
	}
	return nil
}

// sameFile compares two paths, one of which may not exist yet.
func sameFile(a, b string) bool {
	if b == "" {
		return false
	}
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func (d *Database) setTable() error {
	name := d.config.Table
	if name == "" {
		name = DefaultTable
	}
	table, err := parseTable(name)
	if err != nil {
		return wrongSetting("sink.table", err)
	}
	d.table, d.target = table, table
	return nil
}

func (d *Database) setStatements() (err error) {
	c := &d.config
	if strings.TrimSpace(c.Insert) == "" {
		if strings.TrimSpace(c.Exists) != "" {
			return wrongSetting("sink.exists", errors.New("it has a meaning only together with sink.insert"))
		}
		columns := fieldNames()
		d.proofTable, d.proofOnly = d.table, true
		d.proof = ownStatement(d.dialect, d.table, columns)
		d.insert = d.proof
		return nil
	}
	if d.insert, err = parseInsert(c.Insert, d.dialect.lexis(), c.Content == ContentFile); err != nil {
		return wrongSetting("sink.insert", err)
	}
	if d.insert.target.name != "" {
		d.target = d.insert.target
	}
	if strings.TrimSpace(c.Exists) != "" {
		if d.exists, err = parseExists(c.Exists, d.dialect.lexis()); err != nil {
			return wrongSetting("sink.exists", err)
		}
		return nil
	}
	d.proofTable = d.table.receipt()
	d.proof = ownStatement(d.dialect, d.proofTable, receiptColumns())
	return nil
}

func (d *Database) setContent() error {
	c := &d.config
	switch c.Content {
	case ContentFile:
		if c.Folder == nil {
			return wrongSetting("sink.content", errors.New("\"file\" needs a folder for the files"))
		}
	case "", ContentInline:
		if !filepath.IsAbs(c.Spool) {
			return wrongSetting("state_dir", errors.New("the spool is not an absolute path"))
		}
		d.spool = &spool{dir: c.Spool, max: c.MaxSize}
	default:
		return wrongSetting("sink.content", errors.New("it is not inline or file"))
	}
	return nil
}

// Close ends all connections.
func (d *Database) Close() error { return d.db.Close() }

// Schema returns the statements that make our own tables, for an administrator who does not let us make them.
func (d *Database) Schema() string {
	if d.proof == nil {
		return ""
	}
	return strings.Join(d.dialect.ddl(d.proofTable, d.proof.params, tableComment()), ";\n") + ";\n"
}

// Prepare connects, makes our own table where it is missing, and checks tables, rights and statements. A database that is down or
// denies something is a FaultDestination; a statement or a table that cannot work is a FaultConfiguration.
func (d *Database) Prepare(ctx context.Context) error {
	if d.config.Folder != nil && d.config.Content == ContentFile {
		if err := d.config.Folder.Prepare(ctx); err != nil {
			return err
		}
	}
	_, err := d.check(ctx, true)
	return err
}

// Stage implements the staging of a pass. The file is not synced: the row is the proof.
func (d *Database) Stage(ctx context.Context, dl askara.Delivery, body io.Reader, size int64) (askara.Receipt, error) {
	if d.spool == nil {
		return d.config.Folder.Stage(ctx, dl, body, size)
	}
	if err := d.fitsServer(size); err != nil {
		return askara.Receipt{}, err
	}
	r, err := d.spool.stage(ctx, dl, body, size)
	if err == nil {
		if err = d.fitsServer(r.Size); err != nil {
			dl.Receipt = r
			d.spool.drop(&dl)
			return askara.Receipt{}, err
		}
	}
	return r, err
}

// fitsServer refuses what the server is known not to take.
func (d *Database) fitsServer(size int64) error {
	f := d.facts.Load()
	if f == nil || f.server.maxContent <= 0 || size <= f.server.maxContent {
		return nil
	}
	return dbError("check document", askara.FaultPermanent,
		"raise "+f.server.maxSetting+" in the database's configuration, then: askara-sync retry",
		"it has %d bytes and the database takes %d (%s)", size, f.server.maxContent, f.server.maxSetting)
}

// Flush implements the destination of a pass.
func (d *Database) Flush(ctx context.Context, batch []askara.Delivery) error {
	if d.spool == nil {
		return d.config.Folder.Flush(ctx, batch)
	}
	return nil
}

// Sweep implements the staging of a pass.
func (d *Database) Sweep(ctx context.Context, account string, keep []askara.Receipt) error {
	if d.spool == nil {
		return d.config.Folder.Sweep(ctx, account, keep)
	}
	return d.spool.sweep(account, keep)
}

// String names the destination without a secret, for messages.
func (d *Database) String() string {
	return fmt.Sprintf("table %s in %s", d.target, d.dialect.place())
}
