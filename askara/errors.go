package askara

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error is what every failed request to Askara becomes. It holds no token, no patient data, no title and no URL; a document is
// named by its uuid.
type Error struct {
	// Op is a bare verb phrase: "list documents".
	Op string
	// UUID names the document that the request was about; "" where it was about none.
	UUID string
	// Status is the answer's; 0 where none came.
	Status int
	Kind   Fault
	// Detail is what the answer said for itself, one printable line of at most 200 characters; "" where it said nothing, or where
	// it might hold a patient's data.
	Detail string
	// RetryAfter is what the answer asked for, at most maxRetryAfter; 0 where it asked for nothing sensible.
	RetryAfter time.Duration
	// Err is the cause, nil where the status says it all.
	Err error

	hint string
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.UUID != "" {
		b.WriteString(" " + e.UUID)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": Askara answered %d", e.Status)
		if text := http.StatusText(e.Status); text != "" {
			b.WriteString(" " + text)
		}
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault says what is to be done.
func (e *Error) Fault() Fault { return e.Kind }

// Hint says what a person can do, "" where nothing but waiting helps.
func (e *Error) Hint() string { return e.hint }

// The operations, as Error.Op names them.
const (
	opMe       = "read the account"
	opList     = "list documents"
	opDocument = "read document"
	opDownload = "download document"
	opLink     = "download document from its link"
	opConfirm  = "confirm document"
)

const (
	// maxRetryAfter bounds what a server may ask for: the documented bucket is refilled every 15 minutes, so that whoever asks for more
	// than an hour is mistaken.
	maxRetryAfter = time.Hour
)

// What to do, by the kind of trouble.
const (
	hintLogin    = `run "askara-sync login"`
	hintRejected = `Askara rejects tokens that it has just granted; if this lasts, run "askara-sync doctor"`
	hintScopes   = `add the scope that Askara gave you for documents to api.scopes, then run "askara-sync login"`
	hintDoctor   = `run "askara-sync doctor": it compares api.base_url and [api.contract] with what the server does`
	hintPDF      = `where no document ever becomes ready, run "askara-sync doctor": it checks api.contract.pdf_path`
	hintConfirm  = `check api.contract.confirm_method, confirm_path and the bodies: "askara-sync doctor --confirm UUID" tries them on one document`
	hintNetwork  = `check the network, HTTPS_PROXY and NO_PROXY; "askara-sync doctor" tells where the way to the server ends`
	hintTLS      = `check this machine's clock; behind a proxy that inspects TLS, set api.ca_file to its certificate`
	hintProxy    = `the proxy in HTTPS_PROXY wants a user name and password: HTTPS_PROXY=http://user:password@host:port`
	hintMedium   = `a proxy or a login page may stand between this machine and Askara: run "askara-sync doctor"`
)

// classify is the one place where a status that is no success gets its meaning. Statuses are those of sections 2 to 6 of the
// API's description; the body never decides.
func (c Contract) classify(op string, status int) (Fault, string) {
	download := op == opDownload || op == opLink
	document := download || op == opDocument || op == opConfirm
	switch {
	case download && (slices.Contains(c.NotReadyStatus, status) || status == http.StatusNoContent):
		// Section 6: not ready yet may show as one of these. A wrong path looks the same, hence the hint.
		return FaultNotReady, hintPDF
	case op == opLink && (status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout):
		return FaultService, "" // its limits are not those of our budget
	case op == opLink:
		// Another host holds the file. Its 401 or 403 is a signature that expired, not our login: the next attempt gets a new link.
		return FaultDocument, ""
	case status == http.StatusUnauthorized:
		// Section 3: an expired token, but the caller has already tried a fresh one, which the token endpoint has just granted. So the
		// login is alive, and nobody needs to log in; whether it is gone only a refusal of the refresh token tells.
		return FaultService, hintRejected
	case status == http.StatusForbidden && document:
		// Section 3: a missing scope, or a document of another practitioner; only the first is everybody's trouble, and the list tells.
		return FaultDocument, hintScopes
	case status == http.StatusForbidden:
		return FaultConfiguration, hintScopes
	case status == http.StatusProxyAuthRequired:
		return FaultConfiguration, hintProxy
	case status == http.StatusMethodNotAllowed, status == http.StatusNotAcceptable, status == http.StatusUnsupportedMediaType:
		// No document is to blame for these: the guessed contract is wrong for every one of them.
		if op == opConfirm {
			return FaultConfiguration, hintConfirm
		}
		return FaultConfiguration, hintDoctor
	case status == http.StatusTooManyRequests:
		return FaultLimited, "" // section 4
	case status == http.StatusRequestTimeout, status == http.StatusMisdirectedRequest, status >= 500:
		return FaultService, "" // the service, or something before it, is in trouble
	case status < 400:
		// A success without what was asked for, or a redirect that we do not follow: to another host, or of a request that writes.
		return FaultService, hintMedium
	case op == opConfirm && (status == http.StatusLocked || status == http.StatusTooEarly):
		return FaultNotReady, ""
	case op == opConfirm:
		// 400, 404, 409, 413, 422: this document, or a wrong contract. It counts, so that it ends either way.
		return FaultDocument, hintConfirm
	case document && status == http.StatusGone:
		return FaultPermanent, "the document was removed from Askara"
	case document:
		return FaultDocument, hintDoctor
	}
	return FaultConfiguration, hintDoctor // the list or /me is not where, or not how, we ask
}

// refusal makes an Error of an answer that is no success. It reads the body, bounded, and leaves it to the caller to close.
func (c Contract) refusal(op, uuid string, resp *http.Response) *Error {
	e := &Error{Op: op, UUID: uuid, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	e.Kind, e.hint = c.classify(op, resp.StatusCode)
	if detailHelps(resp.StatusCode) && op != opLink {
		e.Detail = maskQuoted(readDetail(resp.Body), c.speaks)
	}
	return e
}

// unanswered makes an Error of a request that got no answer, or whose answer broke off. Nobody's fault but the way's, so it is
// tried again; what a person can do about it depends on where it broke.
func unanswered(op, uuid string, err error) *Error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL: a signed link is a secret, and a query may hold a name
	}
	e := &Error{Op: op, UUID: uuid, Kind: FaultService, Err: err}
	switch {
	case errors.Is(err, context.Canceled):
	case isTLS(err):
		e.hint = hintTLS
	case isDialling(err):
		e.hint = hintNetwork
	}
	return e
}

// isTLS says whether err is about a certificate or the handshake.
func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.RecordHeaderError](err)
	return ok
}

// isDialling says whether err is about finding or reaching the server at all.
func isDialling(err error) bool {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	e, ok := errors.AsType[*net.OpError](err)
	return ok && (e.Op == "dial" || e.Op == "proxyconnect")
}

// retryAfter reads the Retry-After header: seconds or a date. Absent, negative and unreadable values are 0, absurd ones
// maxRetryAfter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && !strings.HasPrefix(value, "-"), seconds > int64(maxRetryAfter/time.Second):
		return maxRetryAfter
	case err != nil || seconds < 0:
		return 0
	}
	return time.Duration(seconds) * time.Second
}
