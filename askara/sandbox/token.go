package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The descriptions of league/oauth2-server 9.
const (
	sayInvalidRequest = "The request is missing a required parameter, includes an invalid parameter value, " +
		"includes a parameter more than once, or is otherwise malformed."
	sayInvalidGrant = "The provided authorization grant (e.g., authorization code, resource owner credentials) or refresh token " +
		"is invalid, expired, revoked, does not match the redirection URI used in the authorization request, or was issued to another client."
	sayDenied = "The resource owner or authorization server denied the request."
)

// oauthError answers as league does: a hint may be there and empty.
func oauthError(x *exchange, status int, code, description, hint string) {
	o := object{b: []byte{'{'}}
	o.text("error", code)
	o.text("error_description", description)
	o.raw("hint", string(appendString(nil, hint)))
	if x.c.OldErrors {
		o.text("message", description)
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.send(status, "application/json", append(o.b, '}'))
}

func badRequest(x *exchange, parameter string) {
	oauthError(x, http.StatusBadRequest, "invalid_request", sayInvalidRequest, "Check the `"+parameter+"` parameter")
}

func badGrant(x *exchange, hint string) {
	if x.c.OldErrors {
		oauthError(x, http.StatusUnauthorized, "invalid_request", "The refresh token is invalid.", hint)
		return
	}
	oauthError(x, http.StatusBadRequest, "invalid_grant", sayInvalidGrant, hint)
}

// token answers a request for tokens, whatever the grant.
func (s *Server) token(x *exchange) {
	f, ok := readForm(x)
	if !ok {
		return
	}
	switch f["grant_type"] {
	case "refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code":
	default:
		oauthError(x, http.StatusBadRequest, "unsupported_grant_type",
			"The authorization grant type is not supported by the authorization server.", "Check that all required parameters have been provided")
		return
	}
	if !s.client(x, f) {
		return
	}
	switch f["grant_type"] {
	case "refresh_token":
		s.refresh(x, f)
	case "authorization_code":
		s.exchangeCode(x, f)
	default:
		s.pollDevice(x, f)
	}
}

// readForm reads a JSON object of strings; other members are as if they were missing.
func readForm(x *exchange) (map[string]string, bool) {
	got, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || got != "application/json" {
		badRequest(x, "grant_type")
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(x.r.Body, 64<<10))
	var any map[string]any
	if err != nil || json.Unmarshal(body, &any) != nil {
		badRequest(x, "grant_type")
		return nil, false
	}
	f := make(map[string]string, len(any))
	for k, v := range any {
		if text, ok := v.(string); ok {
			f[k] = text
		}
	}
	return f, true
}

// client checks who asks.
func (s *Server) client(x *exchange, f map[string]string) bool {
	if f["client_id"] == "" {
		badRequest(x, "client_id")
		return false
	}
	if !s.config.PublicClient && f["client_secret"] == "" && f["client_id"] == s.config.ClientID {
		badRequest(x, "client_secret")
		return false
	}
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	if f["client_id"] != s.config.ClientID || !s.config.PublicClient && !same(f["client_secret"], s.config.ClientSecret) {
		oauthError(x, http.StatusUnauthorized, "invalid_client", "Client authentication failed", "")
		return false
	}
	return true
}

// scopes reads a list of scopes; nil after an error has been answered.
func (s *Server) scopes(x *exchange, asked string) []string {
	list := strings.Fields(asked)
	for _, scope := range list {
		if !slices.Contains(s.config.Scopes, scope) {
			oauthError(x, http.StatusBadRequest, "invalid_scope", "The requested scope is invalid, unknown, or malformed",
				"Check the `"+scope+"` scope")
			return nil
		}
	}
	if len(list) == 0 {
		list = []string{}
	}
	return list
}

// refresh burns a refresh token for a new pair.
func (s *Server) refresh(x *exchange, f map[string]string) {
	old := f["refresh_token"]
	if old == "" {
		badRequest(x, "refresh_token")
		return
	}
	l, t := s.logins, s.tally
	now := time.Now()
	l.mu.Lock()
	token := l.refresh[old]
	var hint string
	switch {
	case token == nil:
		hint = "Cannot decrypt the refresh token"
	case token.spent:
		hint = "Token has been revoked"
		s.reused(token, x.c.ReuseForgiven)
	case token.login.ended:
		hint = "Token has been revoked"
	case !now.Before(token.expires):
		hint = "Token has expired"
	}
	if hint != "" {
		l.mu.Unlock()
		x.onLost = func() {
			t.mu.Lock()
			t.refusalsLost++
			t.mu.Unlock()
		}
		badGrant(x, hint)
		return
	}
	l.burn(token)
	token.answered = true
	access, refresh := l.issue(token.login, s.config, now)
	l.mu.Unlock()
	t.mu.Lock()
	t.refreshes++
	t.mu.Unlock()
	x.onLost = func() {
		l.mu.Lock()
		token.answered = false
		l.mu.Unlock()
		t.mu.Lock()
		t.lost++
		t.mu.Unlock()
	}
	s.grant(x, access, refresh)
}

// reused counts a burned token that came again. The caller holds logins.mu.
func (s *Server) reused(token *refreshToken, forgiven bool) {
	t := s.tally
	t.mu.Lock()
	t.reuses++
	if token.answered {
		t.answered++
	} else {
		t.reuseOf++
	}
	t.mu.Unlock()
	if !forgiven { // theft: the pair that came of it dies too
		token.login.ended = true
	}
}

// grant answers a pair.
func (s *Server) grant(x *exchange, access, refresh string) {
	o := object{b: []byte{'{'}}
	o.text("token_type", "Bearer")
	o.raw("expires_in", strconv.Itoa(int(s.config.AccessTTL/time.Second)))
	o.text("access_token", access)
	o.text("refresh_token", refresh)
	x.w.Header().Set("Cache-Control", "no-store")
	if raw := x.c.TokensRaw; raw != "" {
		x.cut = !strings.Contains(raw, "{refresh}")
		x.send(http.StatusOK, "application/json; charset=UTF-8", []byte(strings.NewReplacer("{access}", access, "{refresh}", refresh).Replace(raw)))
		return
	}
	x.send(http.StatusOK, "application/json; charset=UTF-8", append(o.b, '}'))
}

// granted issues the first pair of a new login and answers it.
func (s *Server) granted(x *exchange, person string, scopes []string) {
	l := s.logins
	l.mu.Lock()
	access, refresh := l.issue(&login{person: person, scopes: scopes}, s.config, time.Now())
	l.mu.Unlock()
	s.tally.mu.Lock()
	s.tally.logins++
	s.tally.mu.Unlock()
	s.grant(x, access, refresh)
}

// exchangeCode gives a pair for the code of the browser login.
func (s *Server) exchangeCode(x *exchange, f map[string]string) {
	if f["code"] == "" {
		badRequest(x, "code")
		return
	}
	l := s.logins
	l.mu.Lock()
	code := l.codes[f["code"]]
	var hint string
	switch {
	case code == nil:
		hint = "Cannot decrypt the authorization code"
	case code.used:
		hint = "Authorization code has been revoked"
	case !time.Now().Before(code.expires):
		hint = "Authorization code has expired"
	case f["redirect_uri"] != code.redirect:
		hint = "redirect_uri"
	case code.challenge != "" && f["code_verifier"] == "":
		hint = "code_verifier"
	case code.challenge != "" && challenge(code.method, f["code_verifier"]) != code.challenge:
		hint = "Failed to verify `code_verifier`."
	default:
		code.used = true
	}
	l.mu.Unlock()
	switch hint {
	case "":
		s.granted(x, code.person, code.scopes)
	case "redirect_uri", "code_verifier":
		badRequest(x, hint)
	default:
		oauthError(x, http.StatusBadRequest, "invalid_grant", sayInvalidGrant, hint)
	}
}

// challenge is what a PKCE verifier must have been announced as.
func challenge(method, verifier string) string {
	if method == "plain" || method == "" {
		return verifier
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
