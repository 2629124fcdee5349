package sink_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/sink"
)

// BenchmarkBatch delivers 64 documents of 200 kB to a disk: four at a time into staging, then one sync each of staging and folder.
func BenchmarkBatch(b *testing.B) {
	const documents, workers = 64, 4
	c := sink.FolderConfig{Path: filepath.Join(b.TempDir(), "inbox"), LedgerID: "ledger", Notebook: &notes{}}
	f := open(b, c)
	content := pdf(1)[:200_000]
	b.SetBytes(documents * int64(len(content)))
	n := 0
	for b.Loop() {
		batch := make([]askara.Delivery, documents)
		for i := range batch {
			batch[i] = deliveryOf(n)
			n++
		}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < documents; i += workers {
					stage(b, f, &batch[i], content)
				}
			})
		}
		wg.Wait()
		deliver(b, f, batch)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "documents/s")
}

func BenchmarkName(b *testing.B) {
	n, err := sink.ParseName(sink.DefaultName)
	if err != nil {
		b.Fatal(err)
	}
	d := deliveryOf(1)
	for b.Loop() {
		n.Of(d, time.UTC)
	}
}
