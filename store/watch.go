package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
)

// watch tells whether anybody has committed anything to the ledger, which takes SQLite a fraction of what reading a row takes. It has a
// connection of its own, since the number by which SQLite tells is each connection's own.
type watch struct {
	db   *sql.DB
	mu   sync.Mutex
	conn *sql.Conn
	stmt versionStmt
	// epoch counts connections.
	epoch int64
}

// versionStmt is the driver's own: database/sql costs as much again as this statement does.
type versionStmt interface {
	driver.Stmt
	driver.StmtQueryContext
}

// moment is a state of the ledger: two that are equal have the same rows. The zero one equals none that a watch returns.
type moment struct{ epoch, version int64 }

func openWatch(path string) (*watch, error) {
	db, err := openDB(path, 1, "mode=rw&_txlock=deferred&_query_only=1&_busy_timeout="+busyMillis+"&_pragma=cache_size(-32)")
	if err != nil {
		return nil, err
	}
	return &watch{db: db}, nil
}

// now returns the present moment: what is read after it is at least as new.
func (w *watch) now(ctx context.Context) (m moment, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return m, err
		}
	}
	m.epoch = w.epoch
	if err := w.conn.Raw(func(any) (err error) { m.version, err = version(w.stmt); return err }); err != nil {
		return moment{}, errors.Join(err, w.release())
	}
	return m, nil
}

// version runs the statement. It waits for nobody but a repair of the log's index, so it is not worth the goroutine that a context costs.
func version(stmt versionStmt) (int64, error) {
	rows, err := stmt.QueryContext(context.Background(), nil)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var row [1]driver.Value
	if err := rows.Next(row[:]); err != nil {
		return 0, err
	}
	n, ok := row[0].(int64)
	if !ok {
		return 0, errDriver
	}
	return n, nil
}

func (w *watch) connect(ctx context.Context) (err error) {
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	w.epoch++
	err = w.conn.Raw(func(conn any) error {
		preparer, ok := conn.(driver.ConnPrepareContext)
		if !ok {
			return errDriver
		}
		stmt, err := preparer.PrepareContext(ctx, `pragma data_version`)
		if err != nil {
			return err
		}
		if w.stmt, ok = stmt.(versionStmt); !ok {
			return errors.Join(errDriver, stmt.Close())
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, w.release())
	}
	return nil
}

// errDriver says that the driver of SQLite is not what it was.
var errDriver = errors.New("the driver cannot tell the ledger's version")

func (w *watch) release() (err error) {
	if w.stmt != nil {
		err = w.stmt.Close()
	}
	if w.conn != nil {
		err = errors.Join(err, w.conn.Close())
	}
	w.stmt, w.conn = nil, nil
	return err
}

func (w *watch) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.release(), w.db.Close())
}
