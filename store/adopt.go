package store

import (
	"context"
	"fmt"
	"time"

	"askara-sync/askara"
)

// Adopt records, after a repair that is in doubt, what a destination is seen to have: each delivery says uuid, revision (0 means 1) and,
// as far as known, receipt and dates. What the ledger knows to be delivered stays as it is. A document that waits to be fetched counts
// as delivered where the dates say that it is the one the destination has; where they do not tell, it is fetched once more and compared
// by its checksum, so that it is neither lost nor delivered twice. An adopted delivery is confirmed again unless its State says Confirmed
// or Closed. Adopt returns how many it recorded.
func (s *Store) Adopt(ctx context.Context, account string, found []askara.Delivery) (adopted int, err error) {
	err = s.hard.update(ctx, "adopt deliveries", func(ctx context.Context, t *tx) error {
		adopted = 0
		id, err := t.account(ctx, account)
		if err != nil {
			return err
		}
		for _, d := range found {
			ok, err := t.adopt(ctx, id, d)
			if err != nil {
				return fmt.Errorf("document %s: %w", d.UUID, err)
			}
			if ok {
				adopted++
			}
		}
		return nil
	})
	return adopted, err
}

func (t *tx) adopt(ctx context.Context, account int64, d askara.Delivery) (bool, error) {
	d.Revision = max(d.Revision, 1)
	if !isDelivered(d.State) {
		d.State = askara.Delivered
	}
	if d.UUID == "" || d.Receipt.SHA256 == (askara.Checksum{}) {
		return false, nil // nothing that a document could be compared with
	}
	d.Document = askara.Document{UUID: d.UUID, Order: d.Document.Order, UpdatedAt: d.Document.UpdatedAt, ValidatedAt: d.Document.ValidatedAt}
	d.Attempts, d.NextAttemptAt, d.Reason, d.Receipt.Staged = 0, time.Time{}, "", ""
	r, known, err := t.find(ctx, account, d.UUID, d.Revision, d.Revision)
	if err != nil || known && r.State != askara.Pending {
		return false, err
	}
	if r, known, err = t.find(ctx, account, d.UUID, 1, newest); err != nil {
		return false, err
	}
	if known && r.State != askara.Pending {
		if r.Revision >= d.Revision {
			return false, nil
		}
		return true, t.put(ctx, account, row{}, false, d)
	}
	if known {
		if current(d, r.Document) {
			err = t.remove(ctx, account, r)
		} else {
			_, err = t.exec(ctx, `update delivery set revision = ? where id = ?`, max(r.Revision, d.Revision+1), r.ID)
		}
		if err != nil {
			return false, err
		}
	}
	return true, t.put(ctx, account, row{}, false, d)
}

// current tells whether the dates of a delivery say that it is the document as it is listed now.
func current(d askara.Delivery, doc askara.Document) bool {
	if !d.Document.ValidatedAt.IsZero() {
		return sameDate(d.Document.ValidatedAt, doc.ValidatedAt)
	}
	return !d.Document.UpdatedAt.IsZero() && seen(row{Delivery: d}, doc)
}
