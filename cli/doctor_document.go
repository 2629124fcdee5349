package cli

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"askara-sync/askara"
)

// fields reports what the documents carry: names alone.
func (q *inquiry) fields() {
	if len(q.page.Documents) == 0 {
		return
	}
	var names []string
	var d askara.Document
	for _, each := range q.page.Documents {
		for name := range jsonLeaves(each.Raw) {
			name, _, _ = strings.Cut(name, ".")
			if fieldName.MatchString(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if d.Patient.LastName == "" {
			d.Patient = each.Patient
		}
		d.Title = strings.TrimSpace(d.Title + each.Title)
		if d.ValidatedAt.IsZero() {
			d.ValidatedAt = each.ValidatedAt
		}
	}
	const most = 40
	if len(names) > most {
		names = append(names[:most], "…")
	}
	var missing []string
	if d.Title == "" {
		missing = append(missing, "title")
	}
	switch {
	case d.Patient.LastName != "":
	case d.Patient.UUID != "":
		missing = append(missing, "the patient's name (there is a reference only)")
	default:
		missing = append(missing, "patient")
	}
	if d.ValidatedAt.IsZero() {
		missing = append(missing, "validatedAt")
	}
	text := strings.Join(names, ", ")
	if len(missing) > 0 {
		q.report.warn("fields", text+"; not: "+strings.Join(missing, ", "), "none; file names and sidecars do without")
		return
	}
	q.report.ok("fields", "%s", text)
}

// fieldName is a name that may be shown and configured.
var fieldName = regexp.MustCompile(`^[A-Za-z_@][A-Za-z0-9_:@-]{0,60}(\.[A-Za-z_@][A-Za-z0-9_:@-]{0,60}){0,4}$`)

// choose picks the document that is looked at closely: the oldest that is ready, since it has had the most time.
func (q *inquiry) choose() {
	for i := range q.page.Documents {
		if q.page.Documents[i].Ready {
			q.document = &q.page.Documents[i]
			return
		}
	}
	if len(q.page.Documents) == 0 {
		return
	}
	var status []string
	for _, d := range q.page.Documents {
		if fieldName.MatchString(d.Status) && !slices.Contains(status, d.Status) {
			status = append(status, d.Status)
		}
	}
	q.report.warn("status", "no document on the first page is ready; their status is "+strings.Join(status, ", "),
		"where one of these means validated, add it to api.contract.ready_status")
}

// maxDetail bounds what is read of one document.
const maxDetail = 1 << 20

// single looks whether a document has the address that it should.
func (q *inquiry) single(ctx context.Context) {
	if q.document == nil {
		return
	}
	var failure error
	try := func(path string) (status int) {
		c := q.contract
		c.DocumentPath = path
		if len(c.Validate()) > 0 {
			return 0
		}
		s, err := q.client().Look(ctx, askara.Look{Method: http.MethodGet, Path: path, UUID: q.document.UUID, Max: maxDetail})
		if err != nil {
			failure = err
			return 0
		}
		if d, err := askara.DecodeDocument(s.Body, c); s.Status == http.StatusOK && err == nil && strings.EqualFold(d.UUID, q.document.UUID) {
			q.detail, q.allow = s.Body, s.Header
			return http.StatusOK
		}
		return s.Status
	}
	before := q.contract.DocumentPath
	status := try(before)
	if status == http.StatusOK {
		q.report.ok("document", "%s", before)
		q.report.lines.tried("document_path")
		return
	}
	if failure != nil {
		if !q.unasked("document", failure) {
			q.report.failed("document", failure, "")
		}
		return
	}
	for _, path := range slices.Concat(q.describe(ctx).items(), []string{q.contract.DocumentsPath + "/{uuid}"}) {
		if path == before || !q.ration.has(7) {
			continue
		}
		if try(path) == http.StatusOK {
			c := q.contract
			if c.ConfirmPath == before {
				c.ConfirmPath = path
				q.report.lines.set("confirm_path", path, noteDerived)
			}
			c.DocumentPath = path
			q.contract = c
			q.report.lines.set("document_path", path, noteTried)
			q.report.fail("document", askara.FaultConfiguration, fmt.Sprintf("%s: %s; a document is at %s", before, answered(status), path), linesBelow)
			return
		}
	}
	q.report.warn("document", before+": "+answered(status), "none, as long as the PDF has an address of its own")
}
