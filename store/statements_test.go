package store_test

import (
	"testing"
	"time"

	"askara-sync/askara"
)

// TestStatementsADocument counts what each step of a document's way runs in the ledger. The counts do not depend on the machine; who
// raises one has made every document dearer.
func TestStatementsADocument(t *testing.T) {
	s, _ := fresh(t)
	const n = 64
	var rows []askara.Delivery
	move := func(state askara.DeliveryState) func() {
		return func() {
			for i := range rows {
				rows[i].State, rows[i].Receipt = state, askara.Receipt{Staged: "staged", Name: "name.pdf", Size: 1, SHA256: askara.Checksum{1}}
				if state == askara.Delivered {
					rows[i].DeliveredAt = epoch
				}
				if state == askara.Confirmed {
					rows[i].Confirmation = askara.Confirmation{Order: epoch.Add(time.Hour), UpdatedAt: epoch.Add(time.Hour)}
				}
			}
			if err := s.Save(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	const whole = 8 // of a transaction, however many documents are in it
	for _, step := range []struct {
		name string
		most int // for each document
		run  func()
	}{
		{"listed", 5, func() { record(t, s, page(0)[:n]...) }},
		{"listed again", 5, func() { record(t, s, page(0)[:n]...) }},
		{"staged", 1, move(askara.Staged)},
		{"delivered", 2, move(askara.Delivered)},
		{"confirmed", 3, move(askara.Confirmed)},
	} {
		if rows == nil && step.name == "staged" {
			var err error
			if rows, err = s.Due(t.Context(), account, time.Now(), n, askara.Pending); err != nil || len(rows) != n {
				t.Fatalf("Due: got %d, %v", len(rows), err)
			}
		}
		before := s.Ran()
		step.run()
		ran := s.Ran() - before
		t.Logf("figures: %s: %.2f statements a document", step.name, float64(ran)/n)
		if ran > step.most*n+whole || ran < n {
			t.Errorf("%s: %d statements for %d documents, want at most %d for each and %d", step.name, ran, n, step.most, whole)
		}
	}
}
