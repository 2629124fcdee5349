package store

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// SQLite stops at the first damaged page that it meets, and at a damaged first page it does not begin. A repair wants the rows on all
// the others, so it reads tables itself; the format is fixed (https://www.sqlite.org/fileformat2.html#b_tree_pages). Everything here
// expects nonsense.

const (
	leafTable     = 0x0d
	interiorTable = 0x05
	firstHeader   = 100 // of the database, in front of its first page
	maxDepth      = 20  // no table is deeper
	maxPayload    = 64 << 20
)

var errPage = errors.New("damaged page")

// pageFile is a database file, seen as pages.
type pageFile struct {
	r     io.ReaderAt
	size  int // of a page; all of it is in use, in a database of ours
	count uint32
	seen  map[uint32]bool // pages of tables that were walked
}

// newPageFile looks at the header; where that is damaged the page size is our own.
func newPageFile(r io.ReaderAt, length int64) *pageFile {
	p := &pageFile{r: r, size: 4096, seen: map[uint32]bool{}}
	header := make([]byte, firstHeader)
	if _, err := r.ReadAt(header, 0); err == nil {
		if n := int(binary.BigEndian.Uint16(header[16:])); n >= minPage && n&(n-1) == 0 {
			p.size = n
		}
	}
	p.count = uint32(min(length/int64(p.size), math.MaxUint32))
	return p
}

// page reads a page and returns it with the offset of its b-tree header.
func (p *pageFile) page(number uint32) (page []byte, header int, err error) {
	if number == 0 || number > p.count {
		return nil, 0, errPage
	}
	page = make([]byte, p.size)
	if _, err := p.r.ReadAt(page, int64(number-1)*int64(p.size)); err != nil {
		return nil, 0, errPage
	}
	if number == 1 {
		header = firstHeader
	}
	return page, header, nil
}

// rowFunc is given a row: its rowid and its columns, as int64, float64, string, []byte or nil.
type rowFunc func(rowid int64, values []any) error

// walk calls emit for every readable row of the table whose first page is root. It returns emit's error alone, and whether something
// could not be read.
func (p *pageFile) walk(root uint32, emit rowFunc) (damaged bool, err error) {
	return p.walkFrom(root, 0, emit)
}

func (p *pageFile) walkFrom(number uint32, depth int, emit rowFunc) (damaged bool, err error) {
	page, header, err := p.page(number)
	if err != nil || depth > maxDepth || p.seen[number] {
		return true, nil
	}
	p.seen[number] = true
	switch page[header] {
	case leafTable:
		return p.leaf(page, header, emit)
	case interiorTable:
	default:
		return true, nil
	}
	children, damaged := cells(page, header, 12)
	for _, cell := range children {
		if cell+4 > len(page) {
			damaged = true
			continue
		}
		bad, err := p.walkFrom(binary.BigEndian.Uint32(page[cell:]), depth+1, emit)
		if err != nil {
			return true, err
		}
		damaged = damaged || bad
	}
	bad, err := p.walkFrom(binary.BigEndian.Uint32(page[header+8:]), depth+1, emit)
	return damaged || bad, err
}

// cells returns the offsets of a page's cells. The pointers to them follow its header, which has the given length.
func cells(page []byte, header, length int) (offsets []int, damaged bool) {
	n := int(binary.BigEndian.Uint16(page[header+3:]))
	first := header + length
	for i := range n {
		at := first + 2*i
		if at+2 > len(page) {
			return offsets, true
		}
		offset := int(binary.BigEndian.Uint16(page[at:]))
		if offset < first+2*n || offset >= len(page) {
			damaged = true
			continue
		}
		offsets = append(offsets, offset)
	}
	return offsets, damaged
}

func (p *pageFile) leaf(page []byte, header int, emit rowFunc) (damaged bool, err error) {
	offsets, damaged := cells(page, header, 8)
	for _, offset := range offsets {
		rowid, values, err := p.row(page[offset:])
		if err != nil {
			damaged = true
			continue
		}
		if err := emit(rowid, values); err != nil {
			return true, err
		}
	}
	return damaged, nil
}

// row decodes the cell of a leaf.
func (p *pageFile) row(cell []byte) (rowid int64, values []any, err error) {
	length, n := varint(cell)
	id, m := varint(cell[n:])
	if n == 0 || m == 0 || length > maxPayload {
		return 0, nil, errPage
	}
	payload, err := p.payload(cell[n+m:], int(length))
	if err != nil {
		return 0, nil, err
	}
	values, err = decodeRecord(payload)
	return int64(id), values, err
}

// payload gathers what a cell holds, of which a page has only the first part where it is long.
func (p *pageFile) payload(cell []byte, length int) ([]byte, error) {
	local := length
	if most := p.size - 35; length > most {
		least := (p.size-12)*32/255 - 23
		if local = least + (length-least)%(p.size-4); local > most {
			local = least
		}
	}
	if int64(length) > int64(p.count)*int64(p.size) {
		return nil, errPage // its pages would have to be read more than once
	}
	if local > len(cell) || local < length && local+4 > len(cell) {
		return nil, errPage
	}
	payload := cell[:local:local]
	if local == length {
		return payload, nil
	}
	next := binary.BigEndian.Uint32(cell[local:])
	for len(payload) < length {
		page, _, err := p.page(next)
		if err != nil || next == 1 {
			return nil, errPage
		}
		next = binary.BigEndian.Uint32(page)
		payload = append(payload, page[4:min(len(page), 4+length-len(payload))]...)
	}
	return payload, nil
}

// decodeRecord decodes the columns of a row.
func decodeRecord(payload []byte) (values []any, err error) {
	size, n := varint(payload)
	if n == 0 || size > uint64(len(payload)) || size < uint64(n) {
		return nil, errPage
	}
	types, body := payload[n:size], payload[size:]
	for len(types) > 0 {
		kind, n := varint(types)
		if n == 0 {
			return nil, errPage
		}
		types = types[n:]
		value, length, err := decodeValue(kind, body)
		if err != nil {
			return nil, err
		}
		values, body = append(values, value), body[length:]
	}
	return values, nil
}

// decodeValue decodes a column by its serial type and returns how many bytes it took.
func decodeValue(kind uint64, body []byte) (value any, length int, err error) {
	sizes := [...]uint64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0}
	size := (kind - 12) / 2
	if kind < uint64(len(sizes)) {
		size = sizes[kind]
	} else if kind < 12 {
		return nil, 0, errPage
	}
	if size > uint64(len(body)) {
		return nil, 0, errPage
	}
	b := body[:size]
	switch {
	case kind == 0:
		return nil, 0, nil
	case kind == 7:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), 8, nil
	case kind == 8 || kind == 9:
		return int64(kind - 8), 0, nil
	case kind <= 6:
		n := int64(int8(b[0]))
		for _, c := range b[1:] {
			n = n<<8 | int64(c)
		}
		return n, len(b), nil
	case kind%2 == 0:
		return append([]byte{}, b...), len(b), nil
	}
	return string(b), len(b), nil
}

// varint decodes SQLite's own kind of variable-length number; n is 0 where it is cut short.
func varint(b []byte) (v uint64, n int) {
	for n < min(len(b), 9) {
		c := b[n]
		n++
		if n == 9 {
			return v<<8 | uint64(c), n
		}
		if v = v<<7 | uint64(c&0x7f); c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}
