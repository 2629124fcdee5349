package sandbox

import (
	"net/http"
	"strings"
	"time"
)

// Dialect is everything about the contract that the real service might do differently. The zero value of every field is the
// default of the documentation or, where it is silent, of this project.
type Dialect struct {
	// Paths, "{uuid}" standing for the document's; "" means the default.
	TokenPath, DevicePath, MePath, DocumentsPath, DocumentPath, PDFPath string
	// OrderField is the name under which a document shows its time of change, and by which lists are ordered and bounded.
	OrderField string

	// The token endpoint.
	OldErrors     bool   // answers of older versions: 401 invalid_request for a spent refresh token, and "message"
	ReuseForgiven bool   // a burned refresh token is refused and that is all; otherwise it is theft, and the whole login ends
	FreeTokens    bool   // token and device requests do not draw on the rate limit
	TokensRaw     string // answers every grant with this text instead, tokens burned all the same
	NoInterval    bool   // the device answer has no interval
	NoComplete    bool   // nor a verification_uri_complete
	RequiredScope string // 403 without it
	PlainDenied   bool   // a bad bearer token is answered in plain text
	MePost        bool   // /me wants POST
	OneOrg        bool   // /me shows "organization" instead of "organizations"

	// The rate limit.
	LimitHeaders Headers
	ResetNow     bool   // on accepted requests x-ratelimit-reset is the present
	RetryAfter   string // RetrySeconds, RetryDate, RetryAbsent, or sent as it is

	// Lists.
	MaxItems, DefaultItems int  // 0 means 100 and 20
	IgnoreOrder            bool // oldest creation first, whatever is asked
	IgnoreBounds           bool
	Descending             bool // newest change first, whatever is asked
	Shape                  Shape
	Insists                bool // 406 unless Accept names the shape's type
	Repeats                int  // every page but the first begins with so many documents of the one before, its own pushed on
	GarbageItems           bool // items among the documents that are none

	// Documents.
	Patient     PatientShape
	Dates       DateStyle
	Nulls       bool // null instead of a missing key
	UnknownKeys bool
	NoDates     bool   // no dates at all
	NoStatus    bool   // no "status"
	Title       string // another name for "title"; "" means that

	// PDF answers.
	PDF            PDFMode
	LinkKey        string // of a link in JSON; "" means "url"
	ContentKey     string // of base64 in JSON; "" means "content"
	LinkHere       bool   // links lead to this server, relative, and want the bearer token
	NotReady       int    // a document's first so many PDF requests are answered with NotReadyStatus
	NotReadyStatus int    // 0 means 404

	// Confirmations.
	ConfirmMethod, ConfirmPath, ConfirmContentType string
	StatusField, ErrorField                        string
	Done, Failed                                   string // values of StatusField; Done "-" accepts any body as success
	ConfirmAnswer                                  ConfirmAnswer
	Still                                          bool // a confirmation does not move the time of change

	// Descriptions.
	Description Description
	NoAllow     bool // no Allow and Accept-Patch headers; OPTIONS is a 405
	// DateSkew is how far the server's clock, as its Date header tells it, is ahead.
	DateSkew time.Duration
}

// Headers is how the rate limit is told.
type Headers int

const (
	HeadersRight   Headers = iota
	HeadersAbsent          // none
	HeadersWrong           // constants that have nothing to do with the bucket
	HeadersOther           // those of another, smaller limit
	HeadersGarbage         // not numbers, negative, out of range
)

// Values of Dialect.RetryAfter; any other is sent as it is.
const (
	RetrySeconds = ""
	RetryDate    = "date"
	RetryAbsent  = "absent"
)

// Shape is how a list is wrapped.
type Shape int

const (
	ShapeByAccept Shape = iota // a bare array for application/json, otherwise JSON-LD of version 4
	ShapeArray
	ShapeJSONLD
	ShapeHydra // version 3, hydra: before the keys
)

// PatientShape is how patient and user are shown.
type PatientShape int

const (
	PatientObject PatientShape = iota
	PatientIRI
	PatientAbsent
)

// DateStyle is how dates are written.
type DateStyle int

const (
	DatesOffset  DateStyle = iota // 2026-02-24T10:30:00+00:00
	DatesZulu                     // 2026-02-24T10:30:00Z
	DatesMillis                   // 2026-02-24T10:30:00.123Z; documents keep milliseconds then
	DatesMicros                   // 2026-02-24T10:30:00.123456+00:00; documents keep microseconds then
	DatesParis                    // 2026-02-24T12:30:00+02:00
	DatesGarbage                  // hier matin
)

// PDFMode is how the PDF is answered. Those from PDFHTML on are no documents.
type PDFMode int

const (
	PDFBytes      PDFMode = iota
	PDFRedirect           // 302 to a signed URL on the other host
	PDFLink               // JSON with a link
	PDFBase64             // JSON with the bytes
	PDFInDocument         // the document holds the link; the PDF path is a 404
	PDFDrip               // the bytes, a kilobyte a second
	PDFHTML               // a login page with status 200
	PDFEmpty              // nothing, with status 200
	PDFTruncated          // the connection drops half way, Content-Length says so
	PDFShort              // half of it, and the length says nothing
	PDFWrongMagic         // something else of the same size
	PDFEndless            // never ends
)

// ConfirmAnswer is what a valid confirmation is answered.
type ConfirmAnswer int

const (
	ConfirmFull   ConfirmAnswer = iota // the document
	ConfirmEmpty                       // 204
	ConfirmHTML                        // a page
	ConfirmBroken                      // half of a JSON object
)

// Description is whether the server describes itself.
type Description int

const (
	DescriptionBoth    Description = iota // at /docs.jsonopenapi and /docs.json
	DescriptionAtJSON                     // at /docs.json only
	DescriptionOpenAPI                    // at /docs.jsonopenapi only
	DescriptionNone
)

// contract is a Dialect made ready for routing.
type contract struct {
	Dialect
	prefix string
	routes []route
}

type route struct {
	method     string
	head, tail string // around {uuid}; tail unused without
	templated  bool
	kind       Kind
	wantsPDF   bool // only where Accept names application/pdf
}

func compile(d Dialect, prefix string) *contract {
	orString(&d.TokenPath, "/oauth2/token")
	orString(&d.DevicePath, "/oauth2/device-code")
	orString(&d.MePath, "/me")
	orString(&d.DocumentsPath, "/documents")
	orString(&d.DocumentPath, "/documents/{uuid}")
	orString(&d.PDFPath, "/documents/{uuid}/pdf")
	orString(&d.OrderField, "updatedAt")
	orString(&d.ConfirmMethod, http.MethodPatch)
	orString(&d.ConfirmPath, "/documents/{uuid}")
	orString(&d.ConfirmContentType, "application/merge-patch+json")
	orString(&d.StatusField, "synchronizationStatus")
	orString(&d.ErrorField, "synchronizationError")
	orString(&d.Done, "synchronized")
	orString(&d.Failed, "failed")
	orString(&d.Title, "title")
	orInt(&d.MaxItems, 100)
	orInt(&d.DefaultItems, 20)
	orInt(&d.NotReadyStatus, http.StatusNotFound)
	orString(&d.LinkKey, "url")
	orString(&d.ContentKey, "content")
	c := &contract{Dialect: d, prefix: prefix}
	c.add(http.MethodPost, d.TokenPath, KindToken)
	c.add(http.MethodPost, d.DevicePath, KindDevice)
	me := http.MethodGet
	if d.MePost {
		me = http.MethodPost
	}
	c.add(me, d.MePath, KindMe)
	c.add(http.MethodPost, "/webhooks", KindWebhook)
	c.add(d.ConfirmMethod, d.ConfirmPath, KindConfirm)
	c.add(http.MethodGet, d.DocumentsPath, KindList)
	c.add(http.MethodGet, d.PDFPath, KindPDF)
	if d.PDFPath == d.DocumentPath {
		c.routes[len(c.routes)-1].wantsPDF = true
	}
	c.add(http.MethodGet, "/contents/{uuid}", KindPDF) // where links of LinkHere lead
	c.add(http.MethodGet, d.DocumentPath, KindDocument)
	if d.Description == DescriptionBoth || d.Description == DescriptionOpenAPI {
		c.add(http.MethodGet, "/docs.jsonopenapi", KindDescription)
	}
	if d.Description == DescriptionBoth || d.Description == DescriptionAtJSON {
		c.add(http.MethodGet, "/docs.json", KindDescription)
	}
	return c
}

func (c *contract) add(method, path string, k Kind) {
	head, tail, templated := strings.Cut(path, "{uuid}")
	c.routes = append(c.routes, route{method: method, head: head, tail: tail, templated: templated, kind: k})
}

// match returns the uuid in path.
func (t route) match(path string) (uuid string, ok bool) {
	if !t.templated {
		return "", path == t.head
	}
	rest, ok := strings.CutPrefix(path, t.head)
	if !ok {
		return "", false
	}
	uuid, ok = strings.CutSuffix(rest, t.tail)
	return uuid, ok && uuid != "" && !strings.Contains(uuid, "/")
}

// route says what a request is.
func (c *contract) route(r *http.Request) (k Kind, uuid, allow string) {
	path, ok := strings.CutPrefix(r.URL.Path, c.prefix)
	if !ok || path != "" && path[0] != '/' {
		return KindOutside, "", ""
	}
	switch path {
	case "/authorize", "/device", "/":
		return KindPage, "", ""
	}
	var methods []string
	for i := range c.routes {
		t := &c.routes[i]
		id, ok := t.match(path)
		if !ok || t.wantsPDF && !strings.Contains(r.Header.Get("Accept"), "application/pdf") {
			continue
		}
		if t.method == r.Method {
			return t.kind, id, ""
		}
		uuid = id
		methods = append(methods, t.method)
		if t.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	if methods == nil {
		return KindOther, "", ""
	}
	if !c.NoAllow {
		methods = append(methods, http.MethodOptions)
	}
	allow = strings.Join(methods, ", ")
	if r.Method == http.MethodOptions && !c.NoAllow || r.Method == http.MethodHead && strings.Contains(allow, "HEAD") {
		return KindProbe, uuid, allow
	}
	return KindOther, uuid, allow
}

func orInt(i *int, v int) {
	if *i == 0 {
		*i = v
	}
}
