package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// watch tells whether anybody has committed anything to the ledger, which takes SQLite a fraction of what reading a row takes. It has a
// connection of its own, since the number by which SQLite tells is each connection's own.
type watch struct {
	db   *sql.DB
	mu   sync.Mutex
	conn *sql.Conn
	stmt *sql.Stmt
	// epoch counts connections.
	epoch int64
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
	if err := w.stmt.QueryRowContext(ctx).Scan(&m.version); err != nil {
		return moment{}, errors.Join(err, w.release())
	}
	return m, nil
}

func (w *watch) connect(ctx context.Context) (err error) {
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	w.epoch++
	if w.stmt, err = w.conn.PrepareContext(ctx, `pragma data_version`); err != nil {
		return errors.Join(err, w.release())
	}
	return nil
}

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
