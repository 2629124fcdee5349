package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
)

const account = "default"

// epoch is a date that documents of the tests are about.
var epoch = time.Date(2026, 2, 24, 10, 30, 0, 123456000, time.UTC)

// decode reads what document writes.
func decode(raw []byte) (askara.Document, error) {
	var v struct{ UUID, Title string }
	err := json.Unmarshal(raw, &v)
	return askara.Document{UUID: v.UUID, Title: v.Title, Ready: true, Raw: raw}, err
}

// document returns a ready document whose dates are n seconds after epoch.
func document(n int) askara.Document {
	uuid := uuidOf(n)
	raw, _ := json.Marshal(map[string]string{"uuid": uuid, "title": "Ordonnance"})
	at := epoch.Add(time.Duration(n) * time.Second)
	return askara.Document{UUID: uuid, Title: "Ordonnance", UpdatedAt: at, ValidatedAt: at, Order: at, Ready: true, Raw: raw}
}

func uuidOf(n int) string {
	const digits = "0123456789abcdef"
	b := []byte("018f0000-0000-4000-8000-000000000000")
	for i := len(b) - 1; n > 0 && i > 23; i, n = i-1, n/16 {
		b[i] = digits[n%16]
	}
	return string(b)
}

func documents(from, to int) (list []askara.Document) {
	for n := from; n < to; n++ {
		list = append(list, document(n))
	}
	return list
}

// open opens the ledger in dir and closes it when the test ends.
func open(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Decode: decode})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func fresh(t testing.TB) (*store.Store, string) {
	dir := filepath.Join(t.TempDir(), "state")
	return open(t, dir), dir
}

func record(t testing.TB, s *store.Store, docs ...askara.Document) askara.Recorded {
	t.Helper()
	rec, err := s.Record(t.Context(), askara.Listing{Account: account, Documents: docs, At: time.Now()})
	if err != nil {
		t.Fatalf("Record: %v", err)
	}
	return rec
}

func dueNow(t testing.TB, s *store.Store, states ...askara.DeliveryState) []askara.Delivery {
	t.Helper()
	list, err := s.Due(t.Context(), account, time.Now(), 1000, states...)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	return list
}

func save(t testing.TB, s *store.Store, batch ...askara.Delivery) {
	t.Helper()
	if err := s.Save(t.Context(), batch); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

// deliver takes one document through every step to Confirmed and returns it.
func deliver(t testing.TB, s *store.Store, doc askara.Document) askara.Delivery {
	t.Helper()
	record(t, s, doc)
	for _, d := range dueNow(t, s, askara.Pending) {
		if d.UUID != doc.UUID {
			continue
		}
		d.Receipt = askara.Receipt{Staged: "a.part", Name: d.UUID + ".pdf", Size: 1234, SHA256: askara.Checksum{1, 2, byte(len(doc.Title))}}
		for _, state := range []askara.DeliveryState{askara.Staged, askara.Delivered, askara.Confirmed} {
			d.State = state
			save(t, s, d)
		}
		return d
	}
	t.Fatalf("document %s is not due", doc.UUID)
	return askara.Delivery{}
}

func TestOpenIsPrivate(t *testing.T) {
	s, dir := fresh(t)
	if err := s.SaveLogin(t.Context(), login("r1")); err != nil {
		t.Fatal(err)
	}
	unlock, _, err := s.LockDaemon()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state directory: got %v, %v want 0700", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if !info.IsDir() && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v want 0600", entry.Name(), info.Mode())
		}
		seen[entry.Name()] = true
	}
	for _, name := range []string{"askara-sync.db", "askara-sync.db-wal", "askara-sync.db-shm", "state.key", "ballast", "daemon.lock"} {
		if !seen[name] {
			t.Errorf("%s is missing, so that its mode was not looked at", name)
		}
	}
}

func TestOpenRefusesADirectoryOthersWriteTo(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o770); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), store.Config{Dir: dir})
	if askara.FaultOf(err) != askara.FaultConfiguration || askara.HintOf(err) != "chmod 0700 "+dir {
		t.Errorf("Open: got %v, hint %q", err, askara.HintOf(err))
	}
}

func TestIDSurvives(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	first, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	id := first.ID()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if second := open(t, dir); second.ID() != id || len(id) != 36 {
		t.Errorf("ID: got %q want %q", second.ID(), id)
	}
	if other, _ := fresh(t); other.ID() == id {
		t.Error("two ledgers have one id")
	}
}

func TestCancelledContext(t *testing.T) {
	s, _ := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.SetNote(ctx, "k", "v"); !errors.Is(err, context.Canceled) {
		t.Errorf("SetNote: got %v want context.Canceled", err)
	}
	if _, found, err := s.Note(t.Context(), "k"); found || err != nil {
		t.Errorf("Note after a cancelled SetNote: got %v, %v", found, err)
	}
	if err := s.SetNote(t.Context(), "k", "v"); err != nil {
		t.Errorf("SetNote afterwards: %v", err)
	}
}

// TestConnections: every pragma is a connection's own, and a connection without them would look the same until the power fails.
func TestConnections(t *testing.T) {
	s, _ := fresh(t)
	for name, want := range map[string][2]string{
		"synchronous":        {"2", "1"}, // full; normal, which does not sync at a commit
		"wal_autocheckpoint": {"1000", "0"},
		"journal_mode":       {"wal", "wal"},
		"foreign_keys":       {"1", "1"},
		"busy_timeout":       {"30000", "30000"},
		"secure_delete":      {"1", "1"},
	} {
		got, err := s.Pragmas(t.Context(), name)
		if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s: got %v, %v want %v", name, got, err, want)
		}
	}
}

// TestPatientDataGoes: of a delivered document nothing is left on the disk but what recognises it and its file's name.
func TestPatientDataGoes(t *testing.T) {
	dir := stateDir(t)
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Decode: decode})
	if err != nil {
		t.Fatal(err)
	}
	var docs []askara.Document
	for n := range 40 {
		doc := document(n)
		doc.Raw = fmt.Appendf(nil, `{"uuid":%q,"title":"Hypertension de Mme Durand","text":"%1900d"}`, doc.UUID, n)
		docs = append(docs, doc)
	}
	record(t, s, docs...)
	rows := dueNow(t, s, askara.Pending)
	grep := func() (found int) {
		for _, name := range []string{"askara-sync.db", "askara-sync.db-wal"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			found += bytes.Count(b, []byte("Mme Durand"))
		}
		return found
	}
	if grep() == 0 {
		t.Fatal("the title is nowhere before it is delivered, so that nothing is shown")
	}
	for i := range rows {
		rows[i].State = askara.Delivered
	}
	save(t, s, rows...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := grep(); n != 0 {
		t.Errorf("the title is still there %d times", n)
	}
}
