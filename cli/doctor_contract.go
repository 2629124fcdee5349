package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"askara-sync/askara"
)

// How sure a proposed line is.
const (
	noteTried   = "tried"
	noteDerived = "derived, not tried"
)

// contractChecks compares what the contract says with what the API does. Each step goes on with what the steps before found out.
func (q *inquiry) contractChecks(ctx context.Context) {
	if !q.list(ctx) {
		return
	}
	q.order(ctx)
	q.bounds(ctx)
	q.fields()
	q.choose()
	q.single(ctx)
	q.pdf(ctx)
	q.confirmation(ctx)
	q.settle()
}

// settle takes the proposed lines back where they could not be configured: much of them is foreign text.
func (q *inquiry) settle() {
	if errs := q.contract.Validate(); len(errs) > 0 {
		q.report.fail("contract", askara.FaultUnexpected, "what was found out cannot be configured: "+errs[0].Error(), "")
		q.report.lines.list = nil
	}
}

// propose puts a line for a key, unless it says what is configured already.
func (q *inquiry) propose(key string, value, configured any, note string) {
	if fmt.Sprint(value) != fmt.Sprint(configured) {
		q.report.lines.set(key, value, note)
	}
}

// likelyLists are addresses that a list of documents may well have.
var likelyLists = []string{"/documents", "/medical-documents", "/medical_documents", "/api/documents", "/v1/documents", "/organization/documents"}

// list asks for the first page, and looks elsewhere where there is none. It says whether there is a list.
func (q *inquiry) list(ctx context.Context) bool {
	page, err := q.client().List(ctx, askara.Query{})
	if err == nil {
		q.page = page
		q.listed("")
		return true
	}
	if q.unasked("list", err) {
		return false
	}
	t := q.witness.seen()
	e, ok := errors.AsType[*askara.Error](err)
	if !ok || e.Status == 0 || e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized || e.Status >= 500 || e.Status == 429 {
		q.report.failed("list", err, "")
		return false
	}
	why := answered(t.status)
	if e.Err != nil {
		why = e.Err.Error()
	}
	before := q.contract
	for _, path := range q.lists(ctx) {
		if !q.ration.has(8) {
			break
		}
		c := q.contract
		c.DocumentsPath = path
		page, err := q.with(c).List(ctx, askara.Query{})
		if err != nil {
			continue
		}
		// What was below the old list is probably below the new one; it is looked at in its turn.
		below := func(p string) string {
			if rest, ok := strings.CutPrefix(p, before.DocumentsPath+"/{uuid}"); ok {
				return path + "/{uuid}" + rest
			}
			return p
		}
		c.DocumentPath, c.PDFPath, c.ConfirmPath = below(c.DocumentPath), below(c.PDFPath), below(c.ConfirmPath)
		q.page = page
		q.contract = c
		q.report.lines.set("documents_path", path, noteTried)
		q.propose("document_path", c.DocumentPath, before.DocumentPath, noteDerived)
		q.propose("pdf_path", c.PDFPath, before.PDFPath, noteDerived)
		q.propose("confirm_path", c.ConfirmPath, before.ConfirmPath, noteDerived)
		q.report.fail("list", askara.FaultConfiguration, fmt.Sprintf("%s: %s; the documents are at %s", before.DocumentsPath, why, path), linesBelow)
		q.listed(path)
		return true
	}
	q.report.fail("list", askara.FaultConfiguration, before.DocumentsPath+": "+why,
		"ask Askara for the address of the list of documents, and set api.contract.documents_path")
	return false
}

// linesBelow is the remedy of what the proposed lines mend.
const linesBelow = "the lines below"

func (q *inquiry) lists(ctx context.Context) []string {
	var paths []string
	for _, path := range slices.Concat(q.describe(ctx).collections(), likelyLists) {
		if path != q.contract.DocumentsPath && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

// listed reports on the list that was found.
func (q *inquiry) listed(path string) {
	n := len(q.page.Documents)
	text := fmt.Sprintf("%d %s on the first page, %s", n, plural(n, "document", "documents"), shapeOf(q.witness.seen()))
	switch {
	case q.page.Malformed > 0:
		q.report.warn("list", fmt.Sprintf("%s; %d more have no usable uuid", text, q.page.Malformed), "none: these are passed over")
	case n == 0:
		q.report.warn("list", "it is empty, so that little can be seen", "run doctor again when there is a validated document")
	case path == "":
		q.report.ok("list", "%s", text)
	}
}
