package store_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"askara-sync/askara"
	"askara-sync/store"
)

// patched is a file of which some bytes are others, cut to a length. Whole files would be too large to be varied well.
func patched(file []byte, offset uint32, patch []byte, length uint32) []byte {
	file = bytes.Clone(file)
	copy(file[int(offset)%len(file):], patch)
	return file[:min(len(file), int(length))]
}

const whole = 1 << 30

// sample returns the files of a small ledger, its log included, and the ledger again after it was closed.
func sample(f *testing.F) (ledger, log []byte) {
	dir := stateDir(f)
	s, err := store.Open(f.Context(), store.Config{Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	long := document(1)
	long.Raw = append(append([]byte(`{"uuid":"`+long.UUID+`","title":"`), bytes.Repeat([]byte("x"), 9000)...), `"}`...)
	record(f, s, long, document(2))
	path := filepath.Join(dir, "askara-sync.db")
	log, err = os.ReadFile(path + "-wal")
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	ledger, err = os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return ledger, log
}

// FuzzForeignFile damages the ledger's file: Open refuses it, repairs it or works, and nothing crashes.
func FuzzForeignFile(f *testing.F) {
	ledger, _ := sample(f)
	f.Add(uint32(0), []byte{}, uint32(whole))
	f.Add(uint32(0), []byte("SQLite format 4"), uint32(whole))
	f.Add(uint32(28), []byte{0, 0, 1, 0}, uint32(whole))
	f.Add(uint32(100), []byte{5}, uint32(whole))
	f.Add(uint32(4096), []byte{0, 1, 2, 3}, uint32(5000))
	f.Add(uint32(0), []byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, offset uint32, patch []byte, length uint32) {
		dir := stateDir(t)
		if err := os.WriteFile(filepath.Join(dir, "askara-sync.db"), patched(ledger, offset, patch, length), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(t.Context(), store.Config{Dir: dir, Decode: decode})
		if err != nil {
			return
		}
		defer s.Close()
		_, _ = s.Status(t.Context(), account)
		_, _ = s.Record(t.Context(), askara.Listing{Account: account, Documents: documents(0, 5)})
		for _, err := range s.Delivered(t.Context(), account) {
			if err != nil {
				break
			}
		}
	})
}

// endless is a page with one row of 16 MiB, and a page of its text that is followed by itself. They take the places of the numbers.
func endless(leaf, overflow uint32) (patch []byte) {
	varint := func(n uint32) []byte {
		return []byte{0x80 | byte(n>>21), 0x80 | byte(n>>14), 0x80 | byte(n>>7), byte(n & 0x7f)}
	}
	const length = 16 << 20
	page := make([]byte, 8192)
	copy(page, []byte{0x0d, 0, 0, 0, 1, 0, 0, 0, 0x00, 0x10}) // a leaf with one cell, at 16
	record := append([]byte{5}, varint(2*(length-5)+13)...)   // of one column, a text
	copy(page[16:], append(append(varint(length), 1), record...))
	const most, least = 4096 - 35, (4096-12)*32/255 - 23
	local := least + (length-least)%(4096-4)
	if local > most {
		local = least
	}
	binary.BigEndian.PutUint32(page[16+5+local:], overflow)
	binary.BigEndian.PutUint32(page[4096*(overflow-leaf):], overflow)
	return page
}

// FuzzTables walks the tables of a damaged file. However it is damaged, no row is longer than the file.
func FuzzTables(f *testing.F) {
	ledger, _ := sample(f)
	if sound, longest := store.WalkTables(ledger); sound == 0 || longest < 9000 {
		f.Fatalf("a sound ledger has %d rows of up to %d bytes", sound, longest)
	}
	f.Add(uint32(4096), endless(2, 3), uint32(whole))
	f.Add(uint32(0), []byte{}, uint32(whole))
	f.Add(uint32(100), []byte{0x0d, 0, 0, 0xff, 0xff}, uint32(whole))
	f.Add(uint32(8192), []byte{0x05, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1}, uint32(whole))
	f.Add(uint32(12288), bytes.Repeat([]byte{0xff}, 300), uint32(whole))
	f.Fuzz(func(t *testing.T, offset uint32, patch []byte, length uint32) {
		b := patched(ledger, offset, patch, length)
		if _, longest := store.WalkTables(b); longest > len(b) {
			t.Errorf("a row of %d bytes in a file of %d", longest, len(b))
		}
	})
}

// FuzzLog reads a damaged log.
func FuzzLog(f *testing.F) {
	_, log := sample(f)
	if pages, size := store.ReadLog(log); pages == 0 || size != 4096 {
		f.Fatalf("no pages found in a sound log: %d of %d bytes", pages, size)
	}
	f.Add(uint32(0), []byte{}, uint32(whole))
	f.Add(uint32(8), []byte{0, 0, 2, 0}, uint32(whole))
	f.Add(uint32(32), []byte{0, 0, 0, 0}, uint32(5000))
	f.Fuzz(func(t *testing.T, offset uint32, patch []byte, length uint32) {
		b := patched(log, offset, patch, length)
		if pages, size := store.ReadLog(b); pages > 0 && pages*size > len(b) {
			t.Errorf("%d pages of %d bytes in a log of %d", pages, size, len(b))
		}
	})
}

// FuzzKey reads key files.
func FuzzKey(f *testing.F) {
	f.Add([]byte(hex.EncodeToString(make([]byte, 32)) + "\n"))
	f.Add([]byte("correct horse battery staple 123"))
	f.Add(bytes.Repeat([]byte{0xff}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key := store.DecodeKey(b); key != nil && len(key) != 32 {
			t.Errorf("got a key of %d bytes", len(key))
		}
	})
}
