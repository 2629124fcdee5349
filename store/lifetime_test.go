package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
)

// manyDelivered is enough for tables and indexes of several levels.
const manyDelivered = 300

// lifetime makes a ledger with a history in dir: manyDelivered confirmed documents, 40 pending, 10 delivered, 5 parked, a login, a
// cursor and notes. It leaves it open, so that some of it is in the log alone.
func lifetime(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Decode: decode})
	if err != nil {
		t.Fatal(err)
	}
	at := epoch.Add(10000 * time.Second)
	if _, err := s.Record(t.Context(), askara.Listing{Account: account, Documents: documents(0, manyDelivered+55), At: time.Now(),
		Cursor: &askara.Cursor{At: at, WalkedAt: time.Now(), Pages: 7}}); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Due(t.Context(), account, time.Now(), 2*manyDelivered, askara.Pending)
	if err != nil || len(rows) != manyDelivered+55 {
		t.Fatalf("Due: got %d, %v", len(rows), err)
	}
	for i := range rows {
		rows[i].Receipt = askara.Receipt{Name: fmt.Sprintf("2026-02-24_DURAND_Ordonnance_%d.pdf", i), Size: 100, SHA256: askara.Checksum{1, byte(i), byte(i >> 8)}}
		switch {
		case i < manyDelivered:
			rows[i].State = askara.Confirmed
		case i < manyDelivered+10:
			rows[i].State = askara.Delivered
		case i < manyDelivered+15:
			rows[i].State, rows[i].Reason = askara.Parked, "not a PDF"
		}
	}
	save(t, s, rows[:manyDelivered+15]...)
	l := login("salvaged")
	if err := s.SaveLogin(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if err := s.SetNote(t.Context(), "marker", "here"); err != nil {
		t.Fatal(err)
	}
	return s
}

// copyState copies the files of a ledger, as a power cut would leave them, to a new directory.
func copyState(t testing.TB, dir string) string {
	t.Helper()
	to := stateDir(t)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := os.CopyFS(filepath.Join(to, entry.Name()), os.DirFS(filepath.Join(dir, entry.Name()))); err != nil {
				t.Fatal(err)
			}
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, entry.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// outcome is what a repair made of a ledger of lifetime.
type outcome struct {
	pending, delivered, confirmed, parked int
	login                                 askara.LoginState
	note, sameID, doubt, backup           bool
	cursor                                time.Duration // behind that of lifetime; -1 for none
}

func look(t testing.TB, s *store.Store, id string) (o outcome) {
	t.Helper()
	report, err := s.Salvaged(t.Context())
	if err != nil || report == nil {
		t.Fatalf("Salvaged: got %v, %v", report, err)
	}
	st, err := s.Status(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	o.pending, o.delivered, o.confirmed, o.parked = st.Counts[askara.Pending], st.Counts[askara.Delivered], st.Counts[askara.Confirmed], st.Counts[askara.Parked]
	l, err := s.LoadLogin(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if o.login = l.State; l.State == askara.LoginOK && l.Tokens.Refresh.Reveal() != "refresh-salvaged" {
		t.Error("the login came back without its token")
	}
	_, o.note, err = s.Note(t.Context(), "marker")
	if err != nil {
		t.Fatal(err)
	}
	o.sameID, o.doubt, o.backup = s.ID() == id, report.Doubt, report.Backup != ""
	c, err := s.Cursor(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if o.cursor = -1; !c.At.IsZero() {
		o.cursor = epoch.Add(10000 * time.Second).Sub(c.At)
	}
	// Counts are kept apart from the rows: they must tell the same.
	n := 0
	for d, err := range s.Delivered(t.Context(), account) {
		if err != nil || !strings.HasPrefix(d.Receipt.Name, "2026-02-24_DURAND") {
			t.Fatalf("Delivered: got %+v, %v", d, err)
		}
		n++
	}
	if n != o.confirmed+o.delivered {
		t.Errorf("Delivered yields %d rows, the count says %d", n, o.confirmed+o.delivered)
	}
	return o
}

const day = 24 * time.Hour
