package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"askara-sync/askara"
)

// keptPasses is how many records of passes are kept, of all accounts together: at one every five minutes, more than a week.
const keptPasses = 3000

// SavePass records a pass: inserted where ID is 0, replaced otherwise. It returns it with its ID. The oldest records go.
func (s *Store) SavePass(ctx context.Context, p askara.Pass) (askara.Pass, error) {
	err := s.hard.update(ctx, "save pass", func(ctx context.Context, t *tx) error {
		account, err := t.account(ctx, p.Account)
		if err != nil {
			return err
		}
		p.ID, err = t.insert(ctx, `insert or replace into pass (id, account, started_at, duration_us, listed, delivered, already, failed, parked,
			confirmed, unconfirmed, requests, bytes, error) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			count(p.ID), account, millis(p.StartedAt), p.Duration.Microseconds(), p.Listed, p.Delivered, p.Already, p.Failed, p.Parked,
			p.Confirmed, p.Unconfirmed, p.Requests, p.Bytes, text(p.Error))
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `delete from pass where id <= ?`, p.ID-keptPasses)
		return err
	})
	return p, err
}

// lastPass returns the account's newest pass, nil where there was none.
func lastPass(ctx context.Context, q querier, account string) (*askara.Pass, error) {
	p := askara.Pass{Account: account}
	var started sql.NullInt64
	var micros int64
	var message sql.NullString
	err := q.QueryRowContext(ctx, `select id, started_at, duration_us, listed, delivered, already, failed, parked, confirmed, unconfirmed,
		requests, bytes, error from pass where account = (select id from account where name = ?) order by id desc limit 1`, account).Scan(
		&p.ID, &started, &micros, &p.Listed, &p.Delivered, &p.Already, &p.Failed, &p.Parked, &p.Confirmed, &p.Unconfirmed,
		&p.Requests, &p.Bytes, &message)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	p.StartedAt, p.Duration, p.Error = fromMillis(started), time.Duration(micros)*time.Microsecond, message.String
	return &p, err
}
