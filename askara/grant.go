package askara

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Fate is what a failed request for tokens means for the refresh token, or the code, that was sent with it.
type Fate int

const (
	// FateUnknown: it may be spent. Also the Fate of errors that nothing is known about.
	FateUnknown Fate = iota + 1
	// FateKept: nobody has looked at it, so that it is as good as before. The request was never sent, or turned away first.
	FateKept
	// FateRefused: it is not accepted, now or ever.
	FateRefused
)

// GrantError is a request for tokens that brought none. The zero Fate counts as FateKept.
type GrantError struct {
	Fate Fate
	// Code is the OAuth error of the answer, "" where it had none.
	Code string
	Err  *Error
}

// Error implements error.
func (e *GrantError) Error() string { return e.Err.Error() }

// Unwrap returns the Error, which has Fault and Hint.
func (e *GrantError) Unwrap() error { return e.Err }

// FateOf returns the Fate in err's tree. What is not a GrantError is FateUnknown: better one question too many than a lost login.
func FateOf(err error) Fate {
	e, ok := errors.AsType[*GrantError](err)
	switch {
	case !ok:
		return FateUnknown
	case e.Fate == 0:
		return FateKept
	}
	return e.Fate
}

// The remedies for what the token endpoint refuses.
const (
	hintClient = `check api.client_id and the client secret (api.client_secret_file, or the credential "client_secret")`
	hintGrant  = `ask Askara to allow this way of logging in for api.client_id`
	hintScope  = `check api.scopes: Askara does not know, or does not allow, one of them`
	hintToken  = `check api.base_url and api.contract.token_path, and whether a proxy stands before Askara: run "askara-sync doctor"`
)

// classifyGrant is the one place where an answer of the token endpoint that brought no pair gets its meaning, by its status and its
// OAuth error code (section 2 of the API's description); its other words never decide.
func classifyGrant(status int, code string) (Fate, Fault, string) {
	switch {
	case status < 300:
		// A success that cannot be read. The token software answers 200 only after it has spent the old token; a proxy's page with
		// status 200 may have kept the request to itself. So both are possible.
		return FateUnknown, FaultService, hintToken
	case status >= 500, status == http.StatusRequestTimeout:
		// The token software revokes the old pair before it writes the new one, so that whatever broke may have broken in between; and a
		// gateway gives up on a request that goes on behind it. It may as well not have begun: no reason to call a person.
		return FateUnknown, FaultService, ""
	case status == http.StatusTooManyRequests:
		// Section 4: the budget is looked at before the request is.
		return FateKept, FaultLimited, ""
	case code == "invalid_grant":
		// Spent, expired, or another client's.
		return FateRefused, FaultLogin, hintLogin
	case code == "invalid_request" && status == http.StatusUnauthorized:
		// What older versions answer in place of invalid_grant, and with 401 only for that.
		return FateRefused, FaultLogin, hintLogin
	case code == "invalid_client", code == "invalid_request":
		// A wrong secret or client; with 400, one that is missing. The client is checked before the token is looked at, so a corrected
		// setting goes on with the same token. Logging in again would change nothing.
		return FateKept, FaultConfiguration, hintClient
	case code == "unauthorized_client", code == "unsupported_grant_type":
		return FateKept, FaultConfiguration, hintGrant // decided before the token, like the client
	case code == "invalid_scope":
		return FateKept, FaultConfiguration, hintScope // scopes are settled before anything is revoked
	case status == http.StatusProxyAuthRequired:
		return FateKept, FaultConfiguration, hintProxy
	}
	// Everything else did not come from the token software, which grants with 200 and refuses with one of the codes above: a redirect, a
	// router's 404, a firewall's 403, a login page. It stopped before the token was looked at. Such a thing comes and goes with
	// deployments and proxies, so it is not called a wrong setting, on which the service would end for good.
	return FateKept, FaultService, hintToken
}

// refusal makes an error of an answer that is no success.
func (r reply) refusal(op string) *GrantError {
	code := r.code()
	fate, kind, hint := classifyGrant(r.status, code)
	return &GrantError{Fate: fate, Code: code, Err: &Error{
		Op: op, Status: r.status, Kind: kind, Detail: code, RetryAfter: r.retryAfter, Err: r.err, hint: hint,
	}}
}

// unreadable makes an error of a success that brought nothing usable.
func (r reply) unreadable(op string, err error) *GrantError {
	e := r.refusal(op)
	e.Err.Err = cmp.Or(r.err, err)
	return e
}

// code reads the OAuth error code, "" where there is none. Nothing else of the body is kept, since it could repeat the token.
func (r reply) code() string {
	var refused struct {
		Error json.RawMessage `json:"error"`
	}
	var code string
	if json.Unmarshal(r.body, &refused) != nil || json.Unmarshal(refused.Error, &code) != nil {
		return ""
	}
	return oauthCode(code)
}

// oauthCode returns s where it looks like an OAuth error code, "" otherwise.
func oauthCode(s string) string {
	if len(s) > 40 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return s
}

// decodeTokens reads a granted pair, received at now. An access token without a refresh token is returned together with an error.
//
// The token_type is not looked at: a pair is worth more than its label, and should a token be no bearer token, its first use tells.
func decodeTokens(raw []byte, now time.Time) (Tokens, error) {
	var in struct {
		ExpiresIn    json.RawMessage `json:"expires_in"`
		AccessToken  json.RawMessage `json:"access_token"`
		RefreshToken json.RawMessage `json:"refresh_token"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return Tokens{}, errors.New("the answer is no JSON object") // the decoder's error would quote from it
	}
	access, ok := decodeToken(in.AccessToken)
	if !ok {
		return Tokens{}, errors.New("the answer holds no usable access token")
	}
	lifetime, ok := decodeSeconds(in.ExpiresIn, maxAccessLifetime)
	if !ok {
		lifetime = defaultAccessLifetime
	}
	now = stamp(now)
	t := Tokens{Access: access, AccessExpiresAt: now.Add(lifetime), ObtainedAt: now}
	if t.Refresh, ok = decodeToken(in.RefreshToken); !ok {
		return t, errors.New("the answer holds no usable refresh token")
	}
	t.RefreshExpiresAt = now.Add(refreshLifetime)
	return t, nil
}

// decodeToken reads a token that may stand in a header: visible ASCII, of bounded length.
func decodeToken(raw json.RawMessage) (Secret, bool) {
	var token string
	if json.Unmarshal(raw, &token) != nil || token == "" || len(token) > maxToken {
		return "", false
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", false
	}
	return Secret(token), true
}

// decodeSeconds reads a positive number of seconds, as a number or in quotes, at most limit. Zero, negative and unreadable values
// say nothing: taken at its word, a lifetime of 0 would have us refresh before every request.
func decodeSeconds(raw json.RawMessage, limit time.Duration) (time.Duration, bool) {
	seconds, err := strconv.ParseFloat(string(bytes.Trim(raw, `" `)), 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return 0, false
	}
	if seconds >= limit.Seconds() {
		return limit, true
	}
	d := time.Duration(seconds * float64(time.Second)).Truncate(time.Millisecond)
	return d, d > 0
}

// stamp cuts a time to what the vault keeps of it, so that times read back compare equal.
func stamp(t time.Time) time.Time { return t.Truncate(time.Millisecond).Round(0) }

// wire watches how far a request got.
type wire struct{ dialled, connected atomic.Bool }

// trace returns the hooks.
func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { w.dialled.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	}
}

// fate says what a request without an answer means for its token. Before there is a connection, that is, while the name is looked
// up, the proxy asked, the TLS handshake under way, nothing can have been sent. From the first moment of the connection on it may have
// been: that a write failed does not tell how much of it arrived. A transport that tells nothing is believed only when its
// error is about dialling.
func (w *wire) fate(err error) Fate {
	if !w.connected.Load() && (w.dialled.Load() || isDialling(err) || isTLS(err)) {
		return FateKept
	}
	return FateUnknown
}
