package sandbox

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// device is one device login under way.
type device struct {
	user     string // the code that a person types
	scopes   []string
	expires  time.Time
	interval time.Duration
	polled   time.Time
	decided  bool
	approved bool
	used     bool
	person   string
}

// consonants of user codes: no vowels, so that no words come about.
const consonants = "BCDFGHJKLMNPQRSTVWXZ"

// device starts a device login.
func (s *Server) device(x *exchange) {
	f, ok := readForm(x)
	if !ok {
		return
	}
	if f["client_id"] == "" {
		badRequest(x, "client_id")
		return
	}
	if f["client_id"] != s.config.ClientID {
		oauthError(x, http.StatusUnauthorized, "invalid_client", "Client authentication failed", "")
		return
	}
	scopes := s.scopes(x, f["scope"])
	if scopes == nil {
		return
	}
	l := s.logins
	l.mu.Lock()
	code := "def50200" + l.random(300)
	d := &device{user: l.userCode(), scopes: scopes, expires: time.Now().Add(s.config.DeviceTTL), interval: s.config.DeviceInterval}
	yes := s.approves.Load()
	d.decided, d.approved = yes, yes
	l.devices[code] = d
	l.mu.Unlock()
	base := baseURL(x.r) + s.config.Prefix + "/device"
	o := object{b: []byte{'{'}}
	o.text("device_code", code)
	o.text("user_code", d.user)
	o.text("verification_uri", base)
	if !x.c.NoComplete {
		o.text("verification_uri_complete", base+"?user_code="+d.user)
	}
	o.raw("expires_in", strconv.Itoa(int(s.config.DeviceTTL/time.Second)))
	if !x.c.NoInterval {
		o.raw("interval", strconv.Itoa(int(s.config.DeviceInterval/time.Second)))
	}
	x.w.Header().Set("Cache-Control", "no-store")
	x.send(http.StatusOK, "application/json; charset=UTF-8", append(o.b, '}'))
}

// userCode makes a code that is not in use. The caller holds mu.
func (l *logins) userCode() string {
	for {
		b := make([]byte, 8)
		l.rng.Read(b)
		for i := range b {
			b[i] = consonants[int(b[i])%len(consonants)]
		}
		if l.byUserCode(string(b)) == nil {
			return string(b)
		}
	}
}

// byUserCode forgives case, spaces and dashes. The caller holds mu.
func (l *logins) byUserCode(code string) *device {
	code = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code))
	for _, d := range l.devices {
		if d.user == code {
			return d
		}
	}
	return nil
}

// baseURL is where the client reached the server.
func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.URL.Scheme == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// pollDevice answers a poll.
func (s *Server) pollDevice(x *exchange, f map[string]string) {
	if f["device_code"] == "" {
		badRequest(x, "device_code")
		return
	}
	l, now := s.logins, time.Now()
	l.mu.Lock()
	d := l.devices[f["device_code"]]
	status, code, say := http.StatusBadRequest, "", ""
	switch {
	case d == nil:
		code, say = "invalid_grant", sayInvalidGrant
	case d.used:
		code, say = "invalid_request", sayInvalidRequest
	case !now.Before(d.expires):
		code, say = "expired_token", "The `device_code` has expired and the device authorization session has concluded."
	case !d.decided && !d.polled.IsZero() && now.Sub(d.polled) < d.interval:
		d.interval += 5 * time.Second
		code, say = "slow_down", "The authorization request is still pending and polling should continue, "+
			"but the interval MUST be increased by 5 seconds for this and all subsequent requests."
	case !d.decided:
		code, say = "authorization_pending", "The authorization request is still pending as the end user hasn't yet completed "+
			"the user interaction steps. The client SHOULD repeat the Access Token Request to the token endpoint"
	case !d.approved:
		status, code, say = http.StatusUnauthorized, "access_denied", sayDenied
	default:
		d.used = true
	}
	if d != nil {
		d.polled = now
	}
	l.mu.Unlock()
	if code != "" {
		oauthError(x, status, code, say, "")
		return
	}
	s.granted(x, d.person, d.scopes)
}

// Approve approves the device login with this user code for the default person; false where there is none.
func (s *Server) Approve(userCode string) bool { return s.decide(userCode, "", true) }

// ApproveAs approves it for a named person.
func (s *Server) ApproveAs(userCode, person string) bool { return s.decide(userCode, person, true) }

// Deny refuses it.
func (s *Server) Deny(userCode string) bool { return s.decide(userCode, "", false) }

func (s *Server) decide(userCode, person string, approved bool) bool {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.byUserCode(userCode)
	if d == nil || d.decided || !time.Now().Before(d.expires) {
		return false
	}
	d.decided, d.approved, d.person = true, approved, person
	return true
}

// UserCodes returns the codes that wait for a person.
func (s *Server) UserCodes() []string {
	l := s.logins
	l.mu.Lock()
	defer l.mu.Unlock()
	var codes []string
	for _, d := range l.devices {
		if !d.decided && time.Now().Before(d.expires) {
			codes = append(codes, d.user)
		}
	}
	return codes
}
