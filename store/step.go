package store

import (
	"context"
	"database/sql"

	"askara-sync/askara"
)

// Nearly every row that is saved was in the state before, and is one that this process has read whole. Such a row is moved on by one
// statement that insists on it, in the place of one that reads and one that writes; any other row is left to the long way.

// exact picks a delivery's row if it still is what the delivery was read from.
const exact = ` and account = ? and uuid = ? and revision = ? and state = ?`

// step moves a row on where it is in the state that comes before d's, and tells whether it was.
func (t *tx) step(ctx context.Context, account int64, d askara.Delivery) (done bool, err error) {
	// What the row knows of the document has to be kept, and when it was delivered, which a step that is not the first may leave out.
	if d.ID == 0 || d.Document.UUID == "" || isDelivered(d.State) && d.DeliveredAt.IsZero() {
		return false, nil
	}
	switch d.State {
	case askara.Staged:
		done, err = t.stepOpen(ctx, account, askara.Pending, d)
	case askara.Delivered:
		done, err = t.stepOpen(ctx, account, askara.Staged, d)
	case askara.Closed:
		done, err = t.stepOut(ctx, account, askara.Staged, d)
	case askara.Confirmed:
		return t.stepOut(ctx, account, askara.Delivered, d)
	}
	if done && err == nil && isDelivered(d.State) {
		t.tally.delivered(account, d.DeliveredAt)
	}
	return done, err
}

func (t *tx) stepOpen(ctx context.Context, account int64, from askara.DeliveryState, d askara.Delivery) (bool, error) {
	n, err := t.change(ctx, setOpen+exact, append(openValues(d), d.ID, account, key(d.UUID), d.Revision, int(from))...)
	if err != nil || n == 0 {
		return false, err
	}
	return true, t.moved(ctx, account, d.ID, from, d.State)
}

// stepOut moves a row to the archive.
func (t *tx) stepOut(ctx context.Context, account int64, from askara.DeliveryState, d askara.Delivery) (bool, error) {
	var discovered sql.NullInt64
	found, err := t.scan(ctx, `delete from delivery where id = ?`+exact+` returning discovered_at`,
		[]any{d.ID, account, key(d.UUID), d.Revision, int(from)}, &discovered)
	if err != nil || !found {
		return false, err
	}
	t.tally.add(account, from, -1)
	d.DiscoveredAt = fromMillis(discovered)
	return true, t.insertArchive(ctx, account, d)
}
