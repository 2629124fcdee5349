package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara/sandbox"
)

func TestDownloadAndConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var confirmed []string
		b := connect(t, sandbox.Config{OnConfirm: func(uuid string, failed bool) { confirmed = append(confirmed, uuid) }})
		id := b.s.AddDocument(sandbox.Document{})
		before, _ := b.s.Document(id)
		time.Sleep(time.Minute)

		a := b.get("/documents/" + id + "/pdf")
		want(t, "status", a.status, http.StatusOK)
		want(t, "content type", a.header.Get("Content-Type"), "application/pdf")
		want(t, "a PDF", isPDF(a.body), true)
		want(t, "checksum", sha256.Sum256(a.body), before.SHA256)

		a = b.confirm(id, synchronized)
		want(t, "status", a.status, http.StatusOK)
		m := a.object(t)
		want(t, "synchronizationStatus", m["synchronizationStatus"].(string), "synchronized")
		want(t, "updatedAt", m["updatedAt"].(string), time.Now().UTC().Format("2006-01-02T15:04:05-07:00"))
		after, _ := b.s.Document(id)
		want(t, "validatedAt", after.ValidatedAt, before.ValidatedAt)
		want(t, "downloads", after.Downloads, 1)
		want(t, "confirmed", after.Confirmed(), true)
		want(t, "downloads before the confirmation", after.Confirms[0].Downloads, 1)
		want(t, "hook", strings.Join(confirmed, " "), id)
		want(t, "early", b.s.Stats().Early, 0)

		other := b.s.AddDocument(sandbox.Document{})
		b.confirm(other, synchronized)
		want(t, "early", b.s.Stats().Early, 1)
		b.confirm(other, `{"synchronizationStatus":"failed","synchronizationError":"no PDF"}`)
		r, _ := b.s.Document(other)
		want(t, "confirmed after a failure", r.Confirmed(), false)
		want(t, "reason", r.Confirms[1].Reason, "no PDF")
		want(t, "failed", b.s.Stats().Failed, 1)
	})
}

func TestConfirmRefuses(t *testing.T) {
	b := connect(t, sandbox.Config{})
	draft := b.s.AddDocument(sandbox.Document{Status: "draft"})
	good := b.s.AddDocument(sandbox.Document{})
	bad := b.s.AddDocument(sandbox.Document{ConfirmStatus: http.StatusUnprocessableEntity})
	want(t, "draft", b.confirm(draft, synchronized).status, http.StatusConflict)
	want(t, "draft's PDF", b.get("/documents/"+draft+"/pdf").status, http.StatusNotFound)
	want(t, "unknown", b.confirm("no-such", synchronized).status, http.StatusNotFound)
	want(t, "refused", b.confirm(bad, synchronized).status, http.StatusUnprocessableEntity)
	a := b.confirm(good, `{"synchronizationStatus":"done"}`)
	want(t, "other word", a.status, http.StatusUnprocessableEntity)
	want(t, "violations", len(a.object(t)["violations"].([]any)), 1)
	want(t, "broken", b.confirm(good, `{`).status, http.StatusBadRequest)
	want(t, "other type", b.do(http.MethodPatch, "/documents/"+good, "application/json", synchronized).status, http.StatusUnsupportedMediaType)
	a = b.do(http.MethodPut, "/documents/"+good, "application/json", synchronized)
	want(t, "other method", a.status, http.StatusMethodNotAllowed)
	want(t, "allowed", a.header.Get("Allow"), "PATCH, GET, HEAD, OPTIONS")
	want(t, "accepted", b.s.Stats().Confirmed, 0)
	b.s.Validate(draft)
	want(t, "validated", b.confirm(draft, synchronized).status, http.StatusOK)
}

func TestConfirmDialects(t *testing.T) {
	d := sandbox.Dialect{ConfirmMethod: "POST", ConfirmPath: "/documents/{uuid}/synchronize", ConfirmContentType: "application/json",
		StatusField: "state", ErrorField: "why", Done: "imported", Failed: "broken", Still: true}
	b := connect(t, sandbox.Config{Contract: d})
	id := b.s.AddDocument(sandbox.Document{UpdatedAt: day})
	post := func(body string) answer {
		return b.do(http.MethodPost, "/documents/"+id+"/synchronize", "application/json", body)
	}
	want(t, "own words", post(`{"state":"imported"}`).status, http.StatusOK)
	r, _ := b.s.Document(id)
	want(t, "does not move", r.UpdatedAt, day)
	post(`{"state":"broken","why":"paper jam"}`)
	r, _ = b.s.Document(id)
	want(t, "reason", r.Confirms[1].Reason, "paper jam")
	for kind, check := range map[sandbox.ConfirmAnswer]func(answer) bool{
		sandbox.ConfirmEmpty:  func(a answer) bool { return a.status == http.StatusNoContent && len(a.body) == 0 },
		sandbox.ConfirmHTML:   func(a answer) bool { return a.status == http.StatusOK && strings.HasPrefix(string(a.body), "<html") },
		sandbox.ConfirmBroken: func(a answer) bool { return a.status == http.StatusOK && !strings.HasSuffix(string(a.body), "}") },
	} {
		d.ConfirmAnswer = kind
		b.s.SetDialect(d)
		want(t, "answer", check(post(`{"state":"imported"}`)), true)
	}
	want(t, "confirmed", b.s.Stats().Confirmed, 4)
	b.s.SetDialect(sandbox.Dialect{Done: "-"})
	want(t, "any body", b.confirm(id, `{}`).status, http.StatusOK)
}

func TestPDFDialects(t *testing.T) {
	setUp := func(t *testing.T, d sandbox.Dialect) (*browser, sandbox.Record) {
		b := connect(t, sandbox.Config{Contract: d})
		r, _ := b.s.Document(b.s.AddDocument(sandbox.Document{}))
		return b, r
	}
	same := func(t *testing.T, a answer, r sandbox.Record) {
		t.Helper()
		want(t, "status", a.status, http.StatusOK)
		want(t, "checksum", sha256.Sum256(a.body), r.SHA256)
	}
	t.Run("redirect", func(t *testing.T) {
		b, r := setUp(t, sandbox.Dialect{PDF: sandbox.PDFRedirect})
		a := b.get("/documents/" + r.UUID + "/pdf")
		want(t, "status", a.status, http.StatusFound)
		same(t, b.get(a.header.Get("Location")), r)
		want(t, "bearer elsewhere", b.s.Stats().ForeignBearer, 0)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, a.header.Get("Location"), nil)
		req.Header.Set("Authorization", "Bearer "+b.access)
		res, err := b.s.RoundTripper().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		want(t, "with the bearer", res.StatusCode, http.StatusBadRequest)
		want(t, "bearer elsewhere", b.s.Stats().ForeignBearer, 1)
		want(t, "wrong signature", b.get(strings.Split(a.header.Get("Location"), "?")[0]).status, http.StatusForbidden)
		want(t, "files", b.s.Stats().Requests[sandbox.KindFile], 3)
	})
	t.Run("link", func(t *testing.T) {
		b, r := setUp(t, sandbox.Dialect{PDF: sandbox.PDFLink, LinkKey: "downloadUrl"})
		same(t, b.get(b.get("/documents/" + r.UUID + "/pdf").object(t)["downloadUrl"].(string)), r)
	})
	t.Run("link here", func(t *testing.T) {
		b, r := setUp(t, sandbox.Dialect{PDF: sandbox.PDFLink, LinkHere: true})
		link := b.get("/documents/" + r.UUID + "/pdf").object(t)["url"].(string)
		same(t, b.get(link), r)
		b.access = ""
		want(t, "without the bearer", b.get(link).status, http.StatusUnauthorized)
	})
	t.Run("base64", func(t *testing.T) {
		b, r := setUp(t, sandbox.Dialect{PDF: sandbox.PDFBase64})
		a := b.get("/documents/" + r.UUID + "/pdf")
		a.body, _ = base64.StdEncoding.DecodeString(a.object(t)["content"].(string))
		same(t, a, r)
	})
	t.Run("in the document", func(t *testing.T) {
		b, r := setUp(t, sandbox.Dialect{PDF: sandbox.PDFInDocument, LinkKey: "contentUrl"})
		want(t, "its path", b.get("/documents/"+r.UUID+"/pdf").status, http.StatusNotFound)
		same(t, b.get(b.get("/documents").array(t)[0].(map[string]any)["contentUrl"].(string)), r)
	})
	t.Run("by accept", func(t *testing.T) {
		b, r := setUp(t, sandbox.Dialect{PDFPath: "/documents/{uuid}"})
		want(t, "as JSON", b.get("/documents/" + r.UUID).object(t)["uuid"].(string), r.UUID)
		b.accept = "application/pdf, */*"
		same(t, b.get("/documents/"+r.UUID), r)
	})
	t.Run("not ready", func(t *testing.T) {
		for _, status := range []int{202, 404, 409, 423, 425} {
			b, r := setUp(t, sandbox.Dialect{NotReady: 2, NotReadyStatus: status})
			want(t, "first", b.get("/documents/"+r.UUID+"/pdf").status, status)
			want(t, "second", b.get("/documents/"+r.UUID+"/pdf").status, status)
			same(t, b.get("/documents/"+r.UUID+"/pdf"), r)
		}
	})
	t.Run("refused", func(t *testing.T) {
		b := connect(t, sandbox.Config{})
		id := b.s.AddDocument(sandbox.Document{PDFStatus: http.StatusGone})
		want(t, "status", b.get("/documents/"+id+"/pdf").status, http.StatusGone)
	})
}

func TestBadPDFs(t *testing.T) {
	b := connect(t, sandbox.Config{})
	fetch := func(mode sandbox.PDFMode) (answer, error, sandbox.Record) {
		id := b.s.AddDocument(sandbox.Document{PDF: mode})
		a, err := b.try(http.MethodGet, "/documents/"+id+"/pdf", "", "")
		r, _ := b.s.Document(id)
		want(t, "downloads", r.Downloads, 0)
		return a, err, r
	}
	a, err, _ := fetch(sandbox.PDFHTML)
	want(t, "html", err == nil && a.status == 200 && strings.HasPrefix(string(a.body), "<!DOCTYPE html>"), true)
	a, err, _ = fetch(sandbox.PDFEmpty)
	want(t, "empty", err == nil && a.status == 200 && len(a.body) == 0, true)
	a, err, r := fetch(sandbox.PDFTruncated)
	want(t, "truncated", err == io.ErrUnexpectedEOF && len(a.body) == r.Length/2, true)
	a, err, r = fetch(sandbox.PDFShort)
	want(t, "short", err == nil && len(a.body) == r.Length/2, true)
	a, err, r = fetch(sandbox.PDFWrongMagic)
	want(t, "wrong magic", err == nil && len(a.body) == r.Length && !isPDF(a.body), true)

	id := b.s.AddDocument(sandbox.Document{PDF: sandbox.PDFEndless})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example/documents/"+id+"/pdf", nil)
	req.Header.Set("Authorization", "Bearer "+b.access)
	res, err := b.s.RoundTripper().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.CopyN(io.Discard, res.Body, 50<<20)
	want(t, "endless", err == nil && n == 50<<20, true)
	res.Body.Close()
}

func TestDripTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{})
		id := b.s.AddDocument(sandbox.Document{PDF: sandbox.PDFDrip, Size: 10 << 10})
		start := time.Now()
		a := b.get("/documents/" + id + "/pdf")
		want(t, "size", len(a.body), 10<<10)
		want(t, "time", time.Since(start), 9*time.Second)
	})
}

func TestRevisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{})
		id := b.s.AddDocument(sandbox.Document{})
		first, _ := b.s.Document(id)
		time.Sleep(time.Minute)
		b.s.Revalidate(id, false)
		same, _ := b.s.Document(id)
		want(t, "same bytes", same.SHA256, first.SHA256)
		want(t, "validated later", same.ValidatedAt.After(first.ValidatedAt), true)
		time.Sleep(time.Minute)
		b.s.Revalidate(id, true)
		other, _ := b.s.Document(id)
		want(t, "other bytes", other.SHA256 != first.SHA256, true)
		want(t, "history", len(other.Checksums) == 2 && other.Checksums[0] == first.SHA256, true)
		time.Sleep(time.Minute)
		b.s.Touch(id)
		touched, _ := b.s.Document(id)
		want(t, "touched", touched.UpdatedAt.Sub(other.UpdatedAt), time.Minute)
		want(t, "not validated", touched.ValidatedAt, other.ValidatedAt)
		b.s.Remove(id)
		want(t, "removed", b.get("/documents/"+id).status, http.StatusNotFound)
		want(t, "not listed", len(b.get("/documents").array(t)), 0)
	})
}

func TestEachPersonSeesTheirOwn(t *testing.T) {
	b := connect(t, sandbox.Config{})
	mine := b.s.AddDocument(sandbox.Document{})
	theirs := b.s.AddDocument(sandbox.Document{Person: "Luc Hamelin"})
	want(t, "mine", b.get("/documents/"+mine).status, http.StatusOK)
	want(t, "theirs", b.get("/documents/"+theirs).status, http.StatusNotFound)
	me := b.get("/me").object(t)
	b.access, _ = b.s.Login("Luc Hamelin")
	want(t, "listed", strings.Join(uuids(b.get("/documents").array(t)), " "), theirs)
	him := b.get("/me").object(t)
	want(t, "last name", him["lastName"].(string), "Hamelin")
	want(t, "another uuid", him["uuid"] != me["uuid"], true)
	want(t, "organizations", len(him["organizations"].([]any)), 1)
	b.s.SetDialect(sandbox.Dialect{MePost: true, OneOrg: true})
	want(t, "GET", b.get("/me").status, http.StatusMethodNotAllowed)
	want(t, "POST", b.do(http.MethodPost, "/me", "", "").object(t)["organization"] != nil, true)
}
