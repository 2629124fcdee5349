package store

import (
	"context"
	"database/sql"
	"time"

	"askara-sync/askara"
)

// orderOf is what is bound for a sighting's place; what has no place comes before all that have one.
func orderOf(t time.Time) int64 {
	if t.IsZero() {
		return noDate
	}
	return t.UnixMicro()
}

// sight remembers where a document is listed. One that is where it was costs no write.
func (t *tx) sight(ctx context.Context, account int64, uuid string, order time.Time) error {
	_, err := t.exec(ctx, `insert into sighting (account, uuid, order_us) values (?, ?, ?)
		on conflict do update set order_us = excluded.order_us where order_us <> excluded.order_us`, account, key(uuid), orderOf(order))
	return err
}

func (t *tx) forgetSightings(ctx context.Context, account int64, before time.Time) error {
	if before.IsZero() {
		return nil
	}
	_, err := t.exec(ctx, `delete from sighting where account = ? and order_us < ?`, account, before.UnixMicro())
	return err
}

// Window returns what is known to be listed from since on, by Order, then UUID.
func (s *Store) Window(ctx context.Context, account string, since time.Time) ([]askara.Sighting, error) {
	scan := func(rows *sql.Rows) (askara.Sighting, error) {
		var uuid any
		var order sql.NullInt64
		err := rows.Scan(&uuid, &order)
		return askara.Sighting{UUID: fromKey(uuid), Order: fromDate(order)}, err
	}
	list, err := rowsOf(ctx, s.read, scan, `select uuid, order_us from sighting
		where account = (select id from account where name = ?) and order_us >= ? order by order_us, uuid`, account, orderOf(since))
	return list, s.fail("read window", err)
}
