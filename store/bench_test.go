package store_test

import (
	"fmt"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
	"askara-sync/store/storetest"
)

// page returns a full page of documents that no page before had, of about 2 KiB each.
func page(b int) []askara.Document {
	docs := make([]askara.Document, 100)
	for i := range docs {
		n := b*len(docs) + i
		docs[i] = document(n)
		docs[i].UUID = storetest.UUID(1<<40 + n)
		docs[i].Raw = fmt.Appendf(nil, `{"uuid":%q,"title":"Ordonnance","text":"%1900d"}`, docs[i].UUID, n)
	}
	return docs
}

func BenchmarkRecord100(b *testing.B) {
	s, _ := fresh(b)
	n := 0
	for b.Loop() {
		b.StopTimer()
		docs := page(n)
		n++
		b.StartTimer()
		record(b, s, docs...)
	}
}

func BenchmarkRecord100Known(b *testing.B) {
	s, _ := fresh(b)
	docs := page(0)
	record(b, s, docs...)
	for b.Loop() {
		record(b, s, docs...)
	}
}

// BenchmarkSave64 moves 64 deliveries one step on.
func BenchmarkSave64(b *testing.B) {
	for _, step := range []askara.DeliveryState{askara.Staged, askara.Delivered, askara.Confirmed} {
		b.Run(step.String(), func(b *testing.B) {
			s, _ := fresh(b)
			n := 0
			for b.Loop() {
				b.StopTimer()
				record(b, s, page(n)[:64]...)
				n++
				rows, err := s.Due(b.Context(), account, time.Now(), 64, askara.Pending)
				if err != nil || len(rows) != 64 {
					b.Fatalf("Due: got %d, %v", len(rows), err)
				}
				set := func(state askara.DeliveryState) {
					for i := range rows {
						rows[i].State, rows[i].DeliveredAt = state, epoch
						rows[i].Receipt = askara.Receipt{Name: rows[i].UUID + ".pdf", Staged: rows[i].UUID, Size: 200_000, SHA256: askara.Checksum{1}}
					}
				}
				for state := askara.Staged; state < step; state++ {
					set(state)
					save(b, s, rows...)
				}
				set(step)
				b.StartTimer()
				save(b, s, rows...)
				b.StopTimer()
				set(askara.Confirmed)
				save(b, s, rows...)
				b.StartTimer()
			}
		})
	}
}

func BenchmarkDue64(b *testing.B) {
	for _, waiting := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			s, _ := fresh(b)
			for n := range waiting / 100 {
				record(b, s, page(n)...)
			}
			for b.Loop() {
				if rows, err := s.Due(b.Context(), account, time.Now(), 64, askara.Pending); err != nil || len(rows) != 64 {
					b.Fatalf("Due: got %d, %v", len(rows), err)
				}
			}
		})
	}
}

func BenchmarkUpdateBudget(b *testing.B) {
	s, _ := fresh(b)
	for b.Loop() {
		if err := s.UpdateBudget(b.Context(), func(s *askara.BudgetState) error { s.Granted++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStatus(b *testing.B) {
	s, _ := fresh(b)
	if err := storetest.Fill(b.Context(), s, account, 20_000, epoch); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Status(b.Context(), account); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := stateDir(b)
	if err := storetest.Fill(b.Context(), open(b, dir), account, 20_000, epoch); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := store.Open(b.Context(), store.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoadLogin is what each request costs of the ledger, and what it costs where something was written before.
func BenchmarkLoadLogin(b *testing.B) {
	for _, written := range []bool{false, true} {
		b.Run(fmt.Sprintf("written=%v", written), func(b *testing.B) {
			s, dir := fresh(b)
			if err := s.SaveLogin(b.Context(), login("bench")); err != nil {
				b.Fatal(err)
			}
			other := open(b, dir)
			n := 0
			for b.Loop() {
				if written {
					b.StopTimer()
					n++
					if err := other.SetNote(b.Context(), "key", fmt.Sprint(n)); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				if _, err := s.LoadLogin(b.Context(), account); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
