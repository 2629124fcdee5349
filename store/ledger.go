package store

import (
	"context"
	"fmt"
	"time"

	"askara-sync/askara"
)

// verdict is what a listed document means to the ledger.
type verdict int

const (
	verdictNone    verdict = iota // not ready and never seen: nothing but a sighting
	verdictNew                    // a row for the next revision
	verdictRefresh                // pending, and to be described as it is now
	verdictHold                   // pending, and not ready any more: it goes until it is ready again
	verdictRevive                 // given up, but it has changed since
	verdictKnown                  // nothing to do but to remember its dates
	verdictWait                   // had before, and not ready now
)

// judge compares a listed document with the newest revision that is known. It decides whether a document is fetched, and so whether
// one is lost or doubled.
func judge(r row, found bool, doc askara.Document) verdict {
	switch {
	case !found && !doc.Ready:
		return verdictNone
	case !found:
		return verdictNew
	case r.State == askara.Pending && !doc.Ready:
		return verdictHold
	case r.State == askara.Pending:
		return verdictRefresh
	case !doc.Ready:
		return verdictWait
	case r.State == askara.Parked || r.State == askara.Reported:
		if revised(r, doc) {
			return verdictRevive
		}
		return verdictKnown
	case unrevised(r, doc):
		return verdictKnown
	}
	return verdictNew
}

// unrevised tells whether a document is still the one that was delivered. Where both have a validatedAt, that alone decides: the other
// dates, which may be whole seconds, are the same for a document that is confirmed and validated again within one.
func unrevised(r row, doc askara.Document) bool {
	if !doc.ValidatedAt.IsZero() && !r.Document.ValidatedAt.IsZero() {
		return sameDate(doc.ValidatedAt, r.Document.ValidatedAt)
	}
	return seen(r, doc)
}

// seen tells whether the document is listed just as it was last, or just as our own confirmation left it.
func seen(r row, doc askara.Document) bool {
	return sameDate(doc.UpdatedAt, r.Document.UpdatedAt) && sameDate(doc.Order, r.Document.Order) || confirmed(r, doc)
}

// confirmed tells whether the document's dates are those of Askara's answer to our confirmation. The answer may have only one of them.
func confirmed(r row, doc askara.Document) bool {
	c := r.Confirmation
	if c.UpdatedAt.IsZero() && c.Order.IsZero() {
		return false
	}
	return (c.UpdatedAt.IsZero() || sameDate(doc.UpdatedAt, c.UpdatedAt)) && (c.Order.IsZero() || sameDate(doc.Order, c.Order))
}

// revised tells whether a document that was given up is another one now. Reporting the failure moves updatedAt, which alone says
// nothing where there is a validatedAt.
func revised(r row, doc askara.Document) bool {
	if !doc.ValidatedAt.IsZero() || !r.Document.ValidatedAt.IsZero() {
		return !sameDate(doc.ValidatedAt, r.Document.ValidatedAt)
	}
	return !sameDate(doc.UpdatedAt, r.Document.UpdatedAt) && !confirmed(r, doc)
}

// Record makes rows of what is new on a page, remembers what is listed where, and moves cursor and backfill, in one transaction: on
// return all of it survives a power cut, or, on an error, none of it was written. A page on which nothing is new costs no write.
func (s *Store) Record(ctx context.Context, l askara.Listing) (rec askara.Recorded, err error) {
	err = s.hard.update(ctx, "record page", func(ctx context.Context, t *tx) error {
		rec = askara.Recorded{}
		account, err := t.account(ctx, l.Account)
		if err != nil {
			return err
		}
		if err := t.forgetSightings(ctx, account, l.WindowFrom); err != nil {
			return err
		}
		for _, doc := range l.Documents {
			if doc.UUID == "" {
				continue
			}
			if err := t.record(ctx, account, l, doc, &rec); err != nil {
				return fmt.Errorf("document %s: %w", doc.UUID, err)
			}
		}
		if l.Cursor != nil {
			if err := t.saveCursor(ctx, account, *l.Cursor); err != nil {
				return err
			}
		}
		if l.Backfill != nil {
			return t.saveBackfill(ctx, account, *l.Backfill)
		}
		return nil
	})
	return rec, err
}

func (t *tx) record(ctx context.Context, account int64, l askara.Listing, doc askara.Document, rec *askara.Recorded) error {
	if err := t.sight(ctx, account, doc.UUID, doc.Order); err != nil {
		return err
	}
	r, found, err := t.find(ctx, account, doc.UUID, 1, newest)
	if err != nil {
		return err
	}
	if !found && len(l.Siblings) > 0 {
		if theirs, err := t.siblingHas(ctx, l.Siblings, doc.UUID); err != nil || theirs {
			rec.Known++
			return err
		}
	}
	backfill := l.Backfill != nil || !doc.Order.IsZero() && doc.Order.Before(l.BackfillBefore)
	switch judge(r, found, doc) {
	case verdictNone, verdictWait:
		rec.Waiting++
		return nil
	case verdictHold:
		rec.Waiting++
		return t.remove(ctx, account, r)
	case verdictKnown:
		rec.Known++
		if confirmed(r, doc) {
			return nil // remembered already
		}
		return t.remember(ctx, r, doc)
	case verdictRefresh:
		rec.Known++
		return t.describe(ctx, r, doc, r.Backfill && backfill)
	case verdictRevive:
		rec.New++
		again := r.Delivery
		again.State, again.Attempts, again.Reason, again.NextAttemptAt = askara.Pending, 0, "", time.Time{}
		again.Confirmation = askara.Confirmation{}
		if err := t.updateOpen(ctx, account, r, again); err != nil {
			return err
		}
		return t.describe(ctx, r, doc, r.Backfill && backfill)
	}
	rec.New++
	_, err = t.insertOpen(ctx, account, askara.Delivery{UUID: doc.UUID, Revision: r.Revision + 1, State: askara.Pending,
		Document: doc, Backfill: backfill, DiscoveredAt: l.At})
	return err
}

// siblingHas tells whether one of the accounts that deliver to the same place has a row for the document, in whatever version: it
// delivers this one too, and every later revision.
func (t *tx) siblingHas(ctx context.Context, siblings []string, uuid string) (bool, error) {
	for _, name := range siblings {
		account, err := t.account(ctx, name)
		if err != nil {
			return false, err
		}
		if _, found, err := t.find(ctx, account, uuid, 1, newest); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// describe gives a row the dates and the metadata that its document has now; a row that is as it should be is not written.
func (t *tx) describe(ctx context.Context, r row, doc askara.Document, backfill bool) error {
	if err := t.remember(ctx, r, doc); err != nil {
		return err
	}
	if r.Backfill != backfill {
		if _, err := t.exec(ctx, `update delivery set backfill = ? where id = ?`, backfill, r.ID); err != nil {
			return err
		}
	}
	if len(doc.Raw) == 0 {
		return nil
	}
	_, err := t.exec(ctx, `insert into metadata (id, raw) values (?, ?)
		on conflict do update set raw = excluded.raw where raw <> excluded.raw`, r.ID, []byte(doc.Raw))
	return err
}

// Unrecorded returns those of the documents for which Record would make a row, and writes nothing.
func (s *Store) Unrecorded(ctx context.Context, account string, docs []askara.Document) (list []askara.Document, err error) {
	err = s.view(ctx, "look up documents", func(q querier) error {
		id, err := accountOf(ctx, q, account)
		if err != nil {
			return err
		}
		for _, doc := range docs {
			r, found, err := find(ctx, q.QueryContext, id, doc.UUID, 1, newest)
			if err != nil {
				return err
			}
			if v := judge(r, found, doc); v == verdictNew || v == verdictRevive {
				list = append(list, doc)
			}
		}
		return nil
	})
	return list, err
}
