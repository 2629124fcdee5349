package sync_test

import (
	"context"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/sync"
)

// stuck is a destination into which nothing can be moved.
type stuck struct{ sync.Destination }

type fault askara.Fault

func (f fault) Error() string       { return "out of order" }
func (f fault) Fault() askara.Fault { return askara.Fault(f) }

func (stuck) Deliver(_ context.Context, batch []askara.Delivery) []error {
	errs := make([]error, len(batch))
	for i := range errs {
		errs[i] = fault(askara.FaultDestination)
	}
	return errs
}

func TestAStagedDocumentIsSettledThoughTheClockWasSetBack(t *testing.T) {
	g := newRig(t, sandbox.Config{})
	g.server.Add(1, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
	config := g.config
	g.config.Destination = stuck{g.config.Destination}
	if _, err := g.pass(t); askara.FaultOf(err) != askara.FaultDestination {
		t.Fatalf("pass into a stuck folder: %v", err)
	}
	g.config = config

	// It had failed before it was staged, at a time that has not come yet on the clock as it is now.
	staged, err := g.store.Due(t.Context(), "default", time.Now(), 10, askara.Staged)
	if err != nil || len(staged) != 1 {
		t.Fatalf("got %d staged documents, %v, want 1", len(staged), err)
	}
	staged[0].NextAttemptAt = time.Now().Add(time.Hour)
	if err := g.store.Save(t.Context(), staged); err != nil {
		t.Fatal(err)
	}
	g.must(t)
	g.once(t)
}

func TestAnUnorderedListIsReadThoughTheClockWasSetBack(t *testing.T) {
	g := newRig(t, sandbox.Config{})
	g.server.Add(1, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
	cursor := askara.Cursor{At: time.Now().Add(-24 * time.Hour), WalkedAt: time.Now().Add(10 * 365 * 24 * time.Hour), Pages: 3, PageSize: 100, Unordered: true}
	if _, err := g.store.Record(t.Context(), askara.Listing{Account: "default", Cursor: &cursor, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := sync.New(g.config).Run(t.Context(), sync.Request{}); err != nil {
		t.Fatal(err)
	}
	g.once(t)
	c, err := g.store.Cursor(t.Context(), "default")
	if err != nil || c.WalkedAt.After(time.Now()) {
		t.Errorf("the list counts as read at %v, %v, which is still to come", c.WalkedAt, err)
	}
}
