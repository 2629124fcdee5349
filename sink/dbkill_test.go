package sink_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/sink"
)

// kills is how often each server is killed for each way to put a row: 51 times in all.
const kills = 17

// TestServerKilledDuringInserts kills the database server in the middle of what it does, again and again. Each time documents are
// being delivered without a pause, so that every kill interrupts something; then what a pass would do is done.
func TestServerKilledDuringInserts(t *testing.T) {
	eachServer(t, func(t *testing.T, e *engine) {
		for _, v := range variants() {
			if strings.Contains(v.kinds+everywhere, e.kind) && v.name != "file and row" {
				t.Run(v.name, func(t *testing.T) {
					f := e.fixture(t)
					v.run(t, f)
					killed(t, f)
				})
			}
		}
	})
}

func killed(t *testing.T, f *fixture) {
	f.config.Timeout = 30 * time.Second
	d := f.prepared(t)
	w := &worker{t: t, d: d}
	interrupted := 0
	for range kills {
		done := make(chan error, 1)
		go func() { done <- w.work(context.WithoutCancel(t.Context())) }()
		wait := time.NewTimer(time.Duration(rand.N(60)) * time.Millisecond)
		select {
		case <-wait.C:
		case err := <-done:
			t.Fatalf("the worker stopped before the kill: %v", err)
		}
		f.server.Kill()
		// The worker goes on until the database fails it, so this ends, and ends with an error.
		if err := <-done; askara.FaultOf(err) != askara.FaultDestination {
			t.Fatalf("the worker met %v, want a FaultDestination", err)
		}
		if len(w.open) > 0 {
			interrupted++
		}
		f.server.Start()
		left, err := resume(t.Context(), d, w.open)
		if err != nil || len(left) > 0 {
			t.Fatalf("resume after the kill: %d left, %v", len(left), err)
		}
		w.delivered, w.open = append(w.delivered, w.open...), nil
	}
	t.Logf("%d documents, %d kills, %d of them with documents in flight", len(w.delivered), kills, interrupted)
	if interrupted < kills/2 {
		t.Errorf("only %d of %d kills interrupted anything", interrupted, kills)
	}
	f.once(t, w.delivered)
}

// worker delivers batch after batch.
type worker struct {
	t         *testing.T
	d         *sink.Database
	next      int
	delivered []askara.Delivery // the destination said so
	open      []askara.Delivery // staged, and it did not
}

func (w *worker) work(ctx context.Context) error {
	for {
		w.open = nil
		for range 1 + rand.N(20) {
			w.next++
			dl := delivery(w.next)
			b := pdfOf(dl.UUID, dl.Revision)
			var err error
			if dl.Receipt, err = w.d.Stage(ctx, dl, strings.NewReader(string(b)), int64(len(b))); err != nil {
				return err
			}
			w.open = append(w.open, dl)
		}
		var open []askara.Delivery
		var failed error
		for i, err := range w.d.Deliver(ctx, w.open) {
			if err != nil {
				open, failed = append(open, w.open[i]), err
				continue
			}
			w.delivered = append(w.delivered, w.open[i])
		}
		w.open = open
		if failed != nil {
			return failed
		}
	}
}
