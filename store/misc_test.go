package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
	"askara-sync/store"
)

func TestRetry(t *testing.T) {
	s, _ := fresh(t)
	record(t, s, documents(0, 4)...)
	rows := dueNow(t, s, askara.Pending)
	for i, state := range []askara.DeliveryState{askara.Parked, askara.Reported, askara.Parked} {
		rows[i].State = askara.Parked
		save(t, s, rows[i])
		rows[i].State, rows[i].Reason, rows[i].Attempts, rows[i].NextAttemptAt = state, "not a PDF", 10, time.Now().Add(time.Hour)
		rows[i].Confirmation = askara.Confirmation{UpdatedAt: epoch}
	}
	save(t, s, rows[:3]...)
	parked, err := s.Parked(t.Context(), account)
	if err != nil || len(parked) != 3 || parked[0].Reason != "not a PDF" || parked[0].Document.Title == "" || parked[1].Account != account {
		t.Fatalf("Parked: got %+v, %v", parked, err)
	}
	n, unknown, err := s.Retry(t.Context(), account, []string{uuidOf(1), uuidOf(3), "nonsense"})
	if err != nil || n != 1 || !slices.Equal(unknown, []string{uuidOf(3), "nonsense"}) {
		t.Errorf("Retry of some: got %d, %v, %v", n, unknown, err)
	}
	if n, unknown, err := s.Retry(t.Context(), account, nil); n != 2 || len(unknown) != 0 || err != nil {
		t.Errorf("Retry of all: got %d, %v, %v", n, unknown, err)
	}
	due := dueNow(t, s, askara.Pending)
	if len(due) != 4 {
		t.Fatalf("Due: got %d want 4", len(due))
	}
	for _, d := range due {
		if d.Attempts != 0 || d.Reason != "" || d.Confirmation != (askara.Confirmation{}) || d.Document.Title == "" {
			t.Errorf("retried: got %+v", d)
		}
	}
	if d, err := s.Recount(t.Context()); d != 0 || err != nil {
		t.Errorf("%d counts are wrong, %v", d, err)
	}
	if n, unknown, err := s.Retry(t.Context(), account, []string{}); n != 0 || unknown != nil || err != nil {
		t.Errorf("Retry of none: got %d, %v, %v", n, unknown, err)
	}
}

// TestRetryWhileAskaraIsTold retries a document of which a pass is just telling Askara that it was given up.
func TestRetryWhileAskaraIsTold(t *testing.T) {
	for _, state := range []askara.DeliveryState{askara.Reported, askara.Parked} {
		t.Run(state.String(), func(t *testing.T) {
			s, _ := fresh(t)
			record(t, s, documents(0, 1)...)
			d := dueNow(t, s, askara.Pending)[0]
			d.State, d.Reason, d.Attempts = askara.Parked, "not a PDF", 10
			save(t, s, d)
			told := dueNow(t, s, askara.Parked)[0]
			if n, _, err := s.Retry(t.Context(), account, nil); n != 1 || err != nil {
				t.Fatalf("Retry: got %d, %v", n, err)
			}
			if told.State = state; state == askara.Parked {
				told.NextAttemptAt = time.Now().Add(time.Minute) // Askara did not take it
			}
			save(t, s, told)
			if due := dueNow(t, s, askara.Pending); len(due) != 1 || due[0].Attempts != 0 {
				t.Errorf("the retry was undone: pending is %+v", due)
			}
			if d, err := s.Recount(t.Context()); d != 0 || err != nil {
				t.Errorf("%d counts are wrong, %v", d, err)
			}
		})
	}
}

func TestDueAfterTheClockWasSetBack(t *testing.T) {
	s, _ := fresh(t)
	record(t, s, documents(0, 3)...)
	rows := dueNow(t, s, askara.Pending)
	rows[0].NextAttemptAt = time.Now().AddDate(10, 0, 0)
	rows[1].NextAttemptAt = time.Now().Add(7 * time.Hour)
	save(t, s, rows[:2]...)
	due := dueNow(t, s, askara.Pending)
	if len(due) != 2 || due[0].UUID != uuidOf(0) || due[1].UUID != uuidOf(2) {
		t.Errorf("Due: got %d rows want those that were not put off for hours", len(due))
	}
}

func TestStatus(t *testing.T) {
	s, _ := fresh(t)
	if st, err := s.Status(t.Context(), account); err != nil || st.Known || st.Login.State != askara.LoginRequired || st.LastPass != nil {
		t.Errorf("Status of nothing: got %+v, %v", st, err)
	}
	record(t, s, documents(0, 8)...)
	rows := dueNow(t, s, askara.Pending)
	now := time.Now()
	for i, at := range []time.Time{now, now, now.AddDate(0, 0, -6), now.AddDate(0, 0, -7), now.AddDate(-2, 0, 0)} {
		rows[i].State, rows[i].DeliveredAt = askara.Delivered, at
	}
	rows[5].Reason, rows[5].NextAttemptAt = "not ready", now.Add(time.Hour)
	rows[6].Reason, rows[6].NextAttemptAt = "not ready", now.Add(time.Minute)
	save(t, s, rows[:7]...)
	for i := range 2 {
		rows[i].State = askara.Confirmed
	}
	save(t, s, rows[:2]...)
	if err := s.SaveLogin(t.Context(), login("one")); err != nil {
		t.Fatal(err)
	}
	st, err := s.Status(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if st.Today != 2 || st.Week != 3 || st.All != 5 || !st.Known {
		t.Errorf("delivered: got today %d, week %d, all %d want 2, 3, 5", st.Today, st.Week, st.All)
	}
	want := map[askara.DeliveryState]int{askara.Pending: 3, askara.Delivered: 3, askara.Confirmed: 2}
	if diff := cmp.Diff(want, st.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if len(st.PutOff) != 1 || st.PutOff[0].Reason != "not ready" || st.PutOff[0].Rows != 2 || st.PutOff[0].Next.Sub(now.Add(time.Minute)).Abs() > time.Second {
		t.Errorf("put off: got %+v", st.PutOff)
	}
	if st.Login.State != askara.LoginOK || st.Login.Tokens.Refresh != "" || st.Login.Tokens.RefreshExpiresAt.IsZero() {
		t.Errorf("login: got %+v", st.Login)
	}
}

func TestPasses(t *testing.T) {
	s, _ := fresh(t)
	want := askara.Pass{Account: account, StartedAt: epoch.Truncate(time.Millisecond), Duration: 1234 * time.Millisecond, Listed: 1, Delivered: 2, Already: 3,
		Failed: 4, Parked: 5, Confirmed: 6, Unconfirmed: 7, Requests: 8, Bytes: 9, Error: "the disk is full"}
	p, err := s.SavePass(t.Context(), askara.Pass{Account: account})
	if err != nil || p.ID == 0 {
		t.Fatalf("SavePass: got %+v, %v", p, err)
	}
	want.ID = p.ID
	if p, err = s.SavePass(t.Context(), want); err != nil || p.ID != want.ID {
		t.Fatalf("SavePass again: got id %d want %d, %v", p.ID, want.ID, err)
	}
	if _, err := s.SavePass(t.Context(), askara.Pass{Account: "other"}); err != nil {
		t.Fatal(err)
	}
	st, err := s.Status(t.Context(), account)
	if err != nil || st.LastPass == nil {
		t.Fatalf("Status: got %+v, %v", st, err)
	}
	if diff := cmp.Diff(want, *st.LastPass); diff != "" {
		t.Errorf("last pass (-want +got):\n%s", diff)
	}
}

// TestPassesDoNotPileUp makes the record look old rather than writing thousands of them.
func TestPassesDoNotPileUp(t *testing.T) {
	s, dir := fresh(t)
	for range 3 {
		if _, err := s.SavePass(t.Context(), askara.Pass{Account: account}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Exec(t.Context(), `update sqlite_sequence set seq = 3001 where name = 'pass'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SavePass(t.Context(), askara.Pass{Account: account}); err != nil {
		t.Fatal(err)
	}
	var n int
	query(t, filepath.Join(dir, "askara-sync.db"), `select count(*) from pass where id > ?`, 0, &n)
	if n != 2 {
		t.Errorf("got %d passes want the newest 2", n)
	}
}

func TestNotes(t *testing.T) {
	s, _ := fresh(t)
	for _, value := range []string{"one", "two", "two", ""} {
		if err := s.SetNote(t.Context(), "k", value); err != nil {
			t.Fatal(err)
		}
		if got, found, err := s.Note(t.Context(), "k"); got != value || found != (value != "") || err != nil {
			t.Errorf("Note: got %q, %v, %v want %q", got, found, err, value)
		}
	}
}

func TestAdopt(t *testing.T) {
	file := func(n int, sum byte) askara.Delivery {
		return askara.Delivery{UUID: uuidOf(n), Receipt: askara.Receipt{Name: "f.pdf", Size: 9, SHA256: askara.Checksum{sum}}}
	}
	dated := func(d askara.Delivery, doc askara.Document) askara.Delivery {
		d.Document.ValidatedAt, d.Document.UpdatedAt, d.Document.Order = doc.ValidatedAt, doc.UpdatedAt, doc.Order
		return d
	}
	second := file(1, 2)
	second.Revision = 2
	for _, tc := range []struct {
		name    string
		listed  bool // the document is pending, as listed again after the repair
		found   []askara.Delivery
		adopted int
		rows    string
	}{
		{"never listed", false, []askara.Delivery{file(1, 1)}, 1, "1:delivered"},
		{"waiting, the same by its dates", true, []askara.Delivery{dated(file(1, 1), document(1))}, 1, "1:delivered"},
		{"waiting, another by its dates", true, []askara.Delivery{dated(file(1, 1), document(2))}, 1, "2:pending 1:delivered"},
		{"waiting, no dates", true, []askara.Delivery{file(1, 1)}, 1, "2:pending 1:delivered"},
		{"two revisions", true, []askara.Delivery{file(1, 1), second}, 2, "3:pending 1:delivered 2:delivered"},
		{"two revisions, backwards", true, []askara.Delivery{second, file(1, 1)}, 2, "3:pending 2:delivered 1:delivered"},
		{"no checksum", true, []askara.Delivery{file(1, 0)}, 0, "1:pending"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := fresh(t)
			if tc.listed {
				record(t, s, document(1))
			}
			n, err := s.Adopt(t.Context(), account, tc.found)
			if err != nil || n != tc.adopted {
				t.Errorf("Adopt: got %d, %v want %d", n, err, tc.adopted)
			}
			if got := rowsOf(t, s); got != tc.rows {
				t.Errorf("rows: got %q want %q", got, tc.rows)
			}
			for _, d := range dueNow(t, s, askara.Pending) {
				if d.Document.Title == "" || d.Revision > 1 && d.Previous == (askara.Checksum{}) {
					t.Errorf("pending: got %+v, which cannot be compared", d)
				}
			}
			if d, err := s.Recount(t.Context()); d != 0 || err != nil {
				t.Errorf("%d counts are wrong, %v", d, err)
			}
			if n, err := s.Adopt(t.Context(), account, tc.found[:1]); n != 0 && tc.adopted > 0 || err != nil {
				t.Errorf("Adopt again: got %d, %v want 0", n, err)
			}
		})
	}
	s, _ := fresh(t)
	d := deliver(t, s, document(1))
	if n, err := s.Adopt(t.Context(), account, []askara.Delivery{file(1, 9)}); n != 0 || err != nil {
		t.Errorf("Adopt of what the ledger knows: got %d, %v", n, err)
	}
	for known, err := range s.Delivered(t.Context(), account) {
		if err != nil || known.Receipt.SHA256 != d.Receipt.SHA256 || known.State != askara.Confirmed {
			t.Errorf("Adopt changed what the ledger knows: %+v, %v", known, err)
		}
	}
}

func TestBackup(t *testing.T) {
	s, dir := fresh(t)
	record(t, s, documents(0, 3)...)
	backup := filepath.Join(dir, "backup")
	if !s.BackupDue() {
		t.Error("BackupDue before the first: got false")
	}
	if err := os.MkdirAll(backup, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"askara-sync-20200101.db", "askara-sync-20200102.db", "askara-sync-20200103.db", "askara-sync-mine.db"} {
		if err := os.WriteFile(filepath.Join(backup, name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second one takes the place of the first
		if err := s.Backup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.BackupDue() {
		t.Error("BackupDue afterwards: got true")
	}
	today := "askara-sync-" + time.Now().Format("20060102") + ".db"
	var names []string
	entries, err := os.ReadDir(backup)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	if want := []string{"askara-sync-20200102.db", "askara-sync-20200103.db", today, "askara-sync-mine.db"}; !slices.Equal(names, want) {
		t.Errorf("backups: got %v want %v", names, want)
	}
	var n int
	query(t, filepath.Join(backup, today), `select count(*) from delivery where state = ?`, 1, &n)
	if n != 3 {
		t.Errorf("the backup holds %d rows want 3", n)
	}
	restored := stateDir(t)
	b, err := os.ReadFile(filepath.Join(backup, today))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(restored, "askara-sync.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := open(t, restored); got.ID() != s.ID() {
		t.Error("a backup put in the ledger's place is another ledger")
	}
}

// TestSaveWithoutItsRow: what was done must not be forgotten because the row went meanwhile.
func TestSaveWithoutItsRow(t *testing.T) {
	s, _ := fresh(t)
	record(t, s, document(1))
	d := dueNow(t, s, askara.Pending)[0]
	draft := document(1)
	draft.Ready = false
	record(t, s, draft)
	d.State = askara.Staged
	save(t, s, d)
	if got := rowsOf(t, s); got != "1:staged" {
		t.Errorf("rows: got %q want the staged one", got)
	}
	for _, bad := range []askara.Delivery{{}, {UUID: "u", State: askara.Pending}, {UUID: "u", Revision: 1}, {UUID: "u", Revision: 1, State: 9}} {
		if err := s.Save(t.Context(), []askara.Delivery{d, bad}); err == nil {
			t.Errorf("Save of %+v: got no error", bad)
		}
	}
	if d, err := s.Recount(t.Context()); d != 0 || err != nil {
		t.Errorf("%d counts are wrong, %v", d, err)
	}
}

// TestBatchIsOneTransaction saves a batch whose last delivery cannot be saved.
func TestBatchIsOneTransaction(t *testing.T) {
	s, _ := fresh(t)
	record(t, s, documents(0, 3)...)
	rows := dueNow(t, s, askara.Pending)
	for i := range rows {
		rows[i].State = askara.Staged
	}
	rows[2].Revision = 0
	if err := s.Save(t.Context(), rows); err == nil || !strings.Contains(err.Error(), uuidOf(2)) {
		t.Errorf("Save: got %v want an error that names the document", err)
	}
	if n, err := s.Waiting(t.Context(), account, askara.Staged); n != 0 || err != nil {
		t.Errorf("%d of a failed batch were saved, %v", n, err)
	}
}

func TestOddUUIDs(t *testing.T) {
	s, _ := fresh(t)
	var docs []askara.Document
	for _, uuid := range []string{"018F0000-0000-4000-8000-000000000000", "018f0000-0000-4000-8000-000000000000", "42", "a/b c", "018f0000000040008000000000000000",
		"018f0000-0000-4000-8000-00000000000g", "é" + strings.Repeat("x", 34)} {
		docs = append(docs, askara.Document{UUID: uuid, Ready: true, UpdatedAt: epoch, Order: epoch})
	}
	if got := record(t, s, docs...); got.New != len(docs) {
		t.Errorf("Record: got %+v want all new", got)
	}
	if got := record(t, s, docs...); got.Known != len(docs) {
		t.Errorf("Record again: got %+v want all known", got)
	}
	for i, d := range dueNow(t, s, askara.Pending) {
		if d.UUID != docs[i].UUID {
			t.Errorf("uuid: got %q want %q", d.UUID, docs[i].UUID)
		}
	}
	window, err := s.Window(t.Context(), account, time.Time{})
	if err != nil || len(window) != len(docs) {
		t.Errorf("Window: got %d, %v", len(window), err)
	}
}

// TestIdlePollWritesNothing: a page of what is known must not cost a sync.
func TestIdlePollWritesNothing(t *testing.T) {
	s, dir := fresh(t)
	c := askara.Cursor{At: epoch, Pages: 1}
	listing := askara.Listing{Account: account, Documents: documents(0, 50), Cursor: &c}
	if _, err := s.Record(t.Context(), listing); err != nil {
		t.Fatal(err)
	}
	for _, d := range dueNow(t, s, askara.Pending)[:25] {
		d.State = askara.Confirmed
		save(t, s, d)
	}
	if _, err := s.Record(t.Context(), listing); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, dir)
	if rec, err := s.Record(t.Context(), listing); err != nil || rec.Known != 50 {
		t.Fatalf("Record: got %+v, %v", rec, err)
	}
	if after := fingerprint(t, dir); after["askara-sync.db-wal"] != before["askara-sync.db-wal"] || after["askara-sync.db"] != before["askara-sync.db"] {
		t.Error("recording what is known wrote to the ledger")
	}
}

func TestOpenTwiceInOneProcess(t *testing.T) {
	s, dir := fresh(t)
	other := open(t, dir)
	done := make(chan error, 2)
	for _, each := range []*store.Store{s, other} {
		go func() {
			var errs []error
			for n := range 50 {
				_, err := each.Record(t.Context(), askara.Listing{Account: account, Documents: documents(n, n+2)})
				errs = append(errs, err)
			}
			done <- errors.Join(errs...)
		}()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	if n, err := s.Waiting(t.Context(), account, askara.Pending); n != 51 || err != nil {
		t.Errorf("Waiting: got %d, %v want 51", n, err)
	}
}
