package store

import (
	"context"
	"database/sql"
	"errors"
)

const selectAccount = `select id from account where name = ?`

// account returns the account's number, which it is given when it is first written for.
func (t *tx) account(ctx context.Context, name string) (id int64, err error) {
	found, err := t.scan(ctx, selectAccount, []any{name}, &id)
	if err != nil || found {
		return id, err
	}
	return t.insert(ctx, `insert into account (name) values (?)`, name)
}

// querier is a reader: the pool, or a transaction that gives several reads one view.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// accountOf returns the account's number, 0 where nothing is known of it.
func accountOf(ctx context.Context, q querier, name string) (id int64, err error) {
	err = q.QueryRowContext(ctx, selectAccount, name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// view runs fn on one snapshot of the ledger.
func (s *Store) view(ctx context.Context, op string, fn func(q querier) error) error {
	t, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return s.fail(op, err)
	}
	snap := &snapshot{Tx: t, reader: s.read}
	defer snap.end(ctx)
	return s.fail(op, fn(snap))
}

// rowsOf reads all rows of a query.
func rowsOf[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scan)
}

func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) (list []T, err error) {
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
