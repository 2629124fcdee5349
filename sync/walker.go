package sync

import (
	"context"
	"iter"
	"time"

	"askara-sync/askara"
)

const (
	// pageDefault is the documented number of items a server puts on a page when nobody asks. A page that is shorter than this and
	// shorter than one that was seen before is taken for the last: no server lowers what was asked for below its own default.
	pageDefault = 20
	// boundSlack is how far below the asked bound an item may lie before the server counts as ignoring bounds: some store and
	// compare whole seconds.
	boundSlack = time.Second
)

// walker reads a list from a bound to its end, oldest first, by key: after a full page it asks again from the last order value
// seen, so that rows which appear or move meanwhile cannot push others off the page that is read next. Only where a whole page
// shares one instant does it turn the page. A server that ignores order or bound is noticed and read page by page to the end.
type walker struct {
	source Source
	since  time.Time
	until  time.Time // exclusive; zero is open
	size   int       // the longest page that this server has ever answered; 0 where unknown

	pages   int
	seen    int  // the longest page of this walk
	ignored bool // the server ignored order or bound
	// turned is the earliest instant at which a page had to be turned: what lies behind it is certain, what lies at or after
	// it may have drifted. Zero where no page was turned.
	turned time.Time
}

// steady says that no row can have been missed because others moved.
func (w *walker) steady() bool { return !w.ignored && w.turned.IsZero() }

// walk yields the pages in turn. It ends after the last one, or with the first error.
func (w *walker) walk(ctx context.Context) iter.Seq2[askara.Page, error] {
	return func(yield func(askara.Page, error) bool) {
		first := askara.Query{Since: w.since, Page: 1}
		for q := first; ; {
			page, err := w.source.List(ctx, q)
			if err != nil {
				yield(askara.Page{}, err)
				return
			}
			w.pages++
			caught := !w.ignored && !inOrder(q, page)
			w.ignored = w.ignored || caught
			astray := caught && q != first // a key that was taken from a list without order has led nowhere
			if !yield(page, nil) || !astray && w.last(page) {
				return
			}
			if astray {
				q = first
			} else {
				q = w.next(q, page)
			}
		}
	}
}

// last says whether nothing can follow the page.
func (w *walker) last(p askara.Page) bool {
	n := p.Len()
	_, newest := span(p)
	switch {
	case n == 0:
		return true
	case !w.ignored && !w.until.IsZero() && !newest.Before(w.until):
		return true
	case n < w.seen, n < pageDefault && n < w.size:
		return true
	}
	// As long as any page before it, so perhaps as long as this server makes them.
	w.seen = n
	w.size = max(w.size, n)
	return false
}

// next returns the query for what follows the page that q answered.
func (w *walker) next(q askara.Query, p askara.Page) askara.Query {
	oldest, newest := span(p)
	switch {
	case w.ignored:
		return askara.Query{Since: w.since, Page: q.Page + 1}
	case !newest.After(q.Since):
		w.turn(q.Since)
		return askara.Query{Since: q.Since, Page: q.Page + 1}
	case oldest.Equal(newest):
		w.turn(newest)
		return askara.Query{Since: newest, Page: 2} // its first page is the one just read
	}
	return askara.Query{Since: newest, Page: 1}
}

func (w *walker) turn(at time.Time) {
	if w.turned.IsZero() || at.Before(w.turned) {
		w.turned = at
	}
}

// inOrder says whether the answer keeps to what q asked for. Items without an order value prove nothing.
func inOrder(q askara.Query, p askara.Page) bool {
	floor := q.Since.Add(-boundSlack)
	for _, d := range p.Documents {
		if d.Order.IsZero() {
			continue
		}
		if d.Order.Before(floor) {
			return false
		}
		floor = d.Order
	}
	return true
}

// span returns the least and the greatest order value on the page, zero where it has none.
func span(p askara.Page) (oldest, newest time.Time) {
	for _, d := range p.Documents {
		if d.Order.IsZero() {
			continue
		}
		if oldest.IsZero() || d.Order.Before(oldest) {
			oldest = d.Order
		}
		if d.Order.After(newest) {
			newest = d.Order
		}
	}
	return oldest, newest
}
