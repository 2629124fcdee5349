package sync

import (
	"context"
	"fmt"
	"time"

	"askara-sync/askara"
)

// Unrecorder tells what the ledger does not know yet.
type Unrecorder interface {
	// Unrecorded returns those of docs that recording them would make a delivery of.
	Unrecorded(ctx context.Context, account string, docs []askara.Document) ([]askara.Document, error)
}

// Preview reads the lists that a pass would read and shows each document that it would deliver, in the order of the list. It
// writes nothing and downloads nothing.
func (r *Runner) Preview(ctx context.Context, q Request, ledger Unrecorder, show func(askara.Document)) (askara.Pass, error) {
	sum := askara.Pass{Account: r.Account, StartedAt: time.Now()}
	sent := r.Sent()
	err := r.preview(ctx, q, ledger, &sum, show)
	sum.Duration, sum.Requests = time.Since(sum.StartedAt), r.Sent()-sent
	if err != nil {
		sum.Error = err.Error()
	}
	return sum, err
}

func (r *Runner) preview(ctx context.Context, q Request, ledger Unrecorder, sum *askara.Pass, show func(askara.Document)) error {
	cur, err := r.Catalog.Cursor(ctx, r.Account)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	ask := askara.Backfill{Since: q.Since, Until: q.Until}
	if ask.Since.IsZero() && ask.Until.IsZero() && !cur.At.IsZero() {
		ask.Since = bound(cur, r.Overlap)
	}
	w := &walker{source: r.Source, since: ask.Since, until: ask.Until, size: cur.PageSize}
	shown := map[string]bool{}
	for page, err := range w.walk(ctx) {
		if err != nil {
			return fmt.Errorf("list documents: %w", err)
		}
		sum.Listed += page.Len()
		fresh, err := ledger.Unrecorded(ctx, r.Account, within(page.Documents, ask))
		if err != nil {
			return fmt.Errorf("compare with the ledger: %w", err)
		}
		for _, d := range fresh {
			if !shown[d.UUID] {
				shown[d.UUID] = true
				show(d)
			}
		}
		r.Pulse.Beat()
	}
	return nil
}
