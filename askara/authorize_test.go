package askara_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	"askara-sync/askara"
)

func authorize(t testing.TB, pkce bool) (askara.Callback, url.Values) {
	t.Helper()
	page, err := url.Parse("https://app.askara.ai/authorize?lang=fr")
	if err != nil {
		t.Fatal(err)
	}
	cb := askara.AuthorizeURL(askara.AuthorizeConfig{
		Page: page, ClientID: "clinic", RedirectURI: "http://127.0.0.1:4711/callback", Scopes: []string{"profile", "organization"}, PKCE: pkce,
	})
	u, err := url.Parse(cb.URL)
	if err != nil {
		t.Fatal(err)
	}
	return cb, u.Query()
}

// TestAuthorizeURL has what Askara documents, and a challenge where PKCE is on.
func TestAuthorizeURL(t *testing.T) {
	for _, pkce := range []bool{false, true} {
		cb, q := authorize(t, pkce)
		if !strings.HasPrefix(cb.URL, "https://app.askara.ai/authorize?") || !strings.Contains(cb.URL, "scope=profile%20organization") {
			t.Errorf("URL %s", cb.URL)
		}
		want := map[string]string{
			"response_type": "code", "client_id": "clinic", "redirect_uri": "http://127.0.0.1:4711/callback", "scope": "profile organization", "lang": "fr",
		}
		for k, v := range want {
			if q.Get(k) != v {
				t.Errorf("%s is %q, want %q", k, q.Get(k), v)
			}
		}
		if len(q.Get("state")) < 20 {
			t.Errorf("state %q can be guessed", q.Get("state"))
		}
		sum := sha256.Sum256([]byte(cb.Verifier.Reveal()))
		if pkce && (q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("code_challenge_method") != "S256" || len(cb.Verifier) < 43) {
			t.Errorf("challenge %q of a verifier of %d characters", q.Get("code_challenge"), len(cb.Verifier))
		}
		if !pkce && (q.Has("code_challenge") || cb.Verifier != "") {
			t.Error("a challenge without PKCE")
		}
	}
	_, a := authorize(t, false)
	if _, b := authorize(t, false); a.Get("state") == b.Get("state") {
		t.Error("two logins have the same state")
	}
}

// TestCallback reads the address that the browser was sent back to, as a listener or a person gives it.
func TestCallback(t *testing.T) {
	cb, q := authorize(t, false)
	state := q.Get("state")
	for _, in := range []string{
		"http://127.0.0.1:4711/callback?code=the-code&state=" + state,
		"/callback?state=" + state + "&code=the-code",
		"code=the-code&state=" + state,
		"  <http://127.0.0.1/callback?code=the-code&state=" + state + "#_=_>\r\n",
	} {
		if got, err := cb.Code(in); err != nil || got != "the-code" {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	foreign := []string{
		"http://127.0.0.1/callback?code=the-code", "?code=the-code&state=", "?code=the-code&state=wrong", "?code=c&state=" + state[1:],
		"?error=access_denied&state=wrong", "?code=c&state=" + state + "&state=" + state, "hello", "?code=c&state=" + strings.ToLower(state),
	}
	for _, in := range foreign {
		if _, err := cb.Code(in); !errors.Is(err, askara.ErrForeignCallback) {
			t.Errorf("%q: %v, want a foreign address", in, err)
		}
	}
	if _, err := (askara.Callback{}).Code("?code=c&state="); !errors.Is(err, askara.ErrForeignCallback) {
		t.Errorf("an empty state is accepted: %v", err)
	}
	for _, in := range []string{"", "?state=" + state, "?code=&state=" + state, "?code=a&code=b&state=" + state, "?code=a%0Ab&state=" + state,
		"?code=" + strings.Repeat("c", 5000) + "&state=" + state, "?%zz&state=" + state} {
		if _, err := cb.Code(in); err == nil || errors.Is(err, askara.ErrForeignCallback) {
			t.Errorf("%.80q: %v, want another error", in, err)
		}
	}
	var ended *askara.NoLoginError
	if _, err := cb.Code("?error=access_denied&error_description=x&hint=y&state=" + state); !errors.As(err, &ended) {
		t.Errorf("denied: %v", err)
	}
	if _, err := cb.Code("?error=invalid_scope&state=" + state); askara.FaultOf(err) != askara.FaultConfiguration || !strings.Contains(askara.HintOf(err), "api.scopes") {
		t.Errorf("scope: %v, hint %q", err, askara.HintOf(err))
	}
}

// FuzzCallback: only the right state brings a code, and no error repeats what it was given.
func FuzzCallback(f *testing.F) {
	cb, q := authorize(f, true)
	f.Add("http://127.0.0.1:4711/callback?code=c&state=STATE")
	f.Add("?error=%1b[2J&state=STATE")
	f.Add("?code=c&state=wrong")
	f.Add("?code=c;state=STATE")
	f.Fuzz(func(t *testing.T, in string) {
		in = strings.ReplaceAll(in, "STATE", q.Get("state"))
		code, err := cb.Code(in)
		if err == nil && (code == "" || !strings.Contains(in, q.Get("state"))) {
			t.Errorf("%q gave %q", in, code)
		}
		if err != nil && (len(err.Error()) > 200 || strings.ContainsRune(err.Error(), 0x1b)) {
			t.Errorf("%q gave the error %q", in, err)
		}
	})
}
