package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// writer is the one connection of its kind on which this process writes. It keeps its prepared statements.
type writer struct {
	db    *sql.DB
	turn  chan struct{} // held while writing; shared by all writers of a ledger, so that they do not wait for each other by polling
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	fail  func(op string, err error) error // sorts errors
	ran   int                              // statements, to be counted by tests
}

// openWriters opens both writers. The soft one must never wait for the disk: it does not sync, and leaves it to the hard one to move
// the log into the database.
func openWriters(path string, fail func(string, error) error) (hard, soft *writer, err error) {
	turn := make(chan struct{}, 1)
	common := "mode=rw&_txlock=immediate&_foreign_keys=1&_defensive=1&_busy_timeout=" + busyMillis +
		"&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(8388608)&_pragma=secure_delete(1)"
	hardDB, err := openDB(path, 1, common+"&_synchronous=FULL&_pragma=cache_size(-512)")
	if err != nil {
		return nil, nil, err
	}
	softDB, err := openDB(path, 1, common+"&_synchronous=NORMAL&_pragma=wal_autocheckpoint(0)&_pragma=cache_size(-128)")
	if err != nil {
		return nil, nil, errors.Join(err, hardDB.Close())
	}
	return &writer{db: hardDB, turn: turn, fail: fail}, &writer{db: softDB, turn: turn, fail: fail}, nil
}

// errReadOnly says that a ledger opened with Config.ReadOnly was to be written.
var errReadOnly = errors.New("the ledger is open for reading only")

// tx is a write transaction in progress.
type tx struct {
	w     *writer
	tally tally
}

// update runs fn in one transaction and commits it. Until the transaction has begun ctx may end the wait; from then on it is not
// cut short, so that it ends in one of two ways only: nil, and all is written, or an error, and nothing is.
func (w *writer) update(ctx context.Context, op string, fn func(ctx context.Context, t *tx) error) error {
	if w == nil {
		return fmt.Errorf("%s: %w", op, errReadOnly)
	}
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return w.fail(op, ctx.Err())
	}
	defer func() { <-w.turn }()
	if err := w.begin(ctx); err != nil {
		return w.fail(op, err)
	}
	ctx = context.WithoutCancel(ctx)
	t := &tx{w: w}
	done := false
	defer func() {
		if !done { // an error, or a panic on its way up
			w.rollback(ctx)
		}
	}()
	if err := fn(ctx, t); err != nil {
		return w.fail(op, err)
	}
	if err := t.tally.flush(ctx, t); err != nil {
		return w.fail(op, err)
	}
	if _, err := t.exec(ctx, `commit`); err != nil {
		return w.fail(op, err)
	}
	done = true
	return nil
}

func (w *writer) begin(ctx context.Context) error {
	if w.conn == nil {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return err
		}
		w.conn, w.stmts = conn, map[string]*sql.Stmt{}
	}
	stmt, err := w.prepare(ctx, `begin immediate`)
	if err == nil {
		_, err = stmt.ExecContext(ctx)
	}
	if err != nil {
		// A transaction may have begun all the same where ctx ended at that moment.
		w.rollback(context.WithoutCancel(ctx))
	}
	return err
}

// rollback ends the transaction, which SQLite may have ended already, and gives the connection up, since an error may have left it
// unusable; the next write opens another.
func (w *writer) rollback(ctx context.Context) {
	_, _ = w.conn.ExecContext(ctx, `rollback`)
	_ = w.release()
}

func (w *writer) release() error {
	if w.conn == nil {
		return nil
	}
	var errs []error
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	errs = append(errs, w.conn.Close())
	w.conn, w.stmts = nil, nil
	return errors.Join(errs...)
}

func (w *writer) close() error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	return errors.Join(w.release(), w.db.Close())
}

// prepare returns the connection's statement for the query, which must be one of the package's constants.
func (w *writer) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	w.ran++
	if stmt := w.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	w.stmts[query] = stmt
	return stmt, nil
}

func (t *tx) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := t.w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// change executes a statement and returns how many rows it changed.
func (t *tx) change(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// insert executes an insert and returns the row's id.
func (t *tx) insert(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// scan reads one row into dest and tells whether there was one.
func (t *tx) scan(ctx context.Context, query string, args []any, dest ...any) (bool, error) {
	stmt, err := t.w.prepare(ctx, query)
	if err != nil {
		return false, err
	}
	err = stmt.QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// query reads rows; the caller closes them before the next statement.
func (t *tx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.w.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}
