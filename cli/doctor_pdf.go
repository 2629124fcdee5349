package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"askara-sync/askara"
)

// pdf finds out where a document has its PDF.
func (q *inquiry) pdf(ctx context.Context) {
	if q.document == nil {
		return
	}
	err := q.fetch(ctx, q.contract, *q.document)
	if err == nil {
		q.report.ok("pdf", "%s", q.pdfPlace(q.contract))
		q.report.lines.tried("pdf_path")
		return
	}
	if q.unasked("pdf", err) {
		return
	}
	if e, ok := errors.AsType[*askara.Error](err); ok && e.Kind == askara.FaultService && (e.Status == 0 || e.Status >= 500) {
		q.report.failed("pdf", err, "try it again later; "+e.Hint())
		return
	}
	// It may be this document's fault: another gets a chance.
	for i := range q.page.Documents {
		d := &q.page.Documents[i]
		if d.Ready && d.UUID != q.document.UUID {
			if q.fetch(ctx, q.contract, *d) == nil {
				q.report.ok("pdf", "%s, though not that of %s: %s", q.pdfPlace(q.contract), q.document.UUID, short(err))
				return
			}
			break
		}
	}
	before := q.contract
	for _, found := range q.pdfContracts(ctx) {
		if !q.ration.has(q.kept()) {
			break
		}
		c := found
		if len(c.Validate()) > 0 || q.fetch(ctx, c, *q.document) != nil {
			continue
		}
		q.contract = c
		q.report.fail("pdf", askara.FaultConfiguration, fmt.Sprintf("%s: %s; the PDF is %s", q.pdfPlace(before), short(err), q.pdfPlace(c)), linesBelow)
		q.propose("pdf_path", c.PDFPath, q.cfg.API.Contract.PDFPath, noteTried)
		q.propose("link_fields", c.LinkFields, q.cfg.API.Contract.LinkFields, noteTried)
		q.propose("content_fields", c.ContentFields, q.cfg.API.Contract.ContentFields, noteTried)
		return
	}
	q.report.fail("pdf", askara.FaultConfiguration, q.pdfPlace(before)+": "+short(err),
		"ask Askara how to fetch a document's PDF, and set api.contract.pdf_path, link_fields or content_fields")
}

// kept is how many requests the search for the PDF leaves for what comes after it.
func (q *inquiry) kept() int {
	n := 2
	if q.description == nil {
		n += 2
	}
	if q.flags.confirm != "" {
		n++
	}
	return n
}

// fetch reads the beginning of a document's PDF as the contract says.
func (q *inquiry) fetch(ctx context.Context, c askara.Contract, d askara.Document) error {
	d, err := askara.DecodeDocument(d.Raw, c)
	if err != nil {
		return err
	}
	content, err := q.with(c).Download(ctx, d)
	if err != nil {
		return err
	}
	defer content.Body.Close()
	var head [5]byte
	if _, err := io.ReadFull(content.Body, head[:]); err != nil || string(head[:]) != "%PDF-" {
		return errors.New("what comes is not a PDF")
	}
	return nil
}

// short is what a failed download says, without the operation and the document.
func short(err error) string {
	if e, ok := errors.AsType[*askara.Error](err); ok {
		if e.Err != nil {
			return e.Err.Error()
		}
		return answered(e.Status)
	}
	return err.Error()
}

// pdfPlace says where the contract looks for the PDF.
func (q *inquiry) pdfPlace(c askara.Contract) string {
	if c.PDFPath != "" {
		return "at " + c.PDFPath
	}
	return "behind the link in the document (" + c.LinkFields[0] + ")"
}

// likelyPDFs are what may well stand after the address of a document.
var likelyPDFs = []string{"/download", "/file", "", "/content", ".pdf", "/export"}

// pdfContracts lists contracts with which the PDF may be found, the likeliest first.
func (q *inquiry) pdfContracts(ctx context.Context) []askara.Contract {
	var list []askara.Contract
	for _, p := range q.describe(ctx).pdfs() {
		c := q.contract
		c.PDFPath = p.path
		c.LinkFields, c.ContentFields = first(p.links, c.LinkFields), first(p.contents, c.ContentFields)
		list = append(list, c)
	}
	if q.contract.PDFPath != "" && q.ration.has(q.kept()+2) {
		s, err := q.client().Look(ctx, askara.Look{
			Method: http.MethodGet, Path: q.contract.PDFPath, UUID: q.document.UUID, Accept: "application/pdf, */*", Max: 64 << 10,
		})
		if err == nil && s.Status == http.StatusOK {
			list = slices.Insert(list, 0, q.inAnswer(s.Body, q.contract)...)
		}
	}
	for _, raw := range [][]byte{q.document.Raw, q.detail} {
		c := q.contract
		c.PDFPath = ""
		list = append(list, q.inDocument(raw, c)...)
	}
	for _, end := range likelyPDFs {
		c := q.contract
		c.PDFPath = c.DocumentPath + end
		list = append(list, c)
	}
	var unique []askara.Contract
	for _, c := range list {
		if !slices.ContainsFunc(append(unique, q.contract), func(o askara.Contract) bool { return samePDF(o, c) }) {
			unique = append(unique, c)
		}
	}
	return unique
}

func samePDF(a, b askara.Contract) bool {
	return a.PDFPath == b.PDFPath && slices.Equal(a.LinkFields, b.LinkFields) && slices.Equal(a.ContentFields, b.ContentFields)
}

// first puts names before those that are there already.
func first(names, known []string) []string {
	all := slices.Clone(names)
	for _, name := range known {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

var (
	linkName = regexp.MustCompile(`(?i)(url|uri|link|href|file|pdf|download|content|location|media)`)
	// unrelated links lead elsewhere.
	unrelated = regexp.MustCompile(`(?i)(^@|patient|user|organi[sz]ation|avatar|photo|logo|thumbnail|web|self)`)
)

// inAnswer finds a link or base64 in what came in the place of a PDF.
func (q *inquiry) inAnswer(raw []byte, c askara.Contract) (list []askara.Contract) {
	for name, value := range jsonLeaves(raw) {
		if !fieldName.MatchString(name) {
			continue
		}
		switch found := c; {
		case isBase64PDF(value):
			found.ContentFields = first([]string{name}, c.ContentFields)
			list = slices.Insert(list, 0, found)
		case isLink(value) && !unrelated.MatchString(name):
			found.LinkFields = first([]string{name}, c.LinkFields)
			list = append(list, found)
		}
	}
	return list
}

// inDocument finds a link or base64 in a document itself.
func (q *inquiry) inDocument(raw []byte, c askara.Contract) (list []askara.Contract) {
	for name, value := range jsonLeaves(raw) {
		if !fieldName.MatchString(name) || unrelated.MatchString(name) {
			continue
		}
		found := c
		switch {
		case isBase64PDF(value):
			found.ContentFields = first([]string{name}, c.ContentFields)
		case isLink(value) && (linkName.MatchString(name) || strings.Contains(strings.ToLower(value), ".pdf")):
			found.LinkFields = first([]string{name}, c.LinkFields)
		default:
			continue
		}
		list = append(list, found)
	}
	return list
}

func isBase64PDF(value string) bool {
	if strings.HasPrefix(value, "data:") {
		_, value, _ = strings.Cut(value, ";base64,")
	}
	return strings.HasPrefix(value, "JVBERi")
}

// isLink says whether a value may lead to a file: an address, or a path on the API's own host.
func isLink(value string) bool {
	u, err := url.Parse(value)
	if err != nil || len(value) > 16<<10 || bytes.ContainsAny([]byte(value), " \n\t") {
		return false
	}
	return (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" || u.Scheme == "" && strings.HasPrefix(value, "/") && len(value) > 1
}
