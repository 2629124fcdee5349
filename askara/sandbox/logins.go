package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// login is one consent: a chain of pairs of which the newest is good.
type login struct {
	person string
	scopes []string
	ended  bool
}

type accessToken struct {
	login   *login
	expires time.Time
	revoked bool
}

type refreshToken struct {
	login    *login
	access   string // killed with it
	expires  time.Time
	spent    bool
	answered bool // whoever spent it got the new pair, as far as the server knows
}

// logins holds everything that has been granted or asked for.
type logins struct {
	mu      sync.Mutex
	rng     *rand.ChaCha8
	key     []byte // signs links to the other host
	access  map[string]*accessToken
	refresh map[string]*refreshToken
	devices map[string]*device // by device code
	codes   map[string]*grantCode
	asked   map[string]*authorization
}

func newLogins(c Config) *logins {
	l := &logins{
		rng: seeded(c.Seed, "tokens"), key: make([]byte, 32), access: map[string]*accessToken{}, refresh: map[string]*refreshToken{},
		devices: map[string]*device{}, codes: map[string]*grantCode{}, asked: map[string]*authorization{},
	}
	l.rng.Read(l.key)
	return l
}

// random returns n hexadecimal digits.
func (l *logins) random(n int) string {
	b := make([]byte, (n+1)/2)
	l.rng.Read(b)
	return hex.EncodeToString(b)[:n]
}

func (s *Server) signature(uuid string) string {
	m := hmac.New(sha256.New, s.logins.key)
	m.Write([]byte(uuid))
	return hex.EncodeToString(m.Sum(nil))
}

// issue makes a pair. The caller holds mu.
func (l *logins) issue(to *login, c Config, now time.Time) (access, refresh string) {
	claims := fmt.Sprintf(`{"aud":%q,"jti":%q,"iat":%d,"nbf":%d,"exp":%d,"sub":%q,"scopes":["%s"]}`, c.ClientID, l.random(80),
		now.Unix(), now.Unix(), now.Add(c.AccessTTL).Unix(), personUUID(to.person), strings.Join(to.scopes, `","`))
	seal := make([]byte, 256)
	l.rng.Read(seal)
	b64 := base64.RawURLEncoding.EncodeToString
	access = b64([]byte(`{"typ":"JWT","alg":"RS256"}`)) + "." + b64([]byte(claims)) + "." + b64(seal)
	refresh = "def50200" + l.random(772)
	l.access[access] = &accessToken{login: to, expires: now.Add(c.AccessTTL)}
	l.refresh[refresh] = &refreshToken{login: to, access: access, expires: now.Add(c.RefreshTTL)}
	return access, refresh
}

// Login grants a pair without a ceremony. person is any name; each sees the documents added for it, "" the default ones.
func (s *Server) Login(person string) (access, refresh string) {
	return s.LoginScopes(person, s.config.Scopes...)
}

// LoginScopes is Login with less or other scopes.
func (s *Server) LoginScopes(person string, scopes ...string) (access, refresh string) {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.issue(&login{person: person, scopes: scopes}, s.config, time.Now())
}

// SpendToken burns a refresh token as somebody else's refresh would; its pair dies with it. It returns false where the token is
// unknown or burned already.
func (s *Server) SpendToken(refresh string) bool {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.refresh[refresh]
	if t == nil || t.spent {
		return false
	}
	l.burn(t)
	return true
}

// burn spends a refresh token and kills its access token. The caller holds mu.
func (l *logins) burn(t *refreshToken) {
	t.spent = true
	if a := l.access[t.access]; a != nil {
		a.revoked = true
	}
}

// ExpireAccess kills every access token of a person now, as a server does that has lost its sessions.
func (s *Server) ExpireAccess(person string) {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.access {
		if a.login.person == person {
			a.revoked = true
		}
	}
}

// Revoke ends every login of a person, as the person can in Askara.
func (s *Server) Revoke(person string) {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.refresh {
		if t.login.person == person {
			t.login.ended = true
		}
	}
}

// TokenGood says whether a refresh token would be accepted now. Asking does not burn it.
func (s *Server) TokenGood(refresh string) bool {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.refresh[refresh]
	return t != nil && !t.spent && !t.login.ended && time.Now().Before(t.expires)
}

// authorized finds the login of the bearer token, or answers 401 or 403.
func (s *Server) authorized(x *exchange) bool {
	if x.kind == KindOther && x.allow == "" {
		return true // a path that does not exist is a 404 to anybody
	}
	value := x.r.Header.Get("Authorization")
	token, ok := strings.CutPrefix(value, "Bearer ")
	hint := "Access token could not be verified"
	if !ok {
		hint = `Missing "Authorization" header`
	}
	l := s.logins
	l.mu.Lock()
	a := l.access[token]
	if a != nil {
		switch {
		case a.revoked || a.login.ended:
			hint, a = "Access token has been revoked", nil
		case !time.Now().Before(a.expires):
			hint, a = "Access token could not be verified", nil
		}
	}
	l.mu.Unlock()
	if a == nil {
		s.tally.unauthorized.Add(1)
		x.w.Header().Set("WWW-Authenticate", `Bearer realm="askara"`)
		if x.c.PlainDenied {
			x.send(http.StatusUnauthorized, "text/html; charset=utf-8", []byte("The resource owner or authorization server denied the request."))
			return false
		}
		oauthError(x, http.StatusUnauthorized, "access_denied", "The resource owner or authorization server denied the request.", hint)
		return false
	}
	x.login = a.login
	if scope := x.c.RequiredScope; scope != "" && !slices.Contains(a.login.scopes, scope) {
		problem(x.w, http.StatusForbidden, "An error occurred", "Access Denied.")
		return false
	}
	return true
}

// personUUID is the same for the same name.
func personUUID(name string) string {
	return newUUID(seeded(0, "person "+name))
}

// me answers who the login is.
func (s *Server) me(x *exchange) {
	name := x.login.person
	first, last, email := "Claire", "Fontaine", "claire.fontaine@tilleuls.example"
	if name != "" {
		first, last, _ = strings.Cut(name, " ")
		email = strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@tilleuls.example"
	}
	o := object{b: []byte{'{'}, nulls: x.c.Nulls}
	o.text("uuid", personUUID(name))
	o.text("email", email)
	o.text("firstName", first)
	o.text("lastName", last)
	o.raw("isVerified", "true")
	org := object{b: []byte{'{'}}
	org.text("uuid", clinic.UUID)
	org.text("name", clinic.Name)
	if x.c.OneOrg {
		o.raw("organization", string(org.b)+"}")
	} else {
		o.raw("organizations", "["+string(org.b)+"}]")
	}
	x.send(http.StatusOK, "application/json; charset=utf-8", append(o.b, '}'))
}

// Tokens returns every access and refresh token that was ever granted, for those who look for them where they must not be.
func (s *Server) Tokens() []string {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Keys(l.access)), maps.Keys(l.refresh))
}
