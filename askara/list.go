package askara

import (
	"io"
	"time"
)

// Query asks for one page of the document list, oldest first.
type Query struct {
	// Since is the inclusive lower bound of the contract's order_field; zero asks for everything.
	Since time.Time
	// Page counts from 1; 0 means 1.
	Page int
}

// Page is one page of a list.
type Page struct {
	// Documents in the order of the answer. Items without a usable uuid are left out and counted in Malformed.
	Documents []Document
	Malformed int
	// Asked is how many items the request asked for.
	Asked int
}

// Len is how many items the server put on the page, usable or not.
func (p Page) Len() int { return len(p.Documents) + p.Malformed }

// Content is a PDF on its way. The caller closes Body.
type Content struct {
	Body io.ReadCloser
	// Size is the announced length in bytes, -1 where unknown.
	Size int64
}
