package store

import (
	"context"
	"database/sql"
	"iter"

	"askara-sync/askara"
)

// Parked returns what has been given up, the oldest first, with reason and metadata.
func (s *Store) Parked(ctx context.Context, account string) (list []askara.Delivery, err error) {
	err = s.view(ctx, "read parked", func(q querier) error {
		id, err := accountOf(ctx, q, account)
		if err != nil {
			return err
		}
		list, err = rowsOf(ctx, q, s.scanDue(), `select `+columns+`, m.raw from delivery d left join metadata m on m.id = d.id
			where d.account = ? and d.state in (?, ?) order by d.id`, id, int(askara.Parked), int(askara.Reported))
		for i := range list {
			list[i].Account = account
		}
		return err
	})
	return list, err
}

// Retry makes what has been given up pending again, with all its attempts: the documents named, or all where uuids is nil. It returns how
// many rows that were, and the uuids of which nothing is given up.
func (s *Store) Retry(ctx context.Context, account string, uuids []string) (retried int, unknown []string, err error) {
	err = s.hard.update(ctx, "retry", func(ctx context.Context, t *tx) error {
		retried, unknown = 0, nil
		id, err := t.account(ctx, account)
		if err != nil {
			return err
		}
		if uuids == nil {
			retried, err = t.retry(ctx, id, nil)
			return err
		}
		for _, uuid := range uuids {
			n, err := t.retry(ctx, id, key(uuid))
			if err != nil {
				return err
			}
			if n == 0 {
				unknown = append(unknown, uuid)
			}
			retried += n
		}
		return nil
	})
	return retried, unknown, err
}

// retry makes rows pending again; uuid nil is all.
func (t *tx) retry(ctx context.Context, account int64, uuid any) (retried int, err error) {
	for _, state := range []askara.DeliveryState{askara.Parked, askara.Reported} {
		query := `update delivery set state = 1, next_attempt_at = 0, attempts = 0, reason = null, confirmed_order_us = null,
			confirmed_updated_us = null where account = ? and state = ?`
		args := []any{account, int(state)}
		if uuid != nil {
			query, args = query+` and uuid = ?`, append(args, uuid)
		}
		n, err := t.change(ctx, query, args...)
		if err != nil {
			return 0, err
		}
		t.tally.add(account, state, -int(n))
		t.tally.add(account, askara.Pending, int(n))
		retried += int(n)
	}
	return retried, nil
}

// stride is how many rows Delivered reads at a time: no read stays open while the caller looks at files.
const stride = 500

// Delivered yields every revision that was delivered, what is not confirmed yet first. Of Document it has the uuid and the dates. It ends
// with the first error.
func (s *Store) Delivered(ctx context.Context, account string) iter.Seq2[askara.Delivery, error] {
	return func(yield func(askara.Delivery, error) bool) {
		scanner := newRowScanner()
		scan := func(rows *sql.Rows) (askara.Delivery, error) {
			d, err := scanner.scan(rows)
			d.Account = account
			return d, err
		}
		for _, query := range []string{
			`select ` + columns + ` from delivery d where account = (select id from account where name = ?) and state = 3 and id > ? order by id limit ?`,
			`select ` + archived + ` from archive d where account = (select id from account where name = ?) and id > ? order by id limit ?`,
		} {
			for last := int64(-1); ; {
				list, err := rowsOf(ctx, s.read, scan, query, account, last, stride)
				if err != nil {
					yield(askara.Delivery{}, s.fail("read deliveries", err))
					return
				}
				for _, d := range list {
					if !yield(d, nil) {
						return
					}
					last = d.ID
				}
				if len(list) < stride {
					break
				}
			}
		}
	}
}
