package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"askara-sync/askara"
)

// Due returns up to limit deliveries of the account in one of the states that are due at now: fresh ones first, then the oldest row
// first. Its cost depends on limit alone.
func (s *Store) Due(ctx context.Context, account string, now time.Time, limit int, states ...askara.DeliveryState) (list []askara.Delivery, err error) {
	if limit < 1 {
		return nil, nil
	}
	err = s.view(ctx, "read queue", func(q querier) error {
		id, err := accountOf(ctx, q, account)
		if err != nil || id == 0 {
			return err
		}
		for _, backfill := range [...]bool{false, true} {
			var some []askara.Delivery
			for _, state := range states {
				more, err := s.dueIn(ctx, q, id, state, backfill, now, limit-len(list))
				if err != nil {
					return err
				}
				some = joined(some, more)
			}
			slices.SortFunc(some, func(a, b askara.Delivery) int { return cmp.Compare(a.ID, b.ID) })
			list = joined(list, some[:min(len(some), limit-len(list))])
			if len(list) == limit {
				break
			}
		}
		for i := range list {
			list[i].Account = account
			if err := fillPrevious(ctx, q, id, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// joined is append that copies nothing where one of the two is empty: deliveries are large.
func joined(a, b []askara.Delivery) []askara.Delivery {
	if len(a) == 0 {
		return b
	}
	return append(a, b...)
}

// dueIn reads rows that were never put off and, apart from them, rows whose time has come: each is one short walk of an index.
func (s *Store) dueIn(ctx context.Context, q querier, account int64, state askara.DeliveryState, backfill bool, now time.Time, limit int,
) ([]askara.Delivery, error) {
	const from = `select ` + columns + `, m.raw from delivery d left join metadata m on m.id = d.id
		where d.account = ? and d.state = ? and d.backfill = ? and `
	fresh, err := rowsOf(ctx, q, s.scanDue(), from+`d.next_attempt_at = 0 order by d.id limit ?`, account, int(state), backfill, limit)
	if err != nil {
		return nil, err
	}
	again, err := rowsOf(ctx, q, s.scanDue(), from+`d.next_attempt_at between 1 and ? order by d.next_attempt_at, d.id limit ?`,
		account, int(state), backfill, now.UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	// Nothing is put off for longer: the clock has been set back since.
	astray, err := rowsOf(ctx, q, s.scanDue(), from+`d.next_attempt_at > ? order by d.next_attempt_at, d.id limit ?`,
		account, int(state), backfill, now.Add(longest).UnixMilli(), limit)
	return joined(joined(fresh, again), astray), err
}

// longest is longer than anything puts a delivery off.
const longest = 48 * time.Hour

// scanDue returns what reads rows with the documents' metadata. A document that cannot be read any more is still fetched by its uuid.
func (s *Store) scanDue() func(*sql.Rows) (askara.Delivery, error) {
	var raw []byte
	scanner := newRowScanner(&raw)
	return func(rows *sql.Rows) (askara.Delivery, error) {
		d, err := scanner.scan(rows)
		if err == nil && len(raw) > 0 {
			s.fillDocument(&d, raw)
		}
		return d, err
	}
}

// fillDocument gives a delivery its document's metadata.
func (s *Store) fillDocument(d *askara.Delivery, raw []byte) {
	d.Document.Raw = raw
	if s.cfg.Decode == nil {
		return
	}
	doc, err := s.cfg.Decode(raw)
	if err != nil || doc.UUID != d.UUID {
		s.log.Warn("stored document unreadable", "document", d.UUID)
		return
	}
	doc.Order, doc.UpdatedAt, doc.ValidatedAt = d.Document.Order, d.Document.UpdatedAt, d.Document.ValidatedAt
	d.Document = doc
}

// fillPrevious sets the checksum of the newest delivered revision before d.
func fillPrevious(ctx context.Context, q querier, account int64, d *askara.Delivery) error {
	for revision := d.Revision; revision > 1; {
		r, found, err := find(ctx, q.QueryContext, account, d.UUID, 1, revision-1)
		if err != nil || !found {
			return err
		}
		if isDelivered(r.State) && r.Receipt.SHA256 != (askara.Checksum{}) {
			d.Previous = r.Receipt.SHA256
			return nil
		}
		revision = r.Revision
	}
	return nil
}

// Waiting counts rows of the account in the states, due or not. It reads the count and not the rows.
func (s *Store) Waiting(ctx context.Context, account string, states ...askara.DeliveryState) (n int, err error) {
	for _, state := range states {
		var rows int
		err := s.read.QueryRowContext(ctx, `select count from tally where account = (select id from account where name = ?) and state = ?`,
			account, int(state)).Scan(&rows)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, s.fail("count queue", err)
		}
		n += rows
	}
	return n, nil
}

// Save writes a batch in one transaction: on return all of it survives a power cut, or, on an error, none of it was written. A delivery
// is found by its account, uuid and revision; one whose row is gone is recorded anew, since what was done must not be forgotten.
func (s *Store) Save(ctx context.Context, batch []askara.Delivery) error {
	if len(batch) == 0 {
		return nil
	}
	return s.hard.update(ctx, "save deliveries", func(ctx context.Context, t *tx) error {
		accounts := map[string]int64{}
		for _, d := range batch {
			account, ok := accounts[d.Account]
			if !ok {
				var err error
				if account, err = t.account(ctx, d.Account); err != nil {
					return err
				}
				accounts[d.Account] = account
			}
			if err := t.save(ctx, account, d); err != nil {
				return fmt.Errorf("document %s: %w", d.UUID, err)
			}
		}
		return nil
	})
}

func (t *tx) save(ctx context.Context, account int64, d askara.Delivery) error {
	if d.UUID == "" || d.Revision < 1 || d.State < askara.Pending || d.State > askara.Unchanged {
		return fmt.Errorf("cannot save revision %d in state %d", d.Revision, d.State)
	}
	done, err := t.step(ctx, account, d)
	if err == nil && !done {
		done, err = t.replace(ctx, account, d)
	}
	if err != nil || !done || d.Confirmation.Order.IsZero() {
		return err
	}
	return t.sight(ctx, account, d.UUID, d.Confirmation.Order)
}

// replace writes a delivery in the place of whatever row it has, and tells whether it did. It is the long way of step.
func (t *tx) replace(ctx context.Context, account int64, d askara.Delivery) (bool, error) {
	was, found, err := t.find(ctx, account, d.UUID, d.Revision, d.Revision)
	if err != nil {
		return false, err
	}
	if d.State == askara.Unchanged {
		return false, t.fold(ctx, account, was, found, d)
	}
	if found && was.State == askara.Pending && told(d) {
		return false, nil // a person had it tried again while Askara was being told of the failure
	}
	if found {
		d.DiscoveredAt = was.DiscoveredAt
		if d.Document.UUID == "" {
			d.Document = was.Document
		}
	}
	if isDelivered(d.State) {
		if d.DeliveredAt.IsZero() {
			d.DeliveredAt = was.DeliveredAt
		}
		if d.DeliveredAt.IsZero() {
			d.DeliveredAt = time.Now()
		}
		if !isDelivered(was.State) {
			t.tally.delivered(account, d.DeliveredAt)
		}
	}
	return true, t.put(ctx, account, was, found, d)
}

// told says whether d is what came of telling Askara that it was given up: only then a parked delivery is put off.
func told(d askara.Delivery) bool {
	return d.State == askara.Reported || d.State == askara.Parked && !d.NextAttemptAt.IsZero()
}

// fold removes a revision that turned out to be the same bytes as the one before it, which gets its dates. Where Askara does not say
// that it knows of the import, it is told again.
func (t *tx) fold(ctx context.Context, account int64, was row, found bool, d askara.Delivery) error {
	r, ok, err := t.find(ctx, account, d.UUID, 1, d.Revision-1)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("there is no earlier revision that it could be the same as")
	}
	doc := d.Document
	if doc.UUID == "" && found {
		doc.Order, doc.UpdatedAt, doc.ValidatedAt = was.Document.Order, was.Document.UpdatedAt, was.Document.ValidatedAt
	}
	if found {
		if err := t.remove(ctx, account, was); err != nil {
			return err
		}
	}
	if r.State != askara.Confirmed || doc.SynchronizationStatus == "" || doc.SynchronizationStatus == synchronized {
		return t.remember(ctx, r, doc)
	}
	again := r.Delivery
	again.State, again.Attempts, again.Document = askara.Delivered, 0, doc
	return t.put(ctx, account, r, true, again)
}

// synchronized is Askara's word for a document whose import was confirmed.
const synchronized = "synchronized"
