package store

import (
	"bytes"
	"context"
)

// WithBallast runs save as SaveLogin does.
func (s *Store) WithBallast(save func() error) error { return s.withBallast(save) }

// DecodeKey is what a key file's content is taken for.
func DecodeKey(content []byte) []byte { return decodeKey(content) }

// ReadLog reads a log and tells how many pages of what size it has.
func ReadLog(b []byte) (pages, size int) {
	found, _, size, _ := readLog(bytes.NewReader(b))
	return len(found), size
}

// WalkTables reads all that looks like rows in a database file, and returns how many there are and how many bytes the longest text has.
func WalkTables(b []byte) (rows, longest int) {
	p := newPageFile(bytes.NewReader(b), int64(len(b)))
	count := func(_ int64, values []any) error {
		rows++
		for _, v := range values {
			switch v := v.(type) {
			case string:
				longest = max(longest, len(v))
			case []byte:
				longest = max(longest, len(v))
			}
		}
		return nil
	}
	for number := uint32(1); number <= p.count; number++ {
		_, _ = p.walk(number, count)
	}
	return rows, longest
}

// Recount counts rows by looking at all of them, for comparison with the tallies, and returns how often they differ.
func (s *Store) Recount(ctx context.Context) (differences int, err error) {
	err = s.read.QueryRowContext(ctx, `select count(*) from (
		select account, state, count from tally where count <> 0 except
		select account, state, count(*) from (select account, state from delivery union all select account, state from archive) group by 1, 2)`).Scan(&differences)
	return differences, err
}

// Exec runs a statement of a test's own in a transaction of the ledger's.
func (s *Store) Exec(ctx context.Context, query string) error {
	return s.hard.update(ctx, "exec", func(ctx context.Context, t *tx) error {
		_, err := t.w.conn.ExecContext(ctx, query)
		return err
	})
}

// Pragmas returns what the writers' connections are set to: hard, then soft.
func (s *Store) Pragmas(ctx context.Context, name string) (values []string, err error) {
	for _, w := range []*writer{s.hard, s.soft} {
		err = w.update(ctx, "read pragma", func(ctx context.Context, t *tx) error {
			var value string
			err := w.conn.QueryRowContext(ctx, `pragma `+name).Scan(&value)
			values = append(values, value)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Ran is how many statements a ledger's durable writes have run. Nothing may be writing meanwhile.
func (s *Store) Ran() int { return s.hard.ran }
