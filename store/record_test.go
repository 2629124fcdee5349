package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
)

// TestRecordAgain lists a document once more, changed or not, in every state that its newest revision can be in.
func TestRecordAgain(t *testing.T) {
	later := epoch.Add(time.Hour)
	same := func(d askara.Document) askara.Document { return d }
	moved := func(d askara.Document) askara.Document { d.UpdatedAt, d.Order = later, later; return d }
	revised := func(d askara.Document) askara.Document {
		d.UpdatedAt, d.Order, d.ValidatedAt = later, later, later
		return d
	}
	revalidated := func(d askara.Document) askara.Document { d.ValidatedAt = later; return d } // its other dates are too coarse to show it
	draft := func(d askara.Document) askara.Document { d = moved(d); d.Ready = false; return d }
	undated := func(f func(askara.Document) askara.Document) func(askara.Document) askara.Document {
		return func(d askara.Document) askara.Document { d = f(d); d.ValidatedAt = time.Time{}; return d }
	}
	newRow := askara.Recorded{New: 1}
	known := askara.Recorded{Known: 1}
	waiting := askara.Recorded{Waiting: 1}
	type want struct {
		rec  askara.Recorded
		rows string // revision:state, of every row
	}
	for _, tc := range []struct {
		name   string
		state  askara.DeliveryState
		first  func(askara.Document) askara.Document
		second func(askara.Document) askara.Document
		want   want
	}{
		{"pending same", askara.Pending, same, same, want{known, "1:pending"}},
		{"pending moved", askara.Pending, same, moved, want{known, "1:pending"}},
		{"pending draft again", askara.Pending, same, draft, want{waiting, ""}},
		{"staged same", askara.Staged, same, same, want{known, "1:staged"}},
		{"staged moved", askara.Staged, same, moved, want{known, "1:staged"}},
		{"staged revised", askara.Staged, same, revised, want{newRow, "1:staged 2:pending"}},
		{"delivered same", askara.Delivered, same, same, want{known, "1:delivered"}},
		{"delivered moved", askara.Delivered, same, moved, want{known, "1:delivered"}},
		{"delivered revised", askara.Delivered, same, revised, want{newRow, "1:delivered 2:pending"}},
		{"delivered revised within a second", askara.Delivered, same, revalidated, want{newRow, "1:delivered 2:pending"}},
		{"delivered draft", askara.Delivered, same, draft, want{waiting, "1:delivered"}},
		{"delivered moved without validatedAt", askara.Delivered, undated(same), undated(moved), want{newRow, "1:delivered 2:pending"}},
		{"delivered same without validatedAt", askara.Delivered, undated(same), undated(same), want{known, "1:delivered"}},
		{"delivered loses validatedAt", askara.Delivered, same, undated(moved), want{newRow, "1:delivered 2:pending"}},
		{"confirmed same", askara.Confirmed, same, same, want{known, "1:confirmed"}},
		{"confirmed moved", askara.Confirmed, same, moved, want{known, "1:confirmed"}},
		{"confirmed revised", askara.Confirmed, same, revised, want{newRow, "1:confirmed 2:pending"}},
		{"confirmed revised within a second", askara.Confirmed, same, revalidated, want{newRow, "1:confirmed 2:pending"}},
		{"confirmed moved without validatedAt", askara.Confirmed, undated(same), undated(moved), want{newRow, "1:confirmed 2:pending"}},
		{"closed moved", askara.Closed, same, moved, want{known, "1:closed"}},
		{"closed revised", askara.Closed, same, revised, want{newRow, "1:closed 2:pending"}},
		{"parked same", askara.Parked, same, same, want{known, "1:parked"}},
		{"parked moved", askara.Parked, same, moved, want{known, "1:parked"}},
		{"parked revised", askara.Parked, same, revised, want{newRow, "1:pending"}},
		{"parked moved without validatedAt", askara.Parked, undated(same), undated(moved), want{newRow, "1:pending"}},
		{"reported moved", askara.Reported, same, moved, want{known, "1:reported"}},
		{"reported revised", askara.Reported, same, revised, want{newRow, "1:pending"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := fresh(t)
			doc := tc.first(document(1))
			record(t, s, doc)
			if tc.state != askara.Pending {
				d := dueNow(t, s, askara.Pending)[0]
				d.State, d.Attempts, d.Reason = tc.state, 3, "refused"
				d.Receipt.SHA256 = askara.Checksum{5}
				if tc.state == askara.Reported {
					d.State = askara.Parked
					save(t, s, d)
					d.State = askara.Reported
				}
				save(t, s, d)
			}
			second := tc.second(doc)
			if got := record(t, s, second); got != tc.want.rec {
				t.Errorf("Record: got %+v want %+v", got, tc.want.rec)
			}
			if got := rowsOf(t, s); got != tc.want.rows {
				t.Errorf("rows: got %q want %q", got, tc.want.rows)
			}
			// The third time it is as the second, so it must be known, whatever it was.
			if got := record(t, s, second); got.New != 0 {
				t.Errorf("Record of the same again: got %+v", got)
			}
			for _, d := range dueNow(t, s, askara.Pending) {
				if !d.Document.UpdatedAt.Equal(second.UpdatedAt) || d.Attempts != 0 {
					t.Errorf("pending: got %+v", d)
				}
				if d.Revision == 2 && tc.state != askara.Staged && d.Previous != (askara.Checksum{5}) {
					t.Errorf("Previous: got %x want the delivered revision's checksum", d.Previous)
				}
				if d.Revision == 2 && tc.state == askara.Staged && d.Previous != (askara.Checksum{}) {
					t.Errorf("Previous: got %x, but nothing was delivered", d.Previous)
				}
			}
		})
	}
}

// rowsOf spells every row of document 1.
func rowsOf(t testing.TB, s ledger) string {
	t.Helper()
	var text string
	add := func(d askara.Delivery) {
		if text != "" {
			text += " "
		}
		text += string(rune('0'+d.Revision)) + ":" + d.State.String()
	}
	for d, err := range s.Delivered(t.Context(), account) {
		if err != nil {
			t.Fatal(err)
		}
		if d.State != askara.Delivered {
			add(d)
		}
	}
	list, err := s.Due(t.Context(), account, time.Now(), 1000, askara.Pending, askara.Staged, askara.Delivered, askara.Parked, askara.Reported)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		add(d)
	}
	return text
}

// TestOwnConfirmationIsNoChange lists a document as our confirmation left it, without a validatedAt to go by.
func TestOwnConfirmationIsNoChange(t *testing.T) {
	later := epoch.Add(time.Hour)
	for _, tc := range []struct {
		name  string
		c     askara.Confirmation
		state askara.DeliveryState
	}{
		{"both dates", askara.Confirmation{UpdatedAt: later, Order: later}, askara.Confirmed},
		{"updatedAt alone", askara.Confirmation{UpdatedAt: later}, askara.Confirmed},
		{"order alone", askara.Confirmation{Order: later}, askara.Confirmed},
		{"report of a failure", askara.Confirmation{UpdatedAt: later, Order: later}, askara.Reported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := fresh(t)
			doc := document(1)
			doc.ValidatedAt = time.Time{}
			record(t, s, doc)
			d := dueNow(t, s, askara.Pending)[0]
			for _, state := range []askara.DeliveryState{askara.Parked, tc.state} {
				if d.State = state; state == tc.state {
					d.Confirmation = tc.c
				}
				save(t, s, d)
			}
			doc.UpdatedAt, doc.Order = later, later
			for range 2 {
				if got, want := record(t, s, doc), (askara.Recorded{Known: 1}); got != want {
					t.Errorf("Record of our own confirmation: got %+v want %+v", got, want)
				}
			}
			// A page that was read before the confirmation and recorded after it is no change either.
			doc.UpdatedAt, doc.Order = document(1).UpdatedAt, document(1).Order
			if got := record(t, s, doc); got.New != 0 {
				t.Errorf("Record of the state before: got %+v", got)
			}
			doc.UpdatedAt, doc.Order = later.Add(1e6), later.Add(1e6)
			if got := record(t, s, doc); got.New != 1 {
				t.Errorf("Record of a true change: got %+v want one new", got)
			}
		})
	}
}

func TestUnchangedFolds(t *testing.T) {
	for _, tc := range []struct {
		name, status string
		first        askara.DeliveryState
		want         string
	}{
		{"known at Askara", "synchronized", askara.Confirmed, "1:confirmed"},
		{"status not given", "", askara.Confirmed, "1:confirmed"},
		{"to be confirmed again", "pending", askara.Confirmed, "1:delivered"},
		{"not confirmed yet", "pending", askara.Delivered, "1:delivered"},
		{"never confirmed", "pending", askara.Closed, "1:closed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := fresh(t)
			doc := document(1)
			record(t, s, doc)
			d := dueNow(t, s, askara.Pending)[0]
			d.State, d.Receipt = tc.first, askara.Receipt{Name: "n.pdf", Size: 3, SHA256: askara.Checksum{1}}
			save(t, s, d)
			doc.UpdatedAt, doc.Order, doc.ValidatedAt = epoch.Add(time.Hour), epoch.Add(time.Hour), epoch.Add(time.Hour)
			doc.SynchronizationStatus = tc.status
			record(t, s, doc)
			again := dueNow(t, s, askara.Pending)[0]
			again.State, again.Document.SynchronizationStatus = askara.Unchanged, tc.status
			save(t, s, again)
			if got := rowsOf(t, s); got != tc.want {
				t.Errorf("rows: got %q want %q", got, tc.want)
			}
			if got := record(t, s, doc); got.Known != 1 {
				t.Errorf("Record: got %+v, so that it is fetched again and again", got)
			}
			for d, err := range s.Delivered(t.Context(), account) {
				if err != nil || d.Receipt.Name != "n.pdf" || d.Receipt.Size != 3 {
					t.Errorf("Delivered: got %+v, %v", d, err)
				}
			}
		})
	}
	s, _ := fresh(t)
	record(t, s, document(1))
	d := dueNow(t, s, askara.Pending)[0]
	d.State = askara.Unchanged
	if err := s.Save(t.Context(), []askara.Delivery{d}); err == nil || rowsOf(t, s) != "1:pending" {
		t.Errorf("a first revision folded into nothing: got %v, rows %q", err, rowsOf(t, s))
	}
}

func TestCursorMovesWithItsRows(t *testing.T) {
	s, _ := fresh(t)
	want := askara.Cursor{At: epoch, WalkedAt: epoch.Truncate(time.Millisecond), Pages: 3, PageSize: 100, Unordered: true}
	docs := documents(0, 3)
	docs[2].UUID = ""
	if _, err := s.Record(t.Context(), askara.Listing{Account: account, Documents: docs, Cursor: &want}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Cursor(t.Context(), account)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Cursor: %v (-want +got):\n%s", err, diff)
	}
	// A page that fails in its last step leaves no trace of its rows.
	next := askara.Cursor{At: epoch.Add(time.Hour)}
	_, err = s.Record(t.Context(), askara.Listing{Account: account, Documents: documents(10, 12), Cursor: &next, Backfill: &askara.Backfill{ID: 99}})
	if err == nil {
		t.Fatal("Record of a backfill that is not there: got no error")
	}
	got, err = s.Cursor(t.Context(), account)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Cursor after a failed page: %v (-want +got):\n%s", err, diff)
	}
	if n, err := s.Waiting(t.Context(), account, askara.Pending); n != 2 || err != nil {
		t.Errorf("rows after a failed page: got %d, %v want 2", n, err)
	}
	if list, err := s.Window(t.Context(), account, time.Time{}); len(list) != 2 || err != nil {
		t.Errorf("sightings after a failed page: got %v, %v want 2", list, err)
	}
	if none, err := s.Cursor(t.Context(), "other"); err != nil || none != (askara.Cursor{}) {
		t.Errorf("Cursor of an unknown account: got %+v, %v", none, err)
	}
}

func TestWindow(t *testing.T) {
	s, _ := fresh(t)
	record(t, s, documents(0, 5)...)
	draft := document(5)
	draft.Ready = false
	record(t, s, draft)
	d := dueNow(t, s, askara.Pending)[0]
	d.State, d.Confirmation = askara.Confirmed, askara.Confirmation{Order: epoch.Add(time.Minute)}
	save(t, s, d)
	_, err := s.Record(t.Context(), askara.Listing{Account: account, WindowFrom: epoch.Add(2 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Window(t.Context(), account, epoch.Add(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := []askara.Sighting{
		{UUID: uuidOf(3), Order: epoch.Add(3 * time.Second)}, {UUID: uuidOf(4), Order: epoch.Add(4 * time.Second)},
		{UUID: uuidOf(5), Order: epoch.Add(5 * time.Second)}, {UUID: uuidOf(0), Order: epoch.Add(time.Minute)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Window (-want +got):\n%s", diff)
	}
	if all, err := s.Window(t.Context(), account, time.Time{}); len(all) != 5 || err != nil {
		t.Errorf("Window of all: got %d, %v want 5, since one was forgotten", len(all), err)
	}
}

func TestBackfills(t *testing.T) {
	s, _ := fresh(t)
	b, err := s.AddBackfill(t.Context(), askara.Backfill{Account: account, Since: epoch, Until: epoch.Add(time.Hour)})
	if err != nil || b.ID == 0 {
		t.Fatalf("AddBackfill: got %+v, %v", b, err)
	}
	b.At = epoch.Add(time.Minute)
	if _, err := s.Record(t.Context(), askara.Listing{Account: account, Documents: documents(0, 2), Backfill: &b}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Backfills(t.Context(), account)
	if diff := cmp.Diff([]askara.Backfill{b}, got); err != nil || diff != "" {
		t.Errorf("Backfills: %v (-want +got):\n%s", err, diff)
	}
	if rows := dueNow(t, s, askara.Pending); len(rows) != 2 || !rows[0].Backfill {
		t.Errorf("Due: got %+v want two of a backfill", rows)
	}
	// What the regular walk finds as well is fresh; what is fresh stays so.
	record(t, s, document(0))
	if _, err := s.Record(t.Context(), askara.Listing{Account: account, Documents: documents(0, 2), Backfill: &b}); err != nil {
		t.Fatal(err)
	}
	if rows := dueNow(t, s, askara.Pending); len(rows) != 2 || rows[0].Backfill || !rows[1].Backfill {
		t.Errorf("Due: got %+v want the first one fresh", rows)
	}
	b.Done = true
	if _, err := s.Record(t.Context(), askara.Listing{Account: account, Backfill: &b}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Backfills(t.Context(), account); len(got) != 0 || err != nil {
		t.Errorf("Backfills after the end: got %+v, %v", got, err)
	}
}

func TestUnrecorded(t *testing.T) {
	s, _ := fresh(t)
	record(t, s, document(1))
	changed := document(2)
	deliver(t, s, changed)
	changed.ValidatedAt, changed.UpdatedAt = epoch.Add(time.Hour), epoch.Add(time.Hour)
	draft := document(4)
	draft.Ready = false
	got, err := s.Unrecorded(t.Context(), account, []askara.Document{document(1), changed, document(3), draft})
	if err != nil || len(got) != 2 || got[0].UUID != uuidOf(2) || got[1].UUID != uuidOf(3) {
		t.Errorf("Unrecorded: got %+v, %v", got, err)
	}
	if n, _ := s.Waiting(t.Context(), account, askara.Pending); n != 1 {
		t.Errorf("Unrecorded recorded: %d pending want 1", n)
	}
	if got, err := s.Unrecorded(t.Context(), "other", documents(1, 3)); len(got) != 2 || err != nil {
		t.Errorf("Unrecorded of an unknown account: got %d, %v want 2", len(got), err)
	}
}
