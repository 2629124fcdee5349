package store

import (
	"context"
	"database/sql"
	"errors"

	"askara-sync/askara"
)

// Cursor returns how far the account's lists are read; the zero Cursor where they never were.
func (s *Store) Cursor(ctx context.Context, account string) (askara.Cursor, error) {
	c, err := loadCursor(ctx, s.read, account)
	return c, s.fail("read cursor", err)
}

func loadCursor(ctx context.Context, q querier, account string) (c askara.Cursor, err error) {
	var at, walked sql.NullInt64
	err = q.QueryRowContext(ctx, `select at_us, walked_at, page_size, pages, unordered from cursor
		where account = (select id from account where name = ?)`, account).Scan(&at, &walked, &c.PageSize, &c.Pages, &c.Unordered)
	if errors.Is(err, sql.ErrNoRows) {
		return askara.Cursor{}, nil
	}
	c.At, c.WalkedAt = fromMicros(at), fromMillis(walked)
	return c, err
}

func (t *tx) saveCursor(ctx context.Context, account int64, c askara.Cursor) error {
	_, err := t.exec(ctx, `insert into cursor (account, at_us, walked_at, page_size, pages, unordered) values (?, ?, ?, ?, ?, ?)
		on conflict do update set at_us = excluded.at_us, walked_at = excluded.walked_at, page_size = excluded.page_size,
			pages = excluded.pages, unordered = excluded.unordered
		where (at_us, walked_at, page_size, pages, unordered) is not
			(excluded.at_us, excluded.walked_at, excluded.page_size, excluded.pages, excluded.unordered)`,
		account, micros(c.At), millis(c.WalkedAt), c.PageSize, c.Pages, c.Unordered)
	return err
}
