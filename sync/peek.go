package sync

import (
	"context"
	"fmt"
	"time"

	"askara-sync/askara"
)

// peek looks at the end of the list alone. After a long pass the last minutes of the list are full of our own confirmations; a
// walk would read page after page of what is known. So where more than a page is known to be listed, the page on which the
// known part ends is asked for: if it shows exactly that end, nothing was put in before it, and what follows it is new.
//
// One row gone and another put in before the end at the same time would go unseen, so this stands in for a walk only for half of
// the overlap: within the other half a walk reads everything that could have been put in.
//
// It reports false where a walk is needed.
func (p *pass) peek(ctx context.Context, cur askara.Cursor, since time.Time) (done bool, err error) {
	if cur.Unordered || cur.PageSize != pageAsked || !recent(cur.WalkedAt, p.Overlap/2) {
		return false, nil
	}
	known, err := p.Catalog.Window(ctx, p.Account, since)
	if err != nil {
		return false, fmt.Errorf("read what is known: %w", err)
	}
	if len(known) < pageAsked {
		return false, nil // one page holds it all anyway
	}
	q := askara.Query{Since: since, Page: len(known)/pageAsked + 1}
	page, err := p.Source.List(ctx, q)
	if err != nil {
		return false, fmt.Errorf("list documents: %w", err)
	}
	if !begins(page, known[(q.Page-1)*pageAsked:]) {
		return false, nil
	}
	next := cur
	next.At = later(cur.At, credible(page))
	if _, err := p.record(ctx, askara.Listing{Documents: page.Documents, Cursor: &next}, page); err != nil {
		return false, err
	}
	return page.Len() < pageAsked, nil
}

// begins says whether the page begins with exactly the given sightings.
func begins(p askara.Page, want []askara.Sighting) bool {
	if p.Malformed > 0 || len(p.Documents) < len(want) {
		return false
	}
	for i, s := range want {
		if d := p.Documents[i]; d.UUID != s.UUID || !d.Order.Equal(s.Order) {
			return false
		}
	}
	return true
}
