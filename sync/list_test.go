package sync_test

import (
	"context"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/sync"
)

// broken is a source whose list breaks off after its first page, and that answers downloads with an error if told so.
type broken struct {
	sync.Source
	pages    int
	download error
}

func (b *broken) List(ctx context.Context, q askara.Query) (askara.Page, error) {
	if b.pages++; b.pages > 1 {
		return askara.Page{}, fault(askara.FaultService)
	}
	return b.Source.List(ctx, q)
}

func (b *broken) Download(ctx context.Context, d askara.Document) (*askara.Content, error) {
	if b.download != nil {
		return nil, b.download
	}
	return b.Source.Download(ctx, d)
}

func TestABrokenListHoldsUpNoKnownDocument(t *testing.T) {
	g := newRig(t, sandbox.Config{})
	g.server.Add(3, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
	g.config.Source = &broken{Source: g.client}
	if _, err := g.pass(t); askara.FaultOf(err) != askara.FaultService {
		t.Fatalf("pass with a broken list: %v, want a fault of the service", err)
	}
	g.once(t)
}

func TestABrokenListInAnOutageCountsAgainstNoDocument(t *testing.T) {
	g := newRig(t, sandbox.Config{})
	g.server.Add(3, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
	g.config.Source = &broken{Source: g.client, download: fault(askara.FaultService)}
	if _, err := g.pass(t); askara.FaultOf(err) != askara.FaultService {
		t.Fatalf("pass in an outage: %v, want a fault of the service", err)
	}
	rows, err := g.store.Due(t.Context(), "default", time.Now().Add(time.Hour), 10, askara.Pending)
	if err != nil || len(rows) != 3 {
		t.Fatalf("got %d pending documents, %v, want 3", len(rows), err)
	}
	for _, d := range rows {
		if d.Attempts != 0 {
			t.Errorf("document %s: %d attempts count against it, want none", d.UUID, d.Attempts)
		}
	}
}
