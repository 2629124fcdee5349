package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// listing is what a list request asks for, as far as the server understands it.
type listing struct {
	page, items int
	ordered     bool // by the time of change, ascending
	descending  bool
	by          string // "createdAt" or "validatedAt" where that is the order
	bounds      []bound
	status      []string
}

// bound is one limit on one date.
type bound struct {
	field string
	test  func(time.Time) bool
	from  int64 // the least key that can pass, 0 where it bounds from above only
}

// list answers GET /documents.
func (s *Server) list(x *exchange) {
	if hook := s.config.OnList; hook != nil {
		hook(int(s.lists.Add(1)))
	}
	shape, ok := x.shape()
	if !ok {
		problem(x.w, http.StatusNotAcceptable, "An error occurred", "Requested format is not supported.")
		return
	}
	q := x.r.URL.Query()
	l := parseListing(q, x.c)
	b := make([]byte, 0, 32<<10)
	b = openList(b, shape, x)
	a := s.archive
	a.mu.Lock()
	docs, total := a.read(l, x, s.person(x), shape != ShapeArray)
	for i, d := range docs {
		if i > 0 {
			b = append(b, ',')
		}
		if x.c.GarbageItems {
			b = garbageItem(b, i)
		}
		b = d.append(b, x.c, shape, s)
	}
	if n := len(docs); x.c.GarbageItems && n > 0 {
		for i := n; i < garbage; i++ {
			b = garbageItem(append(b, ','), i)
			b = b[:len(b)-1]
		}
	}
	a.mu.Unlock()
	b = closeList(b, shape, x, q, l, total)
	x.send(http.StatusOK, shape.contentType(), b)
}

// shape chooses the wrapping of a list or of an object.
func (x *exchange) shape() (Shape, bool) {
	accept := x.r.Header.Get("Accept")
	shape := x.c.Shape
	if shape == ShapeByAccept {
		shape = ShapeJSONLD
		plain, ld := strings.Index(accept, "application/json"), strings.Index(accept, "application/ld+json")
		if plain >= 0 && (ld < 0 || plain < ld) {
			shape = ShapeArray
		}
	}
	if x.c.Insists {
		return shape, accept == "" || strings.Contains(accept, "*/*") || strings.Contains(accept, shape.mediaType())
	}
	return shape, true
}

func (s Shape) mediaType() string {
	if s == ShapeArray {
		return "application/json"
	}
	return "application/ld+json"
}

func (s Shape) contentType() string { return s.mediaType() + "; charset=utf-8" }

// parseListing reads the query. What it does not understand it ignores, as such servers do.
func parseListing(q url.Values, c *contract) listing {
	l := listing{page: 1, items: c.DefaultItems, ordered: q.Get("order["+c.OrderField+"]") == "asc"}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		l.page = n
	}
	if n, err := strconv.Atoi(q.Get("itemsPerPage")); err == nil && n >= 0 {
		l.items = min(n, c.MaxItems)
	}
	switch {
	case c.Descending:
		l.ordered, l.descending = false, true
	case c.IgnoreOrder:
		l.ordered = false
	default:
		l.descending = q.Get("order["+c.OrderField+"]") == "desc"
		for _, by := range []string{"createdAt", "validatedAt"} {
			if q.Get("order["+by+"]") == "asc" && by != c.OrderField && !l.ordered {
				l.by = by
			}
		}
	}
	l.status = slices.Concat(q["status"], q["status[]"])
	if c.IgnoreBounds {
		return l
	}
	for _, field := range []string{c.OrderField, "createdAt", "validatedAt"} {
		for _, op := range []string{"gt", "gte", "lt", "lte", "between"} {
			if v := q.Get(field + "[" + op + "]"); v != "" {
				l.bounds = appendBounds(l.bounds, field, op, v)
			}
		}
	}
	return l
}

// appendBounds adds the bounds of one parameter; none where a date cannot be read.
func appendBounds(bounds []bound, field, op, value string) []bound {
	if op == "between" {
		lo, hi, ok := strings.Cut(value, "..")
		if !ok {
			return bounds
		}
		return appendBounds(appendBounds(bounds, field, "gte", lo), field, "lte", hi)
	}
	at, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		if at, err = time.Parse(time.DateOnly, value); err != nil {
			return bounds
		}
	}
	b := bound{field: field}
	switch op {
	case "gt":
		b.test, b.from = at.Before, at.UnixMicro()
	case "gte":
		b.test, b.from = func(t time.Time) bool { return !t.Before(at) }, at.UnixMicro()
	case "lt":
		b.test = at.After
	case "lte":
		b.test = func(t time.Time) bool { return !t.After(at) }
	}
	return append(bounds, b)
}

// passes says whether d is within the bounds.
func (l *listing) passes(d *document, c *contract) bool {
	if len(l.status) > 0 && !slices.Contains(l.status, d.Status) {
		return false
	}
	for _, b := range l.bounds {
		at := d.UpdatedAt
		switch b.field {
		case c.OrderField:
		case "createdAt":
			at = d.CreatedAt
		case "validatedAt":
			at = d.ValidatedAt
		}
		if !b.test(at) {
			return false
		}
	}
	return true
}

// garbage is how many items of a page are none, where the dialect has them.
const garbage = 6

// read returns the page of a person's documents, and, where it is asked for, how many there are on all pages.
func (a *archive) read(l listing, x *exchange, person string, count bool) (page []*document, total int) {
	sh := a.shelf(person)
	items := l.items
	if x.c.GarbageItems {
		items = max(items-garbage, 1)
	}
	if items == 0 {
		return nil, len(sh.all)
	}
	skip := (l.page - 1) * max(items-x.c.Repeats, 1)
	visit := func(d *document) bool {
		a.visited++
		if !l.passes(d, x.c) {
			return true
		}
		if total++; total > skip && len(page) < items {
			page = append(page, d)
		}
		return count || len(page) < items
	}
	switch {
	case l.descending:
		sh.changed.back(visit)
	case l.ordered:
		var from key
		for _, b := range l.bounds {
			if b.field == x.c.OrderField {
				from.at = max(from.at, b.from)
			}
		}
		sh.changed.walk(from, visit)
	default:
		for _, d := range sh.sorted(l.by) {
			if !visit(d) {
				break
			}
		}
	}
	return page, total
}

// sorted returns all documents by creation, or by another date.
func (sh *shelf) sorted(by string) []*document {
	date := func(d *document) time.Time { return d.CreatedAt }
	switch by {
	case "":
		return sh.all
	case "validatedAt":
		date = func(d *document) time.Time { return d.ValidatedAt }
	}
	all := slices.Clone(sh.all)
	sort.SliceStable(all, func(i, j int) bool { return date(all[i]).Before(date(all[j])) })
	return all
}

// garbageItem writes the i-th thing that is no document, with a comma after it.
func garbageItem(b []byte, i int) []byte {
	if i >= garbage {
		return b
	}
	return append(append(b, []string{`null`, `42`, `"/documents/1"`, `{}`, `{"uuid":["x"],"title":{"a":1}}`,
		`{"uuid":"","title":"sans identifiant"}`}[i]...), ',')
}

// openList writes what comes before the items.
func openList(b []byte, shape Shape, x *exchange) []byte {
	if shape == ShapeArray {
		return append(b, '[')
	}
	b = append(b, `{"@context":"/contexts/Document","@id":`...)
	b = appendString(b, x.c.prefix+x.c.DocumentsPath)
	if shape == ShapeHydra {
		return append(b, `,"@type":"hydra:Collection","hydra:member":[`...)
	}
	return append(b, `,"@type":"Collection","member":[`...)
}

// closeList writes what comes after them.
func closeList(b []byte, shape Shape, x *exchange, q url.Values, l listing, total int) []byte {
	b = append(b, ']')
	if shape == ShapeArray {
		return b
	}
	prefix := ""
	if shape == ShapeHydra {
		prefix = "hydra:"
	}
	b = append(append(append(b, `,"`...), prefix...), `totalItems":`...)
	b = strconv.AppendInt(b, int64(total), 10)
	link := func(page int) string {
		q.Set("page", strconv.Itoa(page))
		return x.c.prefix + x.c.DocumentsPath + "?" + q.Encode()
	}
	b = append(append(append(b, `,"`...), prefix...), `view":{"@id":`...)
	b = appendString(b, link(l.page))
	b = append(append(append(b, `,"@type":"`...), prefix...), `PartialCollectionView"`...)
	if l.items > 0 && l.page*l.items < total {
		b = append(append(append(b, `,"`...), prefix...), `next":`...)
		b = appendString(b, link(l.page+1))
	}
	return append(b, "}}"...)
}
