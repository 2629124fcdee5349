package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
	"askara-sync/store/storetest"
)

// maxRow is what a finished document may take up on the disk, its index included.
const maxRow = 250

// TestGrowth shows that a history costs room alone: looking, recording and status cost the same. The figures are printed; those of a
// million rows need ASKARA_SYNC_PROOFS=1.
func TestGrowth(t *testing.T) {
	if raced {
		t.Skip("measures one thread, which the race detector has nothing to say about")
	}
	n := 5_000
	if os.Getenv("ASKARA_SYNC_PROOFS") == "1" {
		n = 1_000_000
	}
	dir := stateDir(t)
	s := open(t, dir)
	began := time.Now()
	if err := storetest.Fill(t.Context(), s, account, n, epoch); err != nil {
		t.Fatal(err)
	}
	filled := time.Since(began)
	began = time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed := time.Since(began)
	path := filepath.Join(dir, "askara-sync.db")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	row := float64(info.Size()) / float64(n)
	if row > maxRow {
		t.Errorf("a finished document takes up %.1f bytes, want at most %d", row, maxRow)
	}

	began = time.Now()
	s, err = store.Open(t.Context(), store.Config{Dir: dir, Decode: decode})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	opened := time.Since(began)
	began = time.Now()
	st, err := s.Status(t.Context(), account)
	status := time.Since(began)
	if err != nil || st.All != n || st.Counts[askara.Confirmed] != n {
		t.Fatalf("Status: got %d of %d, %v", st.All, n, err)
	}
	began = time.Now()
	if got := record(t, s, documents(0, 100)...); got.New != 100 {
		t.Errorf("Record: got %+v", got)
	}
	recorded := time.Since(began)
	began = time.Now()
	due := dueNow(t, s, askara.Pending)
	read := time.Since(began)
	if len(due) != 100 {
		t.Errorf("Due: got %d", len(due))
	}
	old := storetest.Delivery(n/2, epoch.Add(time.Duration(n/2-n)*time.Minute))
	doc := old.Document
	doc.Ready = true
	if got := record(t, s, doc); got.Known != 1 {
		t.Errorf("a document of long ago is not recognised: %+v", got)
	}
	if d, err := s.Recount(t.Context()); d != 0 || err != nil {
		t.Errorf("%d counts are wrong, %v", d, err)
	}
	t.Logf("rows=%d bytes_per_row=%.1f fill=%v close=%v open=%v status=%v record_100=%v due_100=%v", n, row, filled, closed, opened, status, recorded, read)
}
