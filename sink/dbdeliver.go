package sink

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"askara-sync/askara"
)

const (
	// chunkBytes and chunkRows bound one transaction, so that neither locks nor the server's log grow without end.
	chunkBytes = 32 << 20
	chunkRows  = 100
	// streamAbove is the size from which a document is streamed where that is possible, and always alone in its transaction.
	streamAbove = 8 << 20
	// laneBytes is what a transaction beside others is worth, and laneDocument the largest document that one may hold.
	laneBytes    = 1 << 20
	laneDocument = 2 << 20
	// transientTries is how often a transaction that met a deadlock is tried.
	transientTries = 6
)

// Deliver implements the destination of a pass. A batch is committed together; where it cannot be, each document is tried on its
// own, so that a bad one holds up no other. An error that is the database's own ends the batch: what is not committed then, or
// is not known to be, waits and is looked for by Settle or by the next Deliver.
func (d *Database) Deliver(ctx context.Context, batch []askara.Delivery) []error {
	r := &run{d: d, batch: batch, errs: make([]error, len(batch)), done: make([]bool, len(batch)), moved: make([]bool, len(batch))}
	if len(batch) == 0 {
		return r.errs
	}
	r.deliver(ctx)
	return r.errs
}

// run is one Deliver, or the end of one that was interrupted.
type run struct {
	d     *Database
	facts *facts
	batch []askara.Delivery
	errs  []error
	// done marks deliveries whose outcome is known and in errs.
	done []bool
	// moved marks deliveries whose file is in the folder; only with ContentFile.
	moved []bool
}

func (r *run) deliver(ctx context.Context) {
	var err error
	r.facts, err = r.d.known(ctx)
	for start := 0; start < len(r.batch) && err == nil; {
		end := r.chunkEnd(start)
		var items []int
		for i := start; i < end; i++ {
			items = append(items, i)
		}
		err = r.chunks(ctx, items)
		start = end
	}
	for i := range r.batch {
		if !r.done[i] {
			r.errs[i] = err
		}
	}
}

// chunkEnd is where the transaction that begins with batch[start] ends.
func (r *run) chunkEnd(start int) int {
	large := func(i int) bool { return r.batch[i].Receipt.Size >= streamAbove }
	bytes := r.batch[start].Receipt.Size
	for i := start + 1; i < len(r.batch); i++ {
		bytes += r.batch[i].Receipt.Size
		if bytes > chunkBytes || i-start >= chunkRows || large(i) || large(i-1) {
			return i
		}
	}
	return len(r.batch)
}

// chunks delivers items in one transaction or, where that is worth it and harmless, in several at a time: a server inserts a row on one
// of its processors.
func (r *run) chunks(ctx context.Context, items []int) error {
	lanes := r.lanes(items)
	if lanes == 1 {
		return r.chunk(ctx, items)
	}
	var g errgroup.Group
	for part := range slices.Chunk(items, (len(items)+lanes-1)/lanes) {
		g.Go(func() error { return r.chunk(ctx, part) })
	}
	return g.Wait()
}

// lanes is how many transactions the items are shared among. It is one where an integrator's statement is executed, which may count on
// being alone, and where that many documents are too much memory.
func (r *run) lanes(items []int) int {
	if !r.d.proofOnly || r.d.spool == nil || r.d.dialect.lanes() < 2 {
		return 1
	}
	var bytes int64
	for _, i := range items {
		size := r.batch[i].Receipt.Size
		if size > laneDocument {
			return 1
		}
		bytes += size
	}
	return int(min(max(bytes/laneBytes, 1), int64(r.d.dialect.lanes())))
}

// finish records what became of a delivery. A delivered document's spooled file is not needed any more.
func (r *run) finish(i int, err error) {
	r.errs[i], r.done[i] = err, true
	if err == nil && r.d.spool != nil {
		r.d.spool.drop(&r.batch[i])
	}
}

// chunk delivers items together, or each on its own. Its error is the database's own; then items may be left that are not done.
func (r *run) chunk(ctx context.Context, items []int) error {
	err := r.transact(ctx, items)
	if err == nil || endsBatch(err) {
		return err
	}
	if len(items) == 1 {
		r.finish(items[0], err)
		return nil
	}
	for _, i := range items {
		if r.done[i] {
			continue
		}
		if err := r.transact(ctx, []int{i}); endsBatch(err) {
			return err
		} else if err != nil {
			r.finish(i, err)
		}
	}
	return nil
}

// endsBatch says that an error is no document's own.
func endsBatch(err error) bool {
	switch askara.FaultOf(err) {
	case askara.FaultDestination, askara.FaultConfiguration:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// errAgain says that a transaction was given up for a reason that is dealt with.
var errAgain = errors.New("again")

// transact runs one transaction until it is through or fails for good. After nil all items are done.
func (r *run) transact(ctx context.Context, items []int) error {
	for tries := 1; ; {
		kind, err := r.attempt(ctx, items)
		switch {
		case errors.Is(err, errAgain):
			continue
		case err == nil, kind != troubleTransient, tries == transientTries:
			return err
		}
		if err := pause(ctx, tries); err != nil {
			return err
		}
		tries++
	}
}

// pause waits a little longer with each try; others who met the same deadlock wait another time.
func pause(ctx context.Context, tries int) error {
	most := 10 * time.Millisecond << tries
	t := time.NewTimer(most/2 + rand.N(most/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// attempt is one transaction with those of the items that are not done.
func (r *run) attempt(ctx context.Context, items []int) (troubleKind, error) {
	const op = "insert documents"
	items = slices.DeleteFunc(slices.Clone(items), func(i int) bool { return r.done[i] })
	if len(items) == 0 {
		return troubleOther, nil
	}
	var bytes int64
	for _, i := range items {
		bytes += r.batch[i].Receipt.Size
	}
	ctx, cancel := context.WithTimeout(ctx, r.d.config.Timeout+time.Duration(bytes>>20)*time.Second)
	defer cancel()
	after, err := r.d.dialect.guard()
	if err != nil {
		return troubleDown, failure("find the database file", r.d.dialect.place(), err)
	}
	t, err := r.d.begin(ctx)
	if err != nil {
		return r.d.plain(op, err)
	}
	defer t.close()
	inserted, present, kind, err := r.insertAll(ctx, t, items)
	if err != nil {
		return kind, err
	}
	if r.d.spool == nil {
		if err := r.place(ctx, inserted); err != nil {
			return troubleOther, err
		}
	}
	if err := t.tx.Commit(); err != nil {
		kind, err := r.d.plain("commit documents", err)
		if !definite(kind) {
			err = r.afterLostCommit(ctx, inserted, err)
		}
		return kind, err
	}
	if err := after(); err != nil {
		return troubleDown, failure("find the database file", r.d.dialect.place(), err)
	}
	for _, i := range inserted {
		r.finish(i, nil)
	}
	return r.recognise(ctx, present)
}

// definite says that a failed commit has certainly changed nothing.
func definite(kind troubleKind) bool {
	switch kind {
	case troubleTransient, troubleDuplicate, troubleReference, troubleCheck, troubleRequired, troubleTooLong, troubleBadValue, troubleTooLarge:
		return true
	}
	return false
}

// insertAll sends the rows. present are those that the database has already; a document that cannot be read is done.
func (r *run) insertAll(ctx context.Context, t *txn, items []int) (inserted, present []int, _ troubleKind, _ error) {
	for _, i := range items {
		in, kind, err := r.insert(ctx, t, i)
		switch {
		case errors.Is(err, errDamaged) && !t.streaming:
			r.finish(i, err)
		case err != nil:
			return nil, nil, kind, err
		case in:
			inserted = append(inserted, i)
		default:
			present = append(present, i)
		}
	}
	return inserted, present, troubleOther, nil
}

// insert sends one row, or two where there is a receipt. It returns false where the database has the document.
func (r *run) insert(ctx context.Context, t *txn, i int) (bool, troubleKind, error) {
	d, dl := r.d, &r.batch[i]
	if err := d.fitsServer(dl.Receipt.Size); err != nil && d.spool != nil {
		return false, troubleTooLarge, err
	}
	row := d.row(dl)
	if r.facts.server.asciiOnly {
		if err := d.asciiOnly(row); err != nil {
			return false, troubleEncoding, err
		}
	}
	var content []byte
	if d.spool != nil {
		if s, ok := d.dialect.(streamer); ok && d.proofOnly && dl.Receipt.Size >= streamAbove && s.streams(r.facts.types) {
			return d.stream(ctx, s, t, row, r.facts.types)
		}
		var err error
		if content, err = d.spool.read(dl); err != nil {
			return false, troubleOther, err
		}
	}
	if d.proof != nil && !d.proofOnly {
		if n, kind, err := d.exec(ctx, t, d.proof, row, nil, r.facts); err != nil || n == 0 {
			return false, kind, err
		}
	}
	if d.exists != nil {
		if there, err := d.isThere(ctx, t.tx, row); err != nil || there {
			kind, err := d.plain("look for the document", err)
			return false, kind, err
		}
	}
	n, kind, err := d.exec(ctx, t, d.insert, row, content, r.facts)
	if err != nil || n > 0 {
		return err == nil, kind, err
	}
	if d.proofOnly {
		return false, kind, nil
	}
	if d.insert.tolerant {
		d.config.Logger.Info("row was there already", "document", dl.UUID, "revision", dl.Revision, "table", d.target.String())
		return true, kind, nil
	}
	return false, kind, dbError("insert documents", askara.FaultDocument, "look for a trigger or rule on the table that drops rows",
		"table %s took the statement and has no new row", d.target)
}
