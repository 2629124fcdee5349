package askara

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Config is what a Client needs.
type Config struct {
	// BaseURL is the API's; a path in it is kept in front of every path of the contract.
	BaseURL  *url.URL
	Contract Contract
	// Transport nil means NewTransport(nil).
	Transport http.RoundTripper
	Tokens    TokenSource
	// Limiter nil means that nothing is limited.
	Limiter Limiter
	// Timeout bounds the wait for an answer's headers, and then the silence between two pieces of its body. 0 means 30 s.
	Timeout time.Duration
	// MaxDocumentSize is in bytes; 0 means 100 MiB.
	MaxDocumentSize int64
	// UserAgent "" means "askara-sync".
	UserAgent string
	// Logger nil means none.
	Logger *slog.Logger
}

// TokenSource gives bearer tokens. It is safe for concurrent use. Custody is one.
type TokenSource interface {
	// Token returns a token that is not about to expire.
	Token(ctx context.Context) (Secret, error)
	// Renew returns a token other than the one that was rejected.
	Renew(ctx context.Context, rejected Secret) (Secret, error)
}

// Client asks Askara's API in the name of one account. It is safe for concurrent use. Its errors are *Error, except for those
// of its TokenSource and its Limiter, which it wraps.
type Client struct {
	base      *url.URL
	contract  Contract
	tokens    TokenSource
	gate      *gate
	maxSize   int64
	userAgent string

	once  *http.Client          // sends once: for what must not be repeated
	api   *retryablehttp.Client // stays on the API's host
	files *retryablehttp.Client // follows a document's redirects anywhere

	mePosts atomic.Bool // /me was seen to want POST
	buffers buffers
	readers readers
}

const (
	defaultTimeout = 30 * time.Second
	defaultMaxSize = 100 << 20
	// maxAnswer bounds a JSON answer. A page of 100 documents is some 100 KiB.
	maxAnswer = 32 << 20
	// acceptJSON asks for plain JSON and takes what there is.
	acceptJSON = "application/json, application/ld+json;q=0.9, */*;q=0.1"
)

// NewClient returns a client. It touches neither disk nor network and starts no goroutine.
func NewClient(config Config) *Client {
	g := &gate{base: config.Transport, own: config.BaseURL, limiter: config.Limiter, timeout: config.Timeout, logger: config.Logger}
	if g.base == nil {
		g.base = NewTransport(nil)
	}
	if g.timeout <= 0 {
		g.timeout = defaultTimeout
	}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{base: config.BaseURL, contract: config.Contract, tokens: config.Tokens, gate: g,
		maxSize: config.MaxDocumentSize, userAgent: config.UserAgent}
	if c.maxSize <= 0 {
		c.maxSize = defaultMaxSize
	}
	if c.userAgent == "" {
		c.userAgent = "askara-sync"
	}
	c.once = &http.Client{Transport: g, CheckRedirect: g.stay}
	c.api = newRetrying(c.once)
	c.files = newRetrying(&http.Client{Transport: g, CheckRedirect: g.travel})
	return c
}

// Requests returns how many requests were sent to the API's host so far, repeats and redirects included.
func (c *Client) Requests() int64 { return c.gate.sent.Load() }

// request is one call of the API.
type request struct {
	call
	method      string
	url         string
	accept      string
	contentType string // "" where there is no body
	body        []byte
	// anywhere: redirects may lead to other hosts.
	anywhere bool
	// foreign: url is another host's, so no token is asked for.
	foreign bool
}

// send sends r and returns its answer if it is a success; the caller closes the body. A 401 of the API is answered once with a
// fresh token: refreshing kills the token of a request in flight.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	var token Secret
	var err error
	wait, cancel := Waiting(ctx)
	defer cancel()
	if !r.foreign {
		if token, err = c.tokens.Token(wait); err != nil {
			return nil, fmt.Errorf("%s: %w", r.op, err)
		}
	}
	resp, err := c.attempt(ctx, r, token)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized && !r.foreign && sameOrigin(resp.Request.URL, c.base) {
		resp.Body.Close()
		if token, err = c.tokens.Renew(wait, token); err != nil {
			return nil, fmt.Errorf("%s: %w", r.op, err)
		}
		if resp, err = c.attempt(ctx, r, token); err != nil {
			return nil, err
		}
	}
	if resp.StatusCode == http.StatusOK || r.body != nil && resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	op := r.op
	if !sameOrigin(resp.Request.URL, c.base) {
		op = opLink
	}
	return nil, c.contract.refusal(op, r.uuid, resp)
}

// attempt sends r with the token, and repeats what is idempotent.
func (c *Client) attempt(ctx context.Context, r request, token Secret) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(context.WithValue(ctx, callKey{}, r.call), r.method, r.url, body)
	if err != nil {
		return nil, &Error{Op: r.op, UUID: r.uuid, Kind: FaultConfiguration, Err: errors.New("the address is unusable"), hint: hintDoctor}
	}
	req.Header["Accept"] = []string{r.accept}
	req.Header["Accept-Encoding"] = []string{"identity"}
	req.Header["User-Agent"] = []string{c.userAgent}
	if token != "" {
		req.Header["Authorization"] = []string{"Bearer " + token.Reveal()}
	}
	if r.contentType != "" {
		req.Header["Content-Type"] = []string{r.contentType}
	}
	resp, err := c.do(req, r)
	if err == nil {
		return resp, nil
	}
	if e, ok := errors.AsType[*notSentError](err); ok {
		return nil, fmt.Errorf("%s: %w", r.op, e.err)
	}
	failed := unanswered(r.op, r.uuid, err)
	if _, ok := errors.AsType[*redirectError](err); ok && r.anywhere {
		failed.Kind = FaultDocument
	}
	return nil, failed
}

// do sends a request as often as its method allows.
func (c *Client) do(req *http.Request, r request) (*http.Response, error) {
	if r.method == http.MethodPost {
		return c.once.Do(req)
	}
	again, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	if r.anywhere {
		return c.files.Do(again)
	}
	return c.api.Do(again)
}

// buffers are kept: what one page needs, the next page needs again.
type buffers struct{ pool sync.Pool }

// maxPooled keeps a single huge answer from being held for ever.
const maxPooled = 1 << 20

func (b *buffers) take() *bytes.Buffer {
	if buf, ok := b.pool.Get().(*bytes.Buffer); ok {
		return buf
	}
	return new(bytes.Buffer)
}

func (b *buffers) give(buf *bytes.Buffer) {
	if buf.Cap() <= maxPooled {
		buf.Reset()
		b.pool.Put(buf)
	}
}

// readInto reads a whole JSON answer into buf, bounded.
func readInto(buf *bytes.Buffer, r request, resp *http.Response) error {
	if n := resp.ContentLength; n > 0 && n <= maxAnswer {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		e := unanswered(r.op, r.uuid, err)
		e.Status = resp.StatusCode
		return e
	}
	if n > maxAnswer {
		return broken(r, resp, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20))
	}
	return nil
}

// broken is an answer of status 2xx that is not what was asked for. It may be a proxy's page: asked again later.
func broken(r request, resp *http.Response, err error) *Error {
	return &Error{Op: r.op, UUID: r.uuid, Status: resp.StatusCode, Kind: FaultService, Err: err, hint: hintMedium}
}

// notJSON says what came in the place of JSON, without repeating it.
func notJSON(resp *http.Response, length int) error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case length == 0:
		return errors.New("the answer is empty")
	case media == "text/html":
		return errors.New("the answer is a web page, not JSON")
	}
	return errors.New("the answer is not JSON")
}

// isJSON says whether an answer calls itself JSON.
func isJSON(resp *http.Response) bool {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return media == "application/json" || strings.HasSuffix(media, "+json")
}
