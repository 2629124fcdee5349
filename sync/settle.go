package sync

import (
	"context"
	"fmt"
	"time"

	"askara-sync/askara"
)

// settle moves on what an interrupted pass left staged, by looking at the destination, and then clears staging of what belongs
// to nothing.
func (p *pass) settle(ctx context.Context) error {
	seen := map[int64]bool{}
	var kept []askara.Receipt
	// Every staged row, due or not: the clock may have been set back since it was last put off, and what Sweep removed from staging
	// would be taken for delivered.
	ever := time.Now().AddDate(1000, 0, 0)
	for {
		batch, err := p.Queue.Due(ctx, p.Account, ever, p.Batch+len(seen), askara.Staged)
		if err != nil {
			return fmt.Errorf("read staged documents: %w", err)
		}
		batch = unseen(batch, seen)
		if len(batch) == 0 {
			return p.Staging.Sweep(ctx, p.Account, kept)
		}
		left, err := p.settleBatch(ctx, batch)
		if err != nil {
			return err
		}
		kept = append(kept, left...)
	}
}

// settleBatch returns the receipts of what could be neither moved on nor back.
func (p *pass) settleBatch(ctx context.Context, batch []askara.Delivery) (kept []askara.Receipt, err error) {
	var settled, staged []askara.Delivery
	defer p.Pulse.Beat()
	for _, d := range batch {
		p.Pulse.Beat() // each may be a large file to be read
		got, err := p.Destination.Settle(ctx, &d)
		switch {
		case err != nil && judge(err, false) == endPass:
			return nil, err
		case err != nil: // stays staged: whatever else it were called could double or lose it
			p.sum.Failed++
			p.Logger.Warn("interrupted delivery not settled", "document", d.UUID, "revision", d.Revision, "error", err)
			kept = append(kept, d.Receipt)
			continue
		case got == askara.SettledStaged:
			staged = append(staged, d)
		case got == askara.SettledDelivered:
			p.deliveredNow(&d)
			settled = append(settled, d)
		default:
			d.State, d.Receipt = askara.Pending, askara.Receipt{}
			settled = append(settled, d)
		}
		p.Logger.Info("interrupted delivery settled", "document", d.UUID, "revision", d.Revision, "was", settlementWord(got))
	}
	errs := p.Destination.Deliver(ctx, staged)
	var stop error
	for i, d := range staged {
		switch err := errs[i]; {
		case err == nil:
			p.deliveredNow(&d)
			settled = append(settled, d)
		case askara.FaultOf(err) == askara.FaultDestination:
			stop = err
		default:
			p.fail(&d, err)
			settled = append(settled, d)
		}
	}
	if err := p.Queue.Save(ctx, settled); err != nil {
		return nil, fmt.Errorf("save settled documents: %w", err)
	}
	return kept, stop
}

func settlementWord(s askara.Settlement) string {
	switch s {
	case askara.SettledDelivered:
		return "delivered"
	case askara.SettledStaged:
		return "staged"
	case askara.SettledLost:
		return "lost"
	}
	return "unclear"
}

// unseen drops from a batch, which is the caller's own, the deliveries whose rows are in seen, and adds the others to it.
func unseen(batch []askara.Delivery, seen map[int64]bool) []askara.Delivery {
	rest := batch[:0]
	for _, d := range batch {
		if !seen[d.ID] {
			seen[d.ID] = true
			rest = append(rest, d)
		}
	}
	return rest
}
