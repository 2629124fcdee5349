package sandbox_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara/sandbox"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// start begins a device login.
func (b *browser) start(scope string) map[string]any {
	b.t.Helper()
	a := b.do(http.MethodPost, "/oauth2/device-code", "application/json", `{"client_id":"`+sandbox.DefaultClientID+`","scope":"`+scope+`"}`)
	want(b.t, "device code", a.status, http.StatusOK)
	return a.object(b.t)
}

// poll returns the status and the error of one poll.
func (b *browser) poll(code string) (int, string, map[string]any) {
	b.t.Helper()
	a, m := b.token("grant_type", deviceGrant, "device_code", code)
	e, _ := m["error"].(string)
	return a.status, e, m
}

func (b *browser) wantPoll(code string, status int, text string) {
	b.t.Helper()
	got, e, _ := b.poll(code)
	want(b.t, "status of the poll", got, status)
	want(b.t, "its error", e, text)
}

func TestDeviceLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{})
		d := b.start("profile organization")
		user, code := d["user_code"].(string), d["device_code"].(string)
		want(t, "user code", regexp.MustCompile(`^[B-DF-HJ-NP-TV-XZ]{8}$`).MatchString(user), true)
		want(t, "interval", d["interval"].(float64), 5.0)
		want(t, "expires_in", d["expires_in"].(float64), 600.0)
		want(t, "verification_uri", d["verification_uri"].(string), "https://api.example/device")
		want(t, "verification_uri_complete", d["verification_uri_complete"].(string), "https://api.example/device?user_code="+user)

		b.wantPoll(code, 400, "authorization_pending")
		time.Sleep(4 * time.Second)
		b.wantPoll(code, 400, "slow_down")
		time.Sleep(6 * time.Second)
		b.wantPoll(code, 400, "slow_down") // the interval is 10 s now, then 15 s
		time.Sleep(15 * time.Second)
		b.wantPoll(code, 400, "authorization_pending")
		want(t, "waiting", strings.Join(b.s.UserCodes(), " "), user)
		want(t, "unknown code", b.s.Approve("XXXXXXXX"), false)
		want(t, "approved", b.s.ApproveAs(strings.ToLower(user[:4])+"-"+user[4:], "Luc Hamelin"), true)
		want(t, "approved once", b.s.Approve(user), false)
		status, _, pair := b.poll(code)
		want(t, "granted", status, http.StatusOK)
		b.access = pair["access_token"].(string)
		want(t, "who", b.get("/me").object(t)["lastName"].(string), "Hamelin")
		b.wantPoll(code, 400, "invalid_request")
		want(t, "logins", b.s.Stats().Logins, 1)
	})
}

func TestDeviceLoginEndings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{DeviceTTL: time.Minute, Contract: sandbox.Dialect{NoInterval: true, NoComplete: true}})
		d := b.start("")
		_, interval := d["interval"]
		_, complete := d["verification_uri_complete"]
		want(t, "left out", interval || complete, false)
		b.s.Deny(d["user_code"].(string))
		b.wantPoll(d["device_code"].(string), 401, "access_denied")
		d = b.start("")
		time.Sleep(time.Minute)
		b.wantPoll(d["device_code"].(string), 400, "expired_token")
		want(t, "too late", b.s.Approve(d["user_code"].(string)), false)
		a := b.do(http.MethodPost, "/oauth2/device-code", "application/json", `{"client_id":"`+sandbox.DefaultClientID+`","scope":"secrets"}`)
		want(t, "scope", a.object(t)["error"].(string), "invalid_scope")
		want(t, "its hint", a.object(t)["hint"].(string), "Check the `secrets` scope")

		auto := connect(t, sandbox.Config{AutoApprove: true})
		status, _, _ := auto.poll(auto.start("")["device_code"].(string))
		want(t, "approved by itself", status, http.StatusOK)
	})
}

func TestDevicePage(t *testing.T) {
	b := connect(t, sandbox.Config{})
	d := b.start("profile")
	user := d["user_code"].(string)
	page := string(b.get("/device?user_code=" + user).body)
	for _, part := range []string{`id="approve"`, `id="deny"`, `value="` + user + `"`, `lang="fr"`} {
		want(t, part, strings.Contains(page, part), true)
	}
	press := func(code, decision string) answer {
		return b.do(http.MethodPost, "/device", "application/x-www-form-urlencoded", url.Values{"user_code": {code}, "decision": {decision}}.Encode())
	}
	want(t, "wrong code", press("BBBBBBBB", "approve").status, http.StatusNotFound)
	want(t, "right code", press(user, "approve").status, http.StatusOK)
	status, _, _ := b.poll(d["device_code"].(string))
	want(t, "granted", status, http.StatusOK)
	refused := b.start("profile")
	press(refused["user_code"].(string), "deny")
	b.wantPoll(refused["device_code"].(string), 401, "access_denied")
	want(t, "escaped", strings.Contains(string(b.get("/device?user_code=%22%3E%3Cscript%3E").body), "<script>"), false)
}

func authorize(pairs ...string) string {
	q := url.Values{"response_type": {"code"}, "client_id": {sandbox.DefaultClientID}, "redirect_uri": {"http://127.0.0.1:4711/callback"},
		"scope": {"profile organization"}, "state": {"s t&=te"}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "/authorize?" + q.Encode()
}

// consent opens the page, presses a button and returns where the browser is sent.
func consent(t *testing.T, b *browser, target, decision string) url.Values {
	t.Helper()
	a := b.get(target)
	if a.status == http.StatusOK {
		m := regexp.MustCompile(`name="ask" value="([0-9a-f]+)"`).FindSubmatch(a.body)
		if m == nil {
			t.Fatalf("no form in %s", a.body)
		}
		form := url.Values{"ask": {string(m[1])}, "decision": {decision}}.Encode()
		a = b.do(http.MethodPost, "/authorize", "application/x-www-form-urlencoded", form)
		again := b.do(http.MethodPost, "/authorize", "application/x-www-form-urlencoded", form)
		want(t, "pressing twice", again.status, http.StatusBadRequest)
	}
	want(t, "status", a.status, http.StatusFound)
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "host", u.Host, "127.0.0.1:4711")
	want(t, "state", u.Query().Get("state"), "s t&=te")
	return u.Query()
}

func TestBrowserLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{})
		exchange := func(code string, more ...string) (int, string) {
			t.Helper()
			a, m := b.token(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", "http://127.0.0.1:4711/callback"}, more...)...)
			e, _ := m["error"].(string)
			return a.status, e
		}
		check := func(what string, status int, e string, wantStatus int, wantError string) {
			t.Helper()
			want(t, what, status, wantStatus)
			want(t, what, e, wantError)
		}
		code := consent(t, b, authorize(), "approve").Get("code")
		status, e := exchange(code, "redirect_uri", "http://127.0.0.1:4712/callback")
		check("other redirect_uri", status, e, 400, "invalid_request")
		status, e = exchange(code)
		check("exchange", status, e, 200, "")
		status, e = exchange(code)
		check("exchange again", status, e, 400, "invalid_grant")

		// RFC 7636, appendix B
		verifier, digest := "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
		pkce := authorize("code_challenge", digest, "code_challenge_method", "S256")
		code = consent(t, b, pkce, "approve").Get("code")
		status, e = exchange(code)
		check("no verifier", status, e, 400, "invalid_request")
		status, e = exchange(code, "code_verifier", digest)
		check("wrong verifier", status, e, 400, "invalid_grant")
		status, e = exchange(code, "code_verifier", verifier)
		check("right verifier", status, e, 200, "")

		code = consent(t, b, authorize(), "approve").Get("code")
		time.Sleep(10 * time.Minute)
		status, e = exchange(code)
		check("too late", status, e, 400, "invalid_grant")

		denied := consent(t, b, authorize(), "deny")
		want(t, "denied", denied.Get("error"), "access_denied")
		want(t, "why", denied.Get("error_description") != "" && denied.Get("hint") != "", true)
		want(t, "scope", consent(t, b, authorize("scope", "secrets"), "").Get("error"), "invalid_scope")
		want(t, "response type", consent(t, b, authorize("response_type", "token"), "").Get("error"), "unsupported_grant_type")
		want(t, "client", b.get(authorize("client_id", "x")).status, http.StatusUnauthorized)
		for _, elsewhere := range []string{"https://evil.example/", "http://localhost:1/callback", "http://127.0.0.1.evil.example/", "", "http://127.0.0.1/#x"} {
			want(t, "redirect to "+elsewhere, b.get(authorize("redirect_uri", elsewhere)).status, http.StatusUnauthorized)
		}
		want(t, "draws on the limit", b.s.Budget() >= 5000-b.s.Stats().Total, true)
	})
}

func TestRegisteredRedirects(t *testing.T) {
	b := connect(t, sandbox.Config{AutoApprove: true, RedirectURIs: []string{"http://127.0.0.1:1/callback", "https://clinic.example/cb"}})
	for redirect, status := range map[string]int{
		"http://127.0.0.1:4711/callback": http.StatusFound, "https://clinic.example/cb": http.StatusFound,
		"http://127.0.0.1:4711/other": http.StatusUnauthorized, "https://clinic.example:444/cb": http.StatusUnauthorized,
		"http://[::1]:4711/callback": http.StatusUnauthorized,
	} {
		want(t, redirect, b.get(authorize("redirect_uri", redirect)).status, status)
	}
}

func TestPagesSpeakEnglishToo(t *testing.T) {
	b := connect(t, sandbox.Config{})
	for accept, lang := range map[string]string{"en-GB,en;q=0.9,fr;q=0.5": "en", "fr-FR,fr;q=0.9,en;q=0.8": "fr", "de": "fr", "": "fr"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example"+authorize(), nil)
		req.Header.Set("Accept-Language", accept)
		res, err := b.s.RoundTripper().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 200)
		n, _ := res.Body.Read(text)
		res.Body.Close()
		want(t, accept, strings.Contains(string(text[:n]), `lang="`+lang+`"`), true)
	}
	want(t, "pages of people are not counted", b.s.Stats().Total, 0)
}
