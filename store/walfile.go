package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// SQLite throws a log away when the database beside it is empty, and refuses both when the database's first page is gone. What was
// committed is often all in the log then. So the repair applies the log itself, to a copy; the format is fixed by SQLite's
// documentation (https://www.sqlite.org/fileformat2.html#walformat).

const (
	walHeader   = 32
	frameHeader = 24
	walMagic    = 0x377f0682 // the lowest bit tells the byte order of checksums
	minPage     = 512
	maxPage     = 65536
)

// walSum is SQLite's running checksum over pairs of words.
type walSum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (c *walSum) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		c.s0 += c.order.Uint32(b) + c.s1
		c.s1 += c.order.Uint32(b[4:]) + c.s0
	}
}

// matches tells whether the stored pair of words is the running checksum.
func (c *walSum) matches(b []byte) bool {
	return binary.BigEndian.Uint32(b) == c.s0 && binary.BigEndian.Uint32(b[4:]) == c.s1
}

// applyLog writes every page of the log's committed transactions into the database file. It reports damaged where the log breaks off
// before a commit that was in it. A log that is missing or empty is fine.
func applyLog(db *os.File, path string) (damaged bool, err error) {
	wal, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer wal.Close()
	pages, size, pageSize, damaged := readLog(bufio.NewReaderSize(wal, 1<<18))
	page := make([]byte, pageSize)
	for number, offset := range pages {
		if _, err := wal.ReadAt(page, offset); err != nil {
			return true, err
		}
		if _, err := db.WriteAt(page, int64(number-1)*int64(pageSize)); err != nil {
			return damaged, err
		}
	}
	if size > 0 {
		err = db.Truncate(int64(size) * int64(pageSize))
	}
	return damaged, err
}

// readLog finds where the newest committed content of each page is in a log, and how many pages the database has after it.
func readLog(r io.Reader) (pages map[uint32]int64, size uint32, pageSize int, damaged bool) {
	header := make([]byte, walHeader)
	if n, err := io.ReadFull(r, header); err != nil {
		return nil, 0, 0, n > 0
	}
	magic := binary.BigEndian.Uint32(header)
	sum := walSum{order: binary.LittleEndian}
	if magic&1 == 1 {
		sum.order = binary.BigEndian
	}
	pageSize = int(binary.BigEndian.Uint32(header[8:]))
	sum.add(header[:24])
	if magic&^1 != walMagic || pageSize < minPage || pageSize > maxPage || pageSize&(pageSize-1) != 0 || !sum.matches(header[24:]) {
		return nil, 0, 0, true
	}
	salt := string(header[16:24])
	pages = map[uint32]int64{}
	begun := map[uint32]int64{} // of the transaction whose commit is not seen yet
	frame := make([]byte, frameHeader+pageSize)
	broken := false
	for offset := int64(walHeader); ; offset += int64(len(frame)) {
		if _, err := io.ReadFull(r, frame); err != nil {
			return pages, size, pageSize, damaged
		}
		if string(frame[8:16]) != salt {
			return pages, size, pageSize, damaged // a leftover of an earlier round
		}
		number, commit := binary.BigEndian.Uint32(frame), binary.BigEndian.Uint32(frame[4:])
		sum.add(frame[:8])
		sum.add(frame[frameHeader:])
		if broken = broken || number == 0 || !sum.matches(frame[16:]); broken {
			damaged = damaged || commit > 0
			continue
		}
		begun[number] = offset + frameHeader
		if commit == 0 {
			continue
		}
		for n, at := range begun {
			pages[n] = at
		}
		clear(begun)
		size = commit
	}
}

// assemble copies a database with its log applied to a file of its own.
func assemble(source, target string) (damaged bool, err error) {
	out, err := openOwned(target, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	in, err := os.Open(source)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, in.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return applyLog(out, source+"-wal")
}
