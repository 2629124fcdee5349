package store_test

import (
	"context"
	"iter"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
)

// ledger is what the tests' helpers read from.
type ledger interface {
	Due(ctx context.Context, account string, now time.Time, limit int, states ...askara.DeliveryState) ([]askara.Delivery, error)
	Delivered(ctx context.Context, account string) iter.Seq2[askara.Delivery, error]
}

var (
	_ ledger       = (*store.Store)(nil)
	_ askara.Vault = (*store.Store)(nil)
)
