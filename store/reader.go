package store

import (
	"context"
	"database/sql"
	"sync"
)

// reader is the pool of connections that read. It keeps what it has prepared: parsing a statement costs SQLite more than most of ours
// take to run. Queries must be constants of the package.
type reader struct {
	*sql.DB
	mu    sync.Mutex
	stmts map[string]*sql.Stmt // closed with the pool
}

func newReader(db *sql.DB) *reader { return &reader{DB: db, stmts: map[string]*sql.Stmt{}} }

// prepare returns the statement, which serves all connections. The lock is not held while a connection is waited for.
func (r *reader) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.Lock()
	stmt := r.stmts[query]
	r.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	stmt, err := r.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return r.keep(query, stmt), nil
}

// keep keeps a new statement, unless somebody was faster.
func (r *reader) keep(query string, stmt *sql.Stmt) *sql.Stmt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first := r.stmts[query]; first != nil {
		stmt.Close()
		return first
	}
	r.stmts[query] = stmt
	return stmt
}

// QueryContext hides that of sql.DB.
func (r *reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := r.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// QueryRowContext hides that of sql.DB.
func (r *reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := r.prepare(ctx, query)
	if err != nil {
		return r.DB.QueryRowContext(ctx, query, args...) // fails the same, in the form that is wanted
	}
	return stmt.QueryRowContext(ctx, args...)
}

// snapshot is a transaction that reads with the pool's statements.
type snapshot struct {
	*sql.Tx
	reader *reader
	// missing are the queries that the pool has not prepared yet. It would want another connection for that, and all may be held by
	// transactions that wait for one, so they are left for the end.
	missing []string
}

// end gives the connection back and prepares for the next time what was missing.
func (s *snapshot) end(ctx context.Context) {
	_ = s.Tx.Rollback() // nothing was written
	for _, query := range s.missing {
		_, _ = s.reader.prepare(ctx, query) // where that fails, the query will say why
	}
}

// prepared returns the statement where the pool has it.
func (s *snapshot) prepared(ctx context.Context, query string) *sql.Stmt {
	s.reader.mu.Lock()
	stmt := s.reader.stmts[query]
	s.reader.mu.Unlock()
	if stmt == nil {
		s.missing = append(s.missing, query)
		return nil
	}
	return s.Tx.StmtContext(ctx, stmt)
}

// QueryContext hides that of sql.Tx.
func (s *snapshot) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if stmt := s.prepared(ctx, query); stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return s.Tx.QueryContext(ctx, query, args...)
}

// QueryRowContext hides that of sql.Tx.
func (s *snapshot) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if stmt := s.prepared(ctx, query); stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return s.Tx.QueryRowContext(ctx, query, args...)
}
