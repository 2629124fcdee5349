package store

import (
	"context"
	"database/sql"
	"fmt"

	"askara-sync/askara"
)

// Backfills returns the account's ranges that are not walked to their end, the oldest request first.
func (s *Store) Backfills(ctx context.Context, account string) ([]askara.Backfill, error) {
	list, err := loadBackfills(ctx, s.read, account)
	return list, s.fail("read backfills", err)
}

func loadBackfills(ctx context.Context, q querier, account string) ([]askara.Backfill, error) {
	scan := func(rows *sql.Rows) (askara.Backfill, error) {
		b := askara.Backfill{Account: account}
		var since, until, at sql.NullInt64
		err := rows.Scan(&b.ID, &since, &until, &at, &b.Done)
		b.Since, b.Until, b.At = fromMicros(since), fromMicros(until), fromMicros(at)
		return b, err
	}
	return rowsOf(ctx, q, scan, `select id, since_us, until_us, at_us, done from backfill
		where account = (select id from account where name = ?) and not done order by id`, account)
}

// AddBackfill records a range durably and returns it with its ID.
func (s *Store) AddBackfill(ctx context.Context, b askara.Backfill) (askara.Backfill, error) {
	err := s.hard.update(ctx, "add backfill", func(ctx context.Context, t *tx) error {
		account, err := t.account(ctx, b.Account)
		if err != nil {
			return err
		}
		b.ID, err = t.insert(ctx, `insert into backfill (account, since_us, until_us, at_us, done) values (?, ?, ?, ?, ?)`,
			account, micros(b.Since), micros(b.Until), micros(b.At), b.Done)
		return err
	})
	return b, err
}

// saveBackfill moves a range's progress. One that is done is of no use to anybody and goes.
func (t *tx) saveBackfill(ctx context.Context, account int64, b askara.Backfill) error {
	query, args := `update backfill set at_us = ? where id = ? and account = ?`, []any{micros(b.At), b.ID, account}
	if b.Done {
		query, args = `delete from backfill where id = ? and account = ?`, args[1:]
	}
	n, err := t.change(ctx, query, args...)
	if err == nil && n == 0 && !b.Done {
		return fmt.Errorf("there is no backfill %d", b.ID)
	}
	return err
}
