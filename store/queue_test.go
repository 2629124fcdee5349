package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
)

func TestDocumentsWay(t *testing.T) {
	s, _ := fresh(t)
	doc := document(1)
	if got, want := record(t, s, doc), (askara.Recorded{New: 1}); got != want {
		t.Fatalf("Record: got %+v want %+v", got, want)
	}
	due := dueNow(t, s, askara.Pending)
	if len(due) != 1 {
		t.Fatalf("Due: got %d rows want 1", len(due))
	}
	d := due[0]
	if diff := cmp.Diff(doc, d.Document); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	if d.Account != account || d.UUID != doc.UUID || d.Revision != 1 || d.State != askara.Pending || d.DiscoveredAt.IsZero() || d.Attempts != 0 {
		t.Errorf("delivery: got %+v", d)
	}

	d.State, d.Receipt = askara.Staged, askara.Receipt{Staged: "x.part", Name: "x.pdf", Size: 7, SHA256: askara.Checksum{9}}
	save(t, s, d)
	staged := dueNow(t, s, askara.Staged)
	if len(staged) != 1 || staged[0].Receipt != d.Receipt || staged[0].Document.Title == "" {
		t.Fatalf("staged: got %+v", staged)
	}

	d.State, d.DeliveredAt = askara.Delivered, time.Now()
	save(t, s, d)
	delivered := dueNow(t, s, askara.Delivered)
	if len(delivered) != 1 || delivered[0].Document.Title != "" || len(delivered[0].Document.Raw) != 0 {
		t.Fatalf("patient data is kept after delivery: got %+v", delivered)
	}
	if !delivered[0].Document.ValidatedAt.Equal(doc.ValidatedAt) || delivered[0].Receipt.Name != "x.pdf" {
		t.Errorf("delivered: got %+v", delivered[0])
	}

	d.State = askara.Confirmed
	d.Confirmation = askara.Confirmation{UpdatedAt: epoch.Add(time.Hour), Order: epoch.Add(time.Hour)}
	save(t, s, d)
	for _, state := range []askara.DeliveryState{askara.Pending, askara.Staged, askara.Delivered, askara.Confirmed} {
		want := 0
		if state == askara.Confirmed {
			want = 1
		}
		if n, err := s.Waiting(t.Context(), account, state); err != nil || n != want {
			t.Errorf("Waiting(%v): got %d, %v want %d", state, n, err, want)
		}
	}
	var all []askara.Delivery
	for d, err := range s.Delivered(t.Context(), account) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if len(all) != 1 || all[0].Confirmation != d.Confirmation || all[0].Receipt.SHA256 != d.Receipt.SHA256 || all[0].Account != account {
		t.Errorf("Delivered: got %+v", all)
	}
}

func TestDueOrder(t *testing.T) {
	s, _ := fresh(t)
	now := time.Now()
	_, err := s.Record(t.Context(), askara.Listing{Account: account, Documents: documents(0, 6), BackfillBefore: epoch.Add(3 * time.Second), At: now})
	if err != nil {
		t.Fatal(err)
	}
	// 0, 1, 2 are old; of the fresh ones 3 was put off and is due again, 4 is put off.
	rows := dueNow(t, s, askara.Pending)
	rows[0].NextAttemptAt, rows[0].Attempts, rows[0].Reason = now.Add(-time.Minute), 1, "the connection broke"
	rows[1].NextAttemptAt = now.Add(time.Hour)
	save(t, s, rows[0], rows[1])
	list, err := s.Due(t.Context(), account, now, 4, askara.Pending)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range list {
		got = append(got, d.UUID)
	}
	want := []string{uuidOf(3), uuidOf(5), uuidOf(0), uuidOf(1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Due (-want +got):\n%s", diff)
	}
	if list[0].Attempts != 1 || list[0].Reason != "the connection broke" || list[2].Backfill != true || list[0].Backfill {
		t.Errorf("Due: got %+v", list)
	}
	if list, err := s.Due(t.Context(), account, now, 0, askara.Pending); len(list) != 0 || err != nil {
		t.Errorf("Due with limit 0: got %d rows, %v", len(list), err)
	}
	if list := dueNow(t, s, askara.Pending); len(list) != 5 {
		t.Errorf("Due: got %d rows want 5, since one is put off", len(list))
	}
}
