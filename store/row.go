package store

import (
	"context"
	"database/sql"
	"math"
	"time"

	"askara-sync/askara"
)

// A revision of a document is a row of delivery while something is left to do about it and a row of archive afterwards. It is known by
// account, uuid and revision; its number (Delivery.ID) is another one once it is in the archive.

// columns of delivery in the order of a rowScanner.
const columns = `d.id, d.uuid, d.revision, d.state, d.backfill, d.next_attempt_at, d.attempts, d.reason,
	d.order_us, d.updated_us, d.validated_us, d.confirmed_order_us, d.confirmed_updated_us,
	d.staged, d.name, d.size, d.sha256, d.discovered_at, d.delivered_at`

// archived is the same of archive.
const archived = `d.id, d.uuid, d.revision, d.state, 0, 0, 0, null,
	d.order_us, coalesce(d.updated_us, d.order_us), d.validated_us, coalesce(d.confirmed_order_us, d.confirmed_updated_us), d.confirmed_updated_us,
	null, d.name, d.size, d.sha256, d.discovered_at, d.delivered_at`

// noDate stands for the zero time where null means "as the other column".
const noDate = math.MinInt64

// row is a revision as it is stored.
type row struct {
	archived bool
	askara.Delivery
}

// rowScanner reads rows of the columns, and what a query has behind them, one after the other. What they are read into is made once.
type rowScanner struct {
	dest []any
	d    askara.Delivery // what needs no conversion
	uuid any
	next int64

	order, updated, validated, confirmedOrder, confirmedUpdated, size, discovered, delivered sql.NullInt64
	reason, staged, name                                                                     sql.NullString
	sum                                                                                      []byte
}

func newRowScanner(more ...any) *rowScanner {
	s := &rowScanner{}
	s.dest = append([]any{&s.d.ID, &s.uuid, &s.d.Revision, &s.d.State, &s.d.Backfill, &s.next, &s.d.Attempts, &s.reason,
		&s.order, &s.updated, &s.validated, &s.confirmedOrder, &s.confirmedUpdated,
		&s.staged, &s.name, &s.size, &s.sum, &s.discovered, &s.delivered}, more...)
	return s
}

// scan reads the present row. The account is the caller's to set.
func (s *rowScanner) scan(rows *sql.Rows) (askara.Delivery, error) {
	if err := rows.Scan(s.dest...); err != nil {
		return askara.Delivery{}, err
	}
	d := s.d
	d.UUID = fromKey(s.uuid)
	d.Document = askara.Document{UUID: d.UUID, Order: fromDate(s.order), UpdatedAt: fromDate(s.updated), ValidatedAt: fromDate(s.validated)}
	d.Confirmation = askara.Confirmation{Order: fromDate(s.confirmedOrder), UpdatedAt: fromDate(s.confirmedUpdated)}
	d.Receipt = askara.Receipt{Staged: s.staged.String, Name: s.name.String, Size: s.size.Int64, SHA256: fromChecksum(s.sum)}
	d.Reason, d.DiscoveredAt, d.DeliveredAt = s.reason.String, fromMillis(s.discovered), fromMillis(s.delivered)
	if s.next != 0 {
		d.NextAttemptAt = time.UnixMilli(s.next).UTC()
	}
	return d, nil
}

// fromDate is fromMicros that knows noDate.
func fromDate(n sql.NullInt64) time.Time {
	if n.Int64 == noDate {
		return time.Time{}
	}
	return fromMicros(n)
}

// due is what is bound for NextAttemptAt: rounded up, so that nothing is due too early.
func due(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Millisecond - 1).UnixMilli()
}

// newest is the revision to ask for where the newest is meant.
const newest = math.MaxInt32

// find returns the newest revision of the document among those from one up to another.
func (t *tx) find(ctx context.Context, account int64, uuid string, from, to int) (r row, found bool, err error) {
	return find(ctx, t.query, account, uuid, from, to)
}

func find(ctx context.Context, query func(context.Context, string, ...any) (*sql.Rows, error), account int64, uuid string, from, to int,
) (r row, found bool, err error) {
	for _, table := range [...]struct {
		query    string
		archived bool
	}{
		{`select ` + columns + ` from delivery d where account = ? and uuid = ? and revision between ? and ? order by revision desc limit 1`, false},
		{`select ` + archived + ` from archive d where account = ? and uuid = ? and revision between ? and ? order by revision desc limit 1`, true},
	} {
		d, ok, err := first(query(ctx, table.query, account, key(uuid), from, to))
		if err != nil {
			return r, false, err
		}
		if ok && (!found || d.Revision > r.Revision) {
			r, found = row{archived: table.archived, Delivery: d}, true
		}
		if found && from == to {
			break // a revision is in one of the tables
		}
	}
	return r, found, nil
}

// first reads the first row, which is mostly the only one.
func first(rows *sql.Rows, err error) (d askara.Delivery, found bool, _ error) {
	if err != nil {
		return d, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return d, false, rows.Err()
	}
	d, err = newRowScanner().scan(rows)
	return d, err == nil, err
}

// insertOpen makes a row of what is on its way, with its metadata.
func (t *tx) insertOpen(ctx context.Context, account int64, d askara.Delivery) (int64, error) {
	id, err := t.insert(ctx, `insert into delivery (account, uuid, revision, state, backfill, next_attempt_at, attempts, reason,
		order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us, staged, name, size, sha256, discovered_at, delivered_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		account, key(d.UUID), d.Revision, int(d.State), d.Backfill, due(d.NextAttemptAt), d.Attempts, text(d.Reason),
		micros(d.Document.Order), micros(d.Document.UpdatedAt), micros(d.Document.ValidatedAt),
		micros(d.Confirmation.Order), micros(d.Confirmation.UpdatedAt),
		text(d.Receipt.Staged), text(d.Receipt.Name), count(d.Receipt.Size), checksum(d.Receipt.SHA256), millis(d.DiscoveredAt), millis(d.DeliveredAt))
	if err != nil {
		return 0, err
	}
	t.tally.add(account, d.State, 1)
	if len(d.Document.Raw) > 0 && !isDelivered(d.State) {
		_, err = t.exec(ctx, `insert into metadata (id, raw) values (?, ?)`, id, []byte(d.Document.Raw))
	}
	return id, err
}

// setOpen writes a row of what is on its way again, with openValues and the row's id.
const setOpen = `update delivery set state = ?, backfill = ?, next_attempt_at = ?, attempts = ?, reason = ?,
	order_us = ?, updated_us = ?, validated_us = ?, confirmed_order_us = ?, confirmed_updated_us = ?,
	staged = ?, name = ?, size = ?, sha256 = ?, delivered_at = ? where id = ?`

func openValues(d askara.Delivery) []any {
	return []any{int(d.State), d.Backfill, due(d.NextAttemptAt), d.Attempts, text(d.Reason),
		micros(d.Document.Order), micros(d.Document.UpdatedAt), micros(d.Document.ValidatedAt),
		micros(d.Confirmation.Order), micros(d.Confirmation.UpdatedAt),
		text(d.Receipt.Staged), text(d.Receipt.Name), count(d.Receipt.Size), checksum(d.Receipt.SHA256), millis(d.DeliveredAt)}
}

// updateOpen writes a row of what is on its way again.
func (t *tx) updateOpen(ctx context.Context, account int64, was row, d askara.Delivery) error {
	if _, err := t.exec(ctx, setOpen, append(openValues(d), was.ID)...); err != nil {
		return err
	}
	return t.moved(ctx, account, was.ID, was.State, d.State)
}

// moved follows an open row from one state to another. Its metadata goes once it is delivered.
func (t *tx) moved(ctx context.Context, account, id int64, from, to askara.DeliveryState) (err error) {
	t.tally.add(account, from, -1)
	t.tally.add(account, to, 1)
	if isDelivered(to) && !isDelivered(from) {
		_, err = t.exec(ctx, `delete from metadata where id = ?`, id)
	}
	return err
}

// insertArchive makes a row of what is finished.
func (t *tx) insertArchive(ctx context.Context, account int64, d askara.Delivery) error {
	updated, confirmedOrder := micros(d.Document.UpdatedAt), micros(d.Confirmation.Order)
	switch {
	case sameDate(d.Document.UpdatedAt, d.Document.Order):
		updated = nil
	case d.Document.UpdatedAt.IsZero():
		updated = int64(noDate)
	}
	switch {
	case sameDate(d.Confirmation.Order, d.Confirmation.UpdatedAt):
		confirmedOrder = nil
	case d.Confirmation.Order.IsZero():
		confirmedOrder = int64(noDate)
	}
	_, err := t.exec(ctx, `insert into archive (account, uuid, revision, state, order_us, updated_us, validated_us,
		confirmed_order_us, confirmed_updated_us, name, size, sha256, discovered_at, delivered_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		account, key(d.UUID), d.Revision, int(d.State), micros(d.Document.Order), updated, micros(d.Document.ValidatedAt),
		confirmedOrder, micros(d.Confirmation.UpdatedAt),
		text(d.Receipt.Name), count(d.Receipt.Size), checksum(d.Receipt.SHA256), millis(d.DiscoveredAt), millis(d.DeliveredAt))
	if err == nil {
		t.tally.add(account, d.State, 1)
	}
	return err
}

// remove takes a row out, with its metadata.
func (t *tx) remove(ctx context.Context, account int64, r row) error {
	var err error
	if r.archived {
		_, err = t.exec(ctx, `delete from archive where id = ?`, r.ID)
	} else {
		_, err = t.exec(ctx, `delete from delivery where id = ?`, r.ID) // metadata with it
	}
	if err == nil {
		t.tally.add(account, r.State, -1)
	}
	return err
}

// put writes a revision, wherever it was, to where its state belongs.
func (t *tx) put(ctx context.Context, account int64, was row, found bool, d askara.Delivery) error {
	if found && !was.archived && !isFinished(d.State) {
		return t.updateOpen(ctx, account, was, d)
	}
	if found {
		if err := t.remove(ctx, account, was); err != nil {
			return err
		}
	}
	if isFinished(d.State) {
		return t.insertArchive(ctx, account, d)
	}
	_, err := t.insertOpen(ctx, account, d)
	return err
}

// remember writes the dates that a document is now listed with, and nothing else.
func (t *tx) remember(ctx context.Context, r row, doc askara.Document) error {
	if sameDate(r.Document.Order, doc.Order) && sameDate(r.Document.UpdatedAt, doc.UpdatedAt) && sameDate(r.Document.ValidatedAt, doc.ValidatedAt) {
		return nil
	}
	query, updated := `update delivery set order_us = ?, updated_us = ?, validated_us = ? where id = ?`, micros(doc.UpdatedAt)
	if r.archived {
		query = `update archive set order_us = ?, updated_us = ?, validated_us = ? where id = ?`
		switch {
		case sameDate(doc.UpdatedAt, doc.Order):
			updated = nil
		case doc.UpdatedAt.IsZero():
			updated = int64(noDate)
		}
	}
	_, err := t.exec(ctx, query, micros(doc.Order), updated, micros(doc.ValidatedAt), r.ID)
	return err
}
