package sync_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/store"
)

// counted counts what each document costs at the destination and in the ledger: every Stage is one sync of a file, every Flush and
// every Deliver one of a directory, every Save and every Record one commit of the ledger.
type counted struct {
	*rig
	stages, moves, commits atomic.Int64
}

func (c *counted) Prepare(ctx context.Context) error { return c.folder.Prepare(ctx) }

func (c *counted) Stage(ctx context.Context, d askara.Delivery, body io.Reader, size int64) (askara.Receipt, error) {
	c.stages.Add(1)
	return c.folder.Stage(ctx, d, body, size)
}

func (c *counted) Sweep(ctx context.Context, account string, keep []askara.Receipt) error {
	return c.folder.Sweep(ctx, account, keep)
}

func (c *counted) Flush(ctx context.Context, batch []askara.Delivery) error {
	c.moves.Add(1)
	return c.folder.Flush(ctx, batch)
}

func (c *counted) Deliver(ctx context.Context, batch []askara.Delivery) []error {
	c.moves.Add(1)
	return c.folder.Deliver(ctx, batch)
}

func (c *counted) Settle(ctx context.Context, d *askara.Delivery) (askara.Settlement, error) {
	return c.folder.Settle(ctx, d)
}

// ledger counts commits.
type ledger struct {
	*store.Store
	commits *atomic.Int64
}

func (l ledger) Save(ctx context.Context, batch []askara.Delivery) error {
	if len(batch) > 0 {
		l.commits.Add(1)
	}
	return l.Store.Save(ctx, batch)
}

func (l ledger) Record(ctx context.Context, r askara.Listing) (askara.Recorded, error) {
	l.commits.Add(1)
	return l.Store.Record(ctx, r)
}

// A backfill takes exactly two requests a document and shares all else; none of these counts depends on the machine.
func TestWhatADocumentCosts(t *testing.T) {
	const n, page = 1280, 100
	g := newRig(t, sandbox.Config{Burst: -1})
	g.server.AddHistory(n, time.Now().Add(-30*24*time.Hour), time.Now().Add(-2*24*time.Hour), sandbox.Document{})
	c := &counted{rig: g}
	l := ledger{g.store, &c.commits}
	g.config.Staging, g.config.Destination, g.config.Queue, g.config.Catalog = c, c, l, l
	p := g.must(t)
	g.once(t)

	// Each page repeats the last item of the one before, and the list ends with a page that is not full.
	pages := int64((n-1)/(page-1) + 1)
	if lists := p.Requests - 2*n; p.Delivered != n || lists > pages+1 || lists < pages-1 {
		t.Errorf("%d documents took %d requests: want 2 for each and some %d for the list", p.Delivered, p.Requests, pages)
	}
	if got := c.stages.Load(); got != n {
		t.Errorf("%d files were synced for %d documents", got, n)
	}
	perDocument := float64(c.moves.Load()+c.commits.Load()) / n
	t.Logf("figures: requests %.3f, file syncs %.3f, directory syncs %.3f, commits %.3f for each document", float64(p.Requests)/n,
		float64(c.stages.Load())/n, float64(c.moves.Load())/n, float64(c.commits.Load())/n)
	if perDocument > 0.2 {
		t.Errorf("%.3f directory and ledger syncs for each document, want at most 0.2", perDocument)
	}
	if idle := g.must(t); idle.Requests > 1+p.Requests-2*n+pages {
		t.Errorf("an idle pass took %d requests", idle.Requests)
	}
}

// meter is a source that knows how many documents are on their way at once.
type meter struct {
	*askara.Client
	now, most atomic.Int64
}

func (m *meter) Download(ctx context.Context, d askara.Document) (*askara.Content, error) {
	n := m.now.Add(1)
	for most := m.most.Load(); n > most && !m.most.CompareAndSwap(most, n); most = m.most.Load() {
	}
	content, err := m.Client.Download(ctx, d)
	if err != nil {
		m.now.Add(-1)
		return nil, err
	}
	content.Body = &metered{ReadCloser: content.Body, m: m}
	return content, nil
}

type metered struct {
	io.ReadCloser
	m    *meter
	done bool
}

func (b *metered) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.done {
		b.done = true
		b.m.now.Add(-1)
	}
	return n, err
}

// lagging is staging in which no document gets done until more of them wait for the disk than may be downloaded at once.
type lagging struct {
	*counted
	workers int64
	waiting atomic.Int64
	open    chan struct{}
}

func (l *lagging) Stage(ctx context.Context, d askara.Delivery, body io.Reader, size int64) (askara.Receipt, error) {
	r, err := l.counted.Stage(ctx, d, body, size)
	if l.waiting.Add(1) == l.workers+1 {
		close(l.open)
	}
	select {
	case <-l.open:
		return r, err
	case <-time.After(20 * time.Second):
		return r, errors.New("no other document was downloaded meanwhile")
	}
}

// Downloads keep to limits.workers, while more documents than that may be on their way to the disk.
func TestWorkersBoundDownloadsAndNotSyncs(t *testing.T) {
	const n, workers = 200, 2
	g := newRig(t, sandbox.Config{Burst: -1})
	g.server.AddHistory(n, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute), sandbox.Document{})
	m := &meter{Client: g.client}
	l := &lagging{counted: &counted{rig: g}, workers: workers, open: make(chan struct{})}
	g.config.Workers, g.config.Source, g.config.Staging = workers, m, l
	g.must(t)
	g.once(t)
	if got := m.most.Load(); got > workers || got < 1 {
		t.Errorf("%d downloads at once, want at most %d", got, workers)
	}
}
