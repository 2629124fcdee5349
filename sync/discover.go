package sync

import (
	"context"
	"fmt"
	"time"

	"askara-sync/askara"
)

const (
	// rounds is how often a list that may have drifted while it was read is read again until nothing new turns up.
	rounds = 5
	// pageAsked is how many items a page holds where the server gives what is asked for.
	pageAsked = 100
	// unorderedPace is how long each page of an unordered list postpones the next reading of it, so that reading a long list
	// over and over takes at most half of the documented refill (500 requests in 15 minutes).
	unorderedPace = 4 * time.Second
	// quiet is how much longer than the overlap nothing has to have come before the cursor counts as settled. It bounds how far this
	// machine's clock may be ahead of the server's without harm.
	quiet = 30 * time.Minute
	// stale is the age from which a document that was never seen before counts as backfill and lets fresh ones go first.
	stale = 24 * time.Hour
)

// enlist records the range that a person asked for, so that it survives whatever stops this pass.
func (p *pass) enlist(ctx context.Context) error {
	q := p.request
	if q.Since.IsZero() && q.Until.IsZero() {
		return nil
	}
	cur, err := p.Catalog.Cursor(ctx, p.Account)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	if cur.At.IsZero() && q.Until.IsZero() {
		return nil // the first walk of all begins there instead
	}
	open, err := p.Requests.Backfills(ctx, p.Account)
	if err != nil {
		return fmt.Errorf("read the backfills: %w", err)
	}
	for _, b := range open {
		if b.Until.Equal(q.Until) && !b.Since.After(q.Since) {
			return nil // a range that was begun earlier covers it
		}
	}
	if _, err := p.Requests.AddBackfill(ctx, askara.Backfill{Account: p.Account, Since: q.Since, Until: q.Until}); err != nil {
		return fmt.Errorf("record the backfill: %w", err)
	}
	return nil
}

// discover makes rows of everything new: the regular walk first, then the ranges that were asked for.
func (p *pass) discover(ctx context.Context) error {
	cur, err := p.Catalog.Cursor(ctx, p.Account)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	if p.tooSoon(cur) {
		p.Logger.Debug("list not read", "why", "the server ignores order or bound, and reading it whole too often would spend the budget",
			"pages", cur.Pages)
	} else if err := p.regular(ctx, cur); err != nil {
		return err
	}
	open, err := p.Requests.Backfills(ctx, p.Account)
	if err != nil {
		return fmt.Errorf("read the backfills: %w", err)
	}
	for _, b := range open {
		if err := p.backfill(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// tooSoon says whether an unordered list was read so recently that a regular pass leaves it for a later one.
func (p *pass) tooSoon(cur askara.Cursor) bool {
	return cur.Unordered && !p.request.Manual && recent(cur.WalkedAt, time.Duration(cur.Pages)*unorderedPace)
}

// recent says whether t was at most d ago. A time to come, written before the clock was set back, was not.
func recent(t time.Time, d time.Duration) bool {
	age := time.Since(t)
	return age >= 0 && age <= d
}

// regular walks the list from a little behind the cursor.
func (p *pass) regular(ctx context.Context, cur askara.Cursor) error {
	since := p.request.Since
	if !cur.At.IsZero() {
		since = bound(cur, p.Overlap)
		switch done, err := p.peek(ctx, cur, since); {
		case err != nil:
			return err
		case done:
			return nil
		}
	}
	was := cur.Unordered
	for range rounds {
		steady, err := p.round(ctx, &cur, since)
		if err != nil {
			return err
		}
		if steady {
			break
		}
	}
	if cur.Unordered && !was {
		p.Logger.Warn("the server ignores the order or the bound of the list, so every page is read", "pages", cur.Pages,
			"hint", "`askara-sync doctor` proposes a setting")
	}
	return nil
}

// bound is where a walk begins: so far behind the cursor that nothing is missed that the server shows late. After a long quiet time
// everything up to the cursor has been walked when it could not change any more, and the walk begins right behind it: a burst
// of confirmations would otherwise be read again with every pass until the next document comes.
func bound(cur askara.Cursor, overlap time.Duration) time.Time {
	if cur.WalkedAt.Sub(cur.At) > overlap+quiet {
		return cur.At.Add(time.Microsecond)
	}
	return cur.At.Add(-overlap)
}

// round walks the list once. It reports false where rows may have drifted past it, and moves the cursor only as far as that
// cannot be.
func (p *pass) round(ctx context.Context, cur *askara.Cursor, since time.Time) (steady bool, err error) {
	w := &walker{source: p.Source, since: since, size: cur.PageSize} // finds out anew whether order is kept, for servers get mended
	top, fresh := cur.At, 0
	for page, err := range w.walk(ctx) {
		if err != nil {
			return false, fmt.Errorf("list documents: %w", err)
		}
		top = later(top, credible(page))
		next := *cur
		next.At, next.PageSize = later(cur.At, p.reach(w, top)), max(w.size, page.Len())
		n, err := p.record(ctx, askara.Listing{Documents: page.Documents, Cursor: &next}, page)
		if err != nil {
			return false, err
		}
		*cur = next
		fresh += n
	}
	steady = w.steady() || fresh == 0
	if !steady {
		return false, nil
	}
	next := *cur
	next.At = later(cur.At, top)
	next.WalkedAt, next.Pages, next.Unordered, next.PageSize = time.Now(), w.pages, w.ignored, w.size
	if next.At.Equal(cur.At) && next.Unordered == cur.Unordered && next.PageSize == cur.PageSize && recent(cur.WalkedAt, p.Overlap/4) {
		return true, nil // nothing worth a commit
	}
	if _, err := p.record(ctx, askara.Listing{Cursor: &next}, askara.Page{}); err != nil {
		return false, err
	}
	*cur = next
	return true, nil
}

// reach is how far a walk in progress lets the cursor move: to the newest item on a steady walk, not past the first turned
// page on one that had to turn pages, and nowhere on a list without order.
func (p *pass) reach(w *walker, top time.Time) time.Time {
	switch {
	case w.ignored:
		return time.Time{}
	case !w.turned.IsZero() && w.turned.Before(top):
		return w.turned
	}
	return top
}

// credible returns the newest order value of the page that does not lie in the future, zero where there is none: one document with an
// absurd date must not move the cursor past all that come after it.
func credible(p askara.Page) (newest time.Time) {
	now := time.Now()
	for _, d := range p.Documents {
		if !d.Order.After(now) {
			newest = later(newest, d.Order)
		}
	}
	return newest
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// record makes rows of one page in one transaction and returns how many of them are new.
func (p *pass) record(ctx context.Context, l askara.Listing, page askara.Page) (fresh int, err error) {
	now := time.Now()
	l.Account, l.Siblings, l.At, l.BackfillBefore = p.Account, p.Siblings, now, now.Add(-stale)
	if l.Cursor != nil && !l.Cursor.At.IsZero() {
		l.WindowFrom = l.Cursor.At.Add(-p.Overlap)
	}
	got, err := p.Catalog.Record(ctx, l)
	if err != nil {
		return 0, fmt.Errorf("record a page: %w", err)
	}
	if page.Malformed > 0 {
		p.Logger.Warn("items without a usable uuid left out", "items", page.Malformed)
	}
	p.sum.Listed += page.Len()
	p.sum.Already += got.Known
	p.watch()
	return got.New, nil
}

// backfill walks a range that was asked for, from where it was left, to its end.
func (p *pass) backfill(ctx context.Context, b askara.Backfill) error {
	cur, err := p.Catalog.Cursor(ctx, p.Account)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	for range rounds {
		w := &walker{source: p.Source, since: later(b.Since, b.At), until: b.Until, size: cur.PageSize}
		top, fresh := b.At, 0
		for page, err := range w.walk(ctx) {
			if err != nil {
				return fmt.Errorf("list documents of the backfill: %w", err)
			}
			top = later(top, credible(page))
			b.At = later(b.At, p.reach(w, top))
			n, err := p.record(ctx, askara.Listing{Documents: within(page.Documents, b), Backfill: &b}, page)
			if err != nil {
				return err
			}
			fresh += n
		}
		if w.steady() || fresh == 0 {
			break
		}
	}
	b.Done = true
	if _, err := p.record(ctx, askara.Listing{Backfill: &b}, askara.Page{}); err != nil {
		return err
	}
	bounds := []any{"since", b.Since.Format(time.RFC3339)}
	if !b.Until.IsZero() {
		bounds = append(bounds, "until", b.Until.Format(time.RFC3339))
	}
	p.Logger.Info("backfill listed", bounds...)
	return nil
}

// within drops what a server that ignores bounds put on the page although it lies outside of the range.
func within(docs []askara.Document, b askara.Backfill) []askara.Document {
	var in []askara.Document
	for _, d := range docs {
		if d.Order.IsZero() || !d.Order.Before(b.Since) && (b.Until.IsZero() || d.Order.Before(b.Until)) {
			in = append(in, d)
		}
	}
	return in
}
