package sandbox

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeTTL is how long a code of the browser login may be exchanged, as league has it.
const codeTTL = 10 * time.Minute

// authorization is a consent page that has been opened.
type authorization struct {
	redirect, state   string
	challenge, method string
	scopes            []string
}

// grantCode is what an approved page gives to the application.
type grantCode struct {
	redirect, person  string
	challenge, method string
	scopes            []string
	expires           time.Time
	used              bool
}

// page answers what people open.
func (s *Server) page(x *exchange) {
	x.w.Header().Set("Cache-Control", "no-store")
	x.w.Header().Set("Referrer-Policy", "no-referrer")
	switch path := strings.TrimPrefix(x.r.URL.Path, s.config.Prefix); {
	case x.r.Method != http.MethodGet && x.r.Method != http.MethodPost && x.r.Method != http.MethodHead:
		http.Error(x.w, "method not allowed", http.StatusMethodNotAllowed)
	case path == "/authorize" && x.r.Method == http.MethodPost:
		s.decideAuthorization(x)
	case path == "/authorize":
		s.openAuthorization(x)
	case path == "/device":
		s.devicePage(x)
	default:
		render(x, http.StatusOK, pageData{Title: x.words().Home, Text: x.words().HomeText})
	}
}

// openAuthorization checks the request of the application and shows the consent page. What is wrong with the application or its
// redirect_uri is told to the person; everything else goes back to the application.
func (s *Server) openAuthorization(x *exchange) {
	q := x.r.URL.Query()
	redirect := q.Get("redirect_uri")
	if q.Get("client_id") != s.config.ClientID {
		render(x, http.StatusUnauthorized, pageData{Title: x.words().Wrong, Text: "Client authentication failed (client_id)"})
		return
	}
	if redirect == "" && len(s.config.RedirectURIs) == 1 {
		redirect = s.config.RedirectURIs[0]
	}
	if !registered(s.config.RedirectURIs, redirect) {
		render(x, http.StatusUnauthorized, pageData{Title: x.words().Wrong, Text: "Client authentication failed (redirect_uri)"})
		return
	}
	a := &authorization{redirect: redirect, state: q.Get("state"), challenge: q.Get("code_challenge"),
		method: q.Get("code_challenge_method"), scopes: strings.Fields(q.Get("scope"))}
	if q.Get("response_type") != "code" {
		a.back(x, "error", "unsupported_grant_type", "error_description", "The authorization grant type is not supported by the authorization server.")
		return
	}
	for _, scope := range a.scopes {
		if !slices.Contains(s.config.Scopes, scope) {
			a.back(x, "error", "invalid_scope", "error_description", "The requested scope is invalid, unknown, or malformed",
				"hint", "Check the `"+scope+"` scope")
			return
		}
	}
	if a.challenge != "" && a.method != "S256" && a.method != "plain" && a.method != "" {
		a.back(x, "error", "invalid_request", "error_description", sayInvalidRequest, "hint", "Code challenge method must be one of `S256`, `plain`")
		return
	}
	l := s.logins
	l.mu.Lock()
	id := l.random(32)
	l.asked[id] = a
	l.mu.Unlock()
	if s.approves.Load() {
		s.finish(x, a, "", true)
		return
	}
	render(x, http.StatusOK, pageData{Title: x.words().Consent, Text: x.words().ConsentText, Scopes: a.scopes, Ask: id,
		Action: s.config.Prefix + "/authorize"})
}

// decideAuthorization takes the person's answer.
func (s *Server) decideAuthorization(x *exchange) {
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, 64<<10)
	l := s.logins
	id := x.r.PostFormValue("ask")
	l.mu.Lock()
	a := l.asked[id]
	delete(l.asked, id)
	l.mu.Unlock()
	if a == nil {
		render(x, http.StatusBadRequest, pageData{Title: x.words().Wrong, Text: x.words().Gone})
		return
	}
	s.finish(x, a, x.r.PostFormValue("person"), x.r.PostFormValue("decision") == "approve")
}

// finish sends the browser back to the application.
func (s *Server) finish(x *exchange, a *authorization, person string, approved bool) {
	if !approved {
		a.back(x, "error", "access_denied", "error_description", sayDenied, "hint", "The user denied the request")
		return
	}
	l := s.logins
	l.mu.Lock()
	code := "def50200" + l.random(500)
	l.codes[code] = &grantCode{redirect: a.redirect, person: person, challenge: a.challenge, method: a.method, scopes: a.scopes,
		expires: time.Now().Add(codeTTL)}
	l.mu.Unlock()
	a.back(x, "code", code)
}

// back redirects with pairs of parameters and the state.
func (a *authorization) back(x *exchange, pairs ...string) {
	u, err := url.Parse(a.redirect)
	if err != nil {
		render(x, http.StatusBadRequest, pageData{Title: x.words().Wrong, Text: "redirect_uri"})
		return
	}
	q := u.Query()
	for pair := range slices.Chunk(pairs, 2) {
		q.Set(pair[0], pair[1])
	}
	if a.state != "" {
		q.Set("state", a.state)
	}
	u.RawQuery = q.Encode()
	x.w.Header().Set("Location", u.String())
	x.w.WriteHeader(http.StatusFound)
}

// registered says whether redirect is one of the registered addresses. Of a loopback address the port does not count; without
// any registered one every loopback address will do.
func registered(all []string, redirect string) bool {
	u, err := url.Parse(redirect)
	if err != nil || redirect == "" || u.Fragment != "" {
		return false
	}
	loopback := u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
	if len(all) == 0 {
		return loopback
	}
	return slices.ContainsFunc(all, func(known string) bool {
		k, err := url.Parse(known)
		if known == redirect {
			return true
		}
		return err == nil && loopback && k.Scheme == "http" && k.Hostname() == u.Hostname() && k.Path == u.Path && k.RawQuery == u.RawQuery
	})
}

// devicePage shows where a person types the code, and takes the answer.
func (s *Server) devicePage(x *exchange) {
	code := x.r.URL.Query().Get("user_code")
	d := pageData{Title: x.words().Device, Text: x.words().DeviceText, Code: code, AskCode: true, Action: s.config.Prefix + "/device"}
	if x.r.Method != http.MethodPost {
		render(x, http.StatusOK, d)
		return
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, 64<<10)
	d.Code = x.r.PostFormValue("user_code")
	approve := x.r.PostFormValue("decision") == "approve"
	if !s.decide(d.Code, x.r.PostFormValue("person"), approve) {
		d.Fault = x.words().NoCode
		render(x, http.StatusNotFound, d)
		return
	}
	done := pageData{Title: x.words().Denied, Text: x.words().DeniedText}
	if approve {
		done = pageData{Title: x.words().Approved, Text: x.words().ApprovedText}
	}
	render(x, http.StatusOK, done)
}

// Authorizations returns the ids of consent pages that wait for a person, for tests that answer them without a browser.
func (s *Server) Authorizations() []string {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	return slices.Sorted(maps.Keys(s.logins.asked))
}
