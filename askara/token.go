package askara

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

// TokenConfig says where tokens come from and as whom we ask.
type TokenConfig struct {
	// BaseURL is the API's; a path prefix in it is kept. Required.
	BaseURL  *url.URL
	Contract Contract
	ClientID string
	// ClientSecret is left out of requests where it is "".
	ClientSecret Secret
	// Transport carries the calls; nil takes a plain one. An *http.Transport is cloned and stripped of all that could send a call
	// twice; any other must not repeat a request by itself.
	Transport http.RoundTripper
	// Timeout bounds a whole call; 0 means defaultTokenTimeout.
	Timeout time.Duration
	// Limiter is asked before each call; nil means no limit.
	Limiter Limiter
	// UserAgent is sent where it is not "".
	UserAgent string
}

// TokenEndpoint is the part of Askara that grants tokens: https://developers.askara.ai, "Authentication". Requests are JSON.
// Each method sends its request once and never again, whatever comes back: a refresh token that is sent twice counts as stolen.
// Errors are a *GrantError. It is safe for concurrent use.
type TokenEndpoint struct {
	cfg    TokenConfig
	client *http.Client
}

const (
	// defaultTokenTimeout is as long as the API's own: who waits less may lose a slow answer, and with it the login.
	defaultTokenTimeout = 30 * time.Second
	// maxTokenAnswer bounds what is read of an answer. A pair is some 1,500 characters.
	maxTokenAnswer = 64 << 10
	// maxToken bounds one token: the two together must fit an answer, and the access token must fit a header.
	maxToken = 16 << 10
	// refreshLifetime [D] is not in the answer.
	refreshLifetime = 30 * 24 * time.Hour
	// defaultAccessLifetime [D] is taken where the answer says nothing usable. Should the token die sooner, its first 401 renews it.
	defaultAccessLifetime = time.Hour
	// maxAccessLifetime bounds what an answer may say: the pair is refreshed daily anyway.
	maxAccessLifetime = 24 * time.Hour
)

// The operations, as Error.Op names them.
const (
	opRefresh  = "refresh the login"
	opExchange = "exchange the authorization code"
)

// NewTokenEndpoint returns the endpoint; it opens no connection.
func NewTokenEndpoint(c TokenConfig) *TokenEndpoint {
	if c.Timeout <= 0 {
		c.Timeout = defaultTokenTimeout
	}
	client := &http.Client{
		Transport: onceOnly(c.Transport),
		// A 307 or 308 would have the token sent again, perhaps to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &TokenEndpoint{cfg: c, client: client}
}

// onceOnly takes from a transport every way to send a request twice. net/http by itself repeats a request whose kept-alive
// connection turns out to be dead, and HTTP/2 one whose stream was refused: hence a new HTTP/1 connection for each call.
func onceOnly(rt http.RoundTripper) http.RoundTripper {
	if rt == nil {
		rt = NewTransport(nil)
	}
	t, ok := rt.(*http.Transport)
	if !ok {
		return rt
	}
	t = t.Clone()
	t.DisableKeepAlives = true
	t.ForceAttemptHTTP2, t.HTTP2 = false, nil
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t
}

// Admit waits until the budget allows one call. It is separate from Refresh, so that the wait, which may be long, is over before a
// refresh is begun whose interruption would matter.
func (e *TokenEndpoint) Admit(ctx context.Context) error {
	if e.cfg.Limiter == nil {
		return nil
	}
	return e.cfg.Limiter.Take(ctx, WorkLogin)
}

// Refresh trades a refresh token for a new pair [D]. It asks no Limiter: call Admit first. Once it has returned anything but an
// error with FateKept, token must not be sent again, except to find out what became of it after FateUnknown. With FateUnknown the
// Tokens may hold an access token, where the answer had one without a refresh token.
func (e *TokenEndpoint) Refresh(ctx context.Context, token Secret) (Tokens, error) {
	return e.grant(ctx, opRefresh, map[string]string{"grant_type": "refresh_token", "refresh_token": token.Reveal()})
}

// ExchangeCode trades the code of a browser login for a pair [D]. redirectURI is the one that the authorization URL held; verifier
// is "" without PKCE.
func (e *TokenEndpoint) ExchangeCode(ctx context.Context, code, redirectURI, verifier string) (Tokens, error) {
	if err := e.Admit(ctx); err != nil {
		return Tokens{}, err
	}
	fields := map[string]string{"grant_type": "authorization_code", "code": code, "redirect_uri": redirectURI}
	if verifier != "" {
		fields["code_verifier"] = verifier
	}
	return e.grant(ctx, opExchange, fields)
}

// grant sends one request to the token endpoint and reads the pair.
func (e *TokenEndpoint) grant(ctx context.Context, op string, fields map[string]string) (Tokens, error) {
	r, err := e.post(ctx, op, e.cfg.Contract.TokenPath, fields)
	if err != nil {
		return Tokens{}, err
	}
	if !r.success() {
		return Tokens{}, r.refusal(op)
	}
	t, err := decodeTokens(r.body, time.Now())
	if err != nil {
		return t, r.unreadable(op, err)
	}
	return t, nil
}

// reply is what came back from the token software, or from whatever stands in front of it.
type reply struct {
	status     int
	body       []byte // nil where err is set
	err        error  // why the body could not be read
	retryAfter time.Duration
}

// success says whether the status grants something.
func (r reply) success() bool { return r.status/100 == 2 }

// post sends one request, once. An error is a *GrantError and means that there is no answer.
func (e *TokenEndpoint) post(ctx context.Context, op, path string, fields map[string]string) (reply, error) {
	fields["client_id"] = e.cfg.ClientID
	if e.cfg.ClientSecret != "" {
		fields["client_secret"] = e.cfg.ClientSecret.Reveal()
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return reply{}, &GrantError{Err: &Error{Op: op, Err: err}}
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	var w wire
	ctx = httptrace.WithClientTrace(ctx, w.trace())
	// The wrapping hides the body's type, so that the request gets no GetBody: without one, no layer below can send it again.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint(e.cfg.BaseURL, path, ""), io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		return reply{}, &GrantError{Err: &Error{Op: op, Kind: FaultConfiguration, Err: err}}
	}
	req.ContentLength = int64(len(body))
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if e.cfg.UserAgent != "" {
		req.Header.Set("User-Agent", e.cfg.UserAgent)
	}
	return e.send(op, req, &w)
}

// send does what post prepared.
func (e *TokenEndpoint) send(op string, req *http.Request, w *wire) (reply, error) {
	if err := req.Context().Err(); err != nil {
		return reply{}, &GrantError{Err: unanswered(op, "", err)}
	}
	resp, err := e.client.Do(req)
	if err != nil {
		e.answered(0, nil)
		return reply{}, &GrantError{Fate: w.fate(err), Err: unanswered(op, "", err)}
	}
	defer resp.Body.Close()
	e.answered(resp.StatusCode, resp.Header)
	r := reply{status: resp.StatusCode, retryAfter: retryAfter(resp.Header, time.Now())}
	r.body, r.err = io.ReadAll(io.LimitReader(resp.Body, maxTokenAnswer+1))
	if r.err == nil && len(r.body) > maxTokenAnswer {
		r.err = errors.New("the answer is too long for one that grants tokens")
	}
	if r.err != nil {
		r.body = nil
	}
	return r, nil
}

func (e *TokenEndpoint) answered(status int, h http.Header) {
	if e.cfg.Limiter != nil {
		e.cfg.Limiter.Answered(status, h)
	}
}
