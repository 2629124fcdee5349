package sandbox

import (
	"cmp"
	"slices"
	"sort"
)

// maxBlock is how many documents a block holds before it is split: moving a document costs the square root of all.
const maxBlock = 512

// key is a document's place in an index: its time of change, then its uuid.
type key struct {
	at   int64 // unix microseconds
	uuid string
}

func (k key) compare(o key) int {
	if c := cmp.Compare(k.at, o.at); c != 0 {
		return c
	}
	return cmp.Compare(k.uuid, o.uuid)
}

// index keeps documents in the order of their keys, in blocks, so that a keyed page costs no more than the page.
type index struct{ blocks [][]*document }

// find returns the block and place of the first document that is not before k.
func (x *index) find(k key) (block, place int) {
	block = sort.Search(len(x.blocks), func(i int) bool {
		b := x.blocks[i]
		return b[len(b)-1].key.compare(k) >= 0
	})
	if block == len(x.blocks) {
		return block, 0
	}
	b := x.blocks[block]
	return block, sort.Search(len(b), func(i int) bool { return b[i].key.compare(k) >= 0 })
}

func (x *index) insert(d *document) {
	i, j := x.find(d.key)
	if i == len(x.blocks) {
		if i == 0 {
			x.blocks = append(x.blocks, make([]*document, 0, maxBlock))
		} else {
			i--
			j = len(x.blocks[i])
		}
	}
	b := slices.Insert(x.blocks[i], j, d)
	x.blocks[i] = b
	if len(b) < maxBlock {
		return
	}
	half := maxBlock / 2
	if i == len(x.blocks)-1 { // what is appended fills blocks whole
		half = maxBlock - 1
	}
	rest := append(make([]*document, 0, maxBlock), b[half:]...)
	clear(b[half:])
	x.blocks[i] = b[:half]
	x.blocks = slices.Insert(x.blocks, i+1, rest)
}

func (x *index) remove(d *document) {
	i, j := x.find(d.key)
	if i == len(x.blocks) || j == len(x.blocks[i]) || x.blocks[i][j] != d {
		return
	}
	x.blocks[i] = slices.Delete(x.blocks[i], j, j+1)
	if len(x.blocks[i]) == 0 {
		x.blocks = slices.Delete(x.blocks, i, i+1)
	}
}

// walk calls visit with the documents from k on, in order, until it returns false.
func (x *index) walk(k key, visit func(*document) bool) {
	i, j := x.find(k)
	for ; i < len(x.blocks); i, j = i+1, 0 {
		for _, d := range x.blocks[i][j:] {
			if !visit(d) {
				return
			}
		}
	}
}

// back calls visit with all documents, last first, until it returns false.
func (x *index) back(visit func(*document) bool) {
	for _, b := range slices.Backward(x.blocks) {
		for _, d := range slices.Backward(b) {
			if !visit(d) {
				return
			}
		}
	}
}
