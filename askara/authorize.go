package askara

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// AuthorizeConfig says where a person logs in with a browser, and where the browser goes afterwards.
type AuthorizeConfig struct {
	// Page is Askara's authorization page.
	Page     *url.URL
	ClientID string
	// RedirectURI is where the browser is sent back to. It must be one that Askara has registered; of a loopback address the port may
	// differ (RFC 8252, section 7.3).
	RedirectURI string
	Scopes      []string
	// PKCE adds a challenge (RFC 7636, S256).
	PKCE bool
}

// Callback is one login by browser under way: the URL to open, and what proves that the browser that comes back is the one
// that was sent. It is good for one login.
type Callback struct {
	// URL is what the person opens.
	URL string
	// RedirectURI and Verifier go into ExchangeCode; Verifier is "" without PKCE.
	RedirectURI string
	Verifier    Secret

	state string
}

// AuthorizeURL begins a login by browser [D].
func AuthorizeURL(c AuthorizeConfig) Callback {
	cb := Callback{RedirectURI: c.RedirectURI, state: rand.Text()}
	u := *c.Page
	q := u.Query()
	q.Set("response_type", "code")
	q.Set("client_id", c.ClientID)
	q.Set("redirect_uri", c.RedirectURI)
	q.Set("scope", strings.Join(c.Scopes, " "))
	q.Set("state", cb.state)
	if c.PKCE {
		cb.Verifier = Secret(rand.Text() + rand.Text()) // 52 characters; the RFC wants 43 to 128
		sum := sha256.Sum256([]byte(cb.Verifier.Reveal()))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
		q.Set("code_challenge_method", "S256")
	}
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // as documented; a literal + is encoded as %2B
	cb.URL = u.String()
	return cb
}

// ErrForeignCallback: the URL does not belong to this login. It may belong to an older one, or to somebody else; what it says does not
// count.
var ErrForeignCallback = errors.New("the address does not belong to the login that is under way")

const (
	// maxCallback bounds a redirected URL.
	maxCallback = 16 << 10
	// maxCode bounds the code in it; league's is some 700 characters.
	maxCode = 4 << 10
)

// Code reads the code from the URL that the browser was sent back to: the whole of it, as it is pasted from an address bar, or only its
// path and query, or its query. Errors: ErrForeignCallback, a *NoLoginError where the login was refused, or that it holds no code.
func (cb Callback) Code(redirected string) (string, error) {
	redirected = strings.Trim(redirected, " \t\r\n\"'<>")
	if redirected == "" || len(redirected) > maxCallback {
		return "", errors.New("the address is empty or too long")
	}
	query := redirected
	if _, after, ok := strings.Cut(redirected, "?"); ok {
		query = after
	}
	query, _, _ = strings.Cut(query, "#")
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", errors.New("the address cannot be read") // the parser's error would quote from it
	}
	// The state first: nothing of a foreign address counts, not even its error.
	state := q["state"]
	if len(state) != 1 || subtle.ConstantTimeCompare([]byte(state[0]), []byte(cb.state)) != 1 || cb.state == "" {
		return "", ErrForeignCallback
	}
	if q.Has("error") {
		if q.Get("error") == "access_denied" {
			return "", &NoLoginError{Reason: "the login was refused in the browser"}
		}
		code := oauthCode(q.Get("error"))
		return "", &Error{Op: "log in with a browser", Kind: FaultConfiguration, Detail: code, hint: authorizeHint(code)}
	}
	code := q["code"]
	if len(code) != 1 || code[0] == "" || len(code[0]) > maxCode ||
		strings.ContainsFunc(code[0], func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", errors.New("the address holds no code")
	}
	return code[0], nil
}

// authorizeHint is the remedy for an OAuth error of the authorization page.
func authorizeHint(code string) string {
	switch code {
	case "invalid_scope":
		return hintScope
	case "unauthorized_client", "unsupported_response_type":
		return hintGrant
	case "server_error", "temporarily_unavailable":
		return hintLogin + " again later"
	}
	return "check api.client_id, api.redirect_uri and api.scopes"
}

// isLoopback says whether a host is this machine.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
