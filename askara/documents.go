package askara

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// List returns one page of the account's documents. The server may ignore order and bound without a word: what comes back is to
// be checked by the caller. The request's shape is inferred (section 6 of the API's description).
func (c *Client) List(ctx context.Context, q Query) (Page, error) {
	address, asked := c.listURL(q)
	r := request{call: call{op: opList, work: WorkFrom(ctx, WorkList)}, method: http.MethodGet, url: address, accept: acceptJSON}
	resp, err := c.send(ctx, r)
	if err != nil {
		return Page{}, err
	}
	defer resp.Body.Close()
	buf := c.buffers.take()
	defer c.buffers.give(buf)
	if err := readInto(buf, r, resp); err != nil {
		return Page{}, err
	}
	if !json.Valid(buf.Bytes()) {
		return Page{}, broken(r, resp, notJSON(resp, buf.Len()))
	}
	list := listOf(buf.Bytes())
	if list == nil {
		e := broken(r, resp, errors.New("the answer is JSON, but no list"))
		e.hint = hintDoctor
		return Page{}, e
	}
	page := Page{Asked: asked, Documents: make([]Document, 0, asked)}
	for item := range items(list) {
		d, err := c.contract.decode(item)
		if err != nil {
			page.Malformed++
			continue
		}
		page.Documents = append(page.Documents, d)
	}
	return page, nil
}

// listOf finds the list in an answer: a bare array, or JSON-LD's member with or without the prefix of API Platform 3; nil where
// there is none.
func listOf(raw []byte) []byte {
	if i := skipTo(raw, 0, ""); raw[i] == '[' {
		return raw[i:]
	}
	for _, key := range []string{"member", "hydra:member"} {
		if list := lookup(raw, key); len(list) > 0 && list[0] == '[' {
			return list
		}
	}
	return nil
}

// listURL is the address of a page, and how many items it asks for. The parameters stand in this order, not sorted: the server
// orders by the first order[…] first.
func (c *Client) listURL(q Query) (string, int) {
	type parameter struct{ name, value string }
	contract := &c.contract
	parameters := []parameter{
		{"itemsPerPage", strconv.Itoa(itemsPerPage)},
		{"page", strconv.Itoa(max(q.Page, 1))},
		{"order[" + contract.OrderField + "]", "asc"},
	}
	if contract.OrderField != "uuid" {
		parameters = append(parameters, parameter{"order[uuid]", "asc"})
	}
	if !q.Since.IsZero() {
		parameters = append(parameters, parameter{contract.sinceParameter(), q.Since.UTC().Format(sinceLayout)})
	}
	for _, name := range slices.Sorted(maps.Keys(contract.Query)) {
		extra := parameter{name, contract.Query[name]}
		if i := slices.IndexFunc(parameters, func(p parameter) bool { return p.name == name }); i >= 0 {
			parameters[i] = extra
		} else {
			parameters = append(parameters, extra)
		}
	}
	asked := itemsPerPage
	var b strings.Builder
	b.WriteString(endpoint(c.base, contract.DocumentsPath, ""))
	separator := byte('?')
	if strings.IndexByte(contract.DocumentsPath, '?') >= 0 {
		separator = '&'
	}
	for _, p := range parameters {
		if p.name == "itemsPerPage" {
			if n, err := strconv.Atoi(p.value); err == nil && n > 0 && n <= itemsPerPage {
				asked = n
			}
		}
		b.WriteByte(separator)
		b.WriteString(url.QueryEscape(p.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.value))
		separator = '&'
	}
	return b.String(), asked
}

// Document returns one document by its uuid.
func (c *Client) Document(ctx context.Context, uuid string) (Document, error) {
	if !usableUUID(uuid) {
		return Document{}, unusable(opDocument)
	}
	r := request{call: call{op: opDocument, uuid: uuid, work: WorkFrom(ctx, WorkList)}, method: http.MethodGet,
		url: endpoint(c.base, c.contract.DocumentPath, uuid), accept: acceptJSON}
	resp, err := c.send(ctx, r)
	if err != nil {
		return Document{}, err
	}
	defer resp.Body.Close()
	buf := c.buffers.take()
	defer c.buffers.give(buf)
	if err := readInto(buf, r, resp); err != nil {
		return Document{}, err
	}
	if !json.Valid(buf.Bytes()) {
		return Document{}, broken(r, resp, notJSON(resp, buf.Len()))
	}
	d, err := c.contract.decode(buf.Bytes())
	if err == nil && !strings.EqualFold(d.UUID, uuid) {
		err = fmt.Errorf("the answer is about document %s", d.UUID)
	}
	if err != nil {
		return Document{}, &Error{Op: opDocument, UUID: uuid, Status: resp.StatusCode, Kind: FaultDocument, Err: err, hint: hintDoctor}
	}
	return d, nil
}

// unusable is an identifier that must not get into a path.
func unusable(op string) *Error {
	return &Error{Op: op, Kind: FaultPermanent, Err: errors.New("the uuid is unusable"), hint: "a uuid looks like 0190b5e2-7c1f-7d3a-9a53-2f6f1c0d4e8b"}
}
