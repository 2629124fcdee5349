package askara_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// pairJSON is an answer as Askara documents it.
const pairJSON = `{"token_type":"Bearer","expires_in":3600,"access_token":"eyJ.new","refresh_token":"def5020new"}`

// roundTrip is a transport without a socket.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// says answers every request with status and body.
func says(status int, body string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
}

// tokenEndpoint asks rt in the place of Askara.
func tokenEndpoint(t testing.TB, base string, rt http.RoundTripper) *askara.TokenEndpoint {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return askara.NewTokenEndpoint(askara.TokenConfig{
		BaseURL: u, Contract: askara.DefaultContract(), ClientID: "clinic", ClientSecret: "s3cret", Transport: rt, Timeout: 5 * time.Second,
	})
}

// TestRefreshAnswers sorts every answer of the API's description, and what may come in its place.
func TestRefreshAnswers(t *testing.T) {
	const kept, refused, unknown = askara.FateKept, askara.FateRefused, askara.FateUnknown
	oauth := func(code string) string { return `{"error":"` + code + `","error_description":"old-token","hint":""}` }
	tests := []struct {
		name   string
		status int
		body   string
		fate   askara.Fate
		fault  askara.Fault
	}{
		{"spent", 400, oauth("invalid_grant"), refused, askara.FaultLogin},
		{"spent, older", 401, oauth("invalid_request"), refused, askara.FaultLogin},
		{"secret missing", 400, oauth("invalid_request"), kept, askara.FaultConfiguration},
		{"secret wrong", 401, oauth("invalid_client"), kept, askara.FaultConfiguration},
		{"scope", 400, oauth("invalid_scope"), kept, askara.FaultConfiguration},
		{"grant not enabled", 400, oauth("unsupported_grant_type"), kept, askara.FaultConfiguration},
		{"grant not allowed", 400, oauth("unauthorized_client"), kept, askara.FaultConfiguration},
		{"limited", 429, ``, kept, askara.FaultLimited},
		{"limited, with a code", 429, oauth("invalid_grant"), kept, askara.FaultLimited},
		{"proxy wants a password", 407, `<html>`, kept, askara.FaultConfiguration},
		{"router", 404, `404 page not found`, kept, askara.FaultService},
		{"firewall", 403, `<html>Forbidden</html>`, kept, askara.FaultService},
		{"firewall, JSON", 401, oauth("access_denied"), kept, askara.FaultService},
		{"proxy's 400", 400, `<html>Bad Request</html>`, kept, askara.FaultService},
		{"redirect", 307, ``, kept, askara.FaultService},
		{"request timeout", 408, ``, unknown, askara.FaultService},
		{"server error", 500, oauth("invalid_grant"), unknown, askara.FaultService},
		{"bad gateway", 502, `<html>`, unknown, askara.FaultService},
		{"gateway timeout", 504, ``, unknown, askara.FaultService},
		{"HTML", 200, `<html>Log in to the hotel's network</html>`, unknown, askara.FaultService},
		{"empty", 200, ``, unknown, askara.FaultService},
		{"no content", 204, ``, unknown, askara.FaultService},
		{"huge", 200, `{"access_token":"` + strings.Repeat("a", 1<<20) + `"}`, unknown, askara.FaultService},
		{"huge tokens", 200, `{"access_token":"` + strings.Repeat("a", 20<<10) + `","refresh_token":"r"}`, unknown, askara.FaultService},
		{"array", 200, `[` + pairJSON + `]`, unknown, askara.FaultService},
		{"no refresh token", 200, `{"access_token":"a","expires_in":3600}`, unknown, askara.FaultService},
		{"no access token", 200, `{"refresh_token":"r","expires_in":3600}`, unknown, askara.FaultService},
		{"null token", 200, `{"access_token":"a","refresh_token":null}`, unknown, askara.FaultService},
		{"token with a line end", 200, `{"access_token":"a\r\nX: y","refresh_token":"r"}`, unknown, askara.FaultService},
		{"error with status 200", 200, oauth("invalid_grant"), unknown, askara.FaultService},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tokenEndpoint(t, "https://askara.test/", says(tt.status, tt.body)).Refresh(t.Context(), "old-token")
			if err == nil {
				t.Fatal("no error")
			}
			if fate := askara.FateOf(err); fate != tt.fate || askara.FaultOf(err) != tt.fault {
				t.Errorf("fate %d, fault %d; want %d, %d (%v)", fate, askara.FaultOf(err), tt.fate, tt.fault, err)
			}
			if e, ok := errors.AsType[*askara.Error](err); !ok || e.Status != tt.status {
				t.Errorf("error %v does not say the status %d", err, tt.status)
			}
			if text := err.Error() + askara.HintOf(err); strings.Contains(text, "old-token") || strings.Contains(text, "s3cret") {
				t.Errorf("the error holds a secret: %s", text)
			}
			if tt.fault == askara.FaultConfiguration && askara.HintOf(err) == "" {
				t.Error("a wrong setting without a hint")
			}
			if (got.Access != "") != (tt.name == "no refresh token" || tt.name == "null token") {
				t.Errorf("access token %q beside the error", got.Access.Reveal())
			}
		})
	}
}

// TestLifetimes: what expires_in may be, and what is made of it.
func TestLifetimes(t *testing.T) {
	tests := map[string]time.Duration{
		`3600`: time.Hour, `"3600"`: time.Hour, `3600.0`: time.Hour, `1.5`: 1500 * time.Millisecond, `1`: time.Second,
		`0`: time.Hour, `-5`: time.Hour, `"soon"`: time.Hour, `null`: time.Hour, `true`: time.Hour, `{}`: time.Hour, `1e-9`: time.Hour,
		`"NaN"`: time.Hour, `99999999999`: 24 * time.Hour, `1e300`: 24 * time.Hour, `"Inf"`: 24 * time.Hour,
	}
	for in, want := range tests {
		synctest.Test(t, func(t *testing.T) {
			body := `{"access_token":"a","refresh_token":"r","token_type":"bearer","expires_in":` + in + `}`
			got, err := tokenEndpoint(t, "https://askara.test", says(200, body)).Refresh(t.Context(), "old")
			if err != nil {
				t.Fatalf("%s: %v", in, err)
			}
			if life := got.AccessExpiresAt.Sub(time.Now()); life != want || got.RefreshExpiresAt.Sub(time.Now()) != 30*24*time.Hour {
				t.Errorf("expires_in %s: %v, want %v", in, life, want)
			}
		})
	}
}

// TestGrantRequests: the requests as Askara documents them, under the base URL's prefix.
func TestGrantRequests(t *testing.T) {
	var got map[string]string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/prefix/oauth2/token" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s, %s", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
		got = nil
		_ = json.NewDecoder(r.Body).Decode(&got)
		io.WriteString(w, pairJSON)
	}))
	defer srv.Close()
	e := tokenEndpoint(t, srv.URL+"/prefix", nil)
	check := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		want = append(want, "client_id=clinic", "client_secret=s3cret")
		for _, w := range want {
			k, v, _ := strings.Cut(w, "=")
			if got[k] != v {
				t.Errorf("%s: %s is %q, want %q", what, k, got[k], v)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d fields, want %d", what, len(got), len(want))
		}
	}
	tokens, err := e.Refresh(t.Context(), `def"5020<>`)
	check("refresh", err, "grant_type=refresh_token", `refresh_token=def"5020<>`)
	if tokens.Access != "eyJ.new" || tokens.Refresh != "def5020new" {
		t.Errorf("tokens %q, %q", tokens.Access.Reveal(), tokens.Refresh.Reveal())
	}
	_, err = e.ExchangeCode(t.Context(), "c", "http://127.0.0.1:5/callback", "")
	check("code", err, "grant_type=authorization_code", "code=c", "redirect_uri=http://127.0.0.1:5/callback")
	_, err = e.ExchangeCode(t.Context(), "c", "http://127.0.0.1:5/callback", "v")
	check("code with PKCE", err, "grant_type=authorization_code", "code=c", "redirect_uri=http://127.0.0.1:5/callback", "code_verifier=v")
}

// TestNeverSentTwice: a server that takes a request and closes the connection without a word, just like one that closed an idle
// connection before, sees each token once, whatever the transport would do by itself.
func TestNeverSentTwice(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var mu sync.Mutex
	seen := map[string]int{}
	conns := 0
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns++
			mu.Unlock()
			go func() {
				defer conn.Close()
				br := bufio.NewReader(conn)
				for served := 0; ; served++ {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					var in map[string]string
					_ = json.NewDecoder(req.Body).Decode(&in)
					mu.Lock()
					seen[in["refresh_token"]]++
					mu.Unlock()
					if served > 0 || strings.HasPrefix(in["refresh_token"], "drop") {
						return // an idle connection that is just being closed
					}
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(pairJSON), pairJSON)
				}
			}()
		}
	}()
	shared := &http.Transport{} // with kept-alive connections, as the rest of the client uses it
	e := tokenEndpoint(t, "http://"+ln.Addr().String(), shared)
	for i := range 20 {
		name := fmt.Sprintf("token-%d", i)
		if i%3 == 2 {
			name = fmt.Sprintf("drop-%d", i)
		}
		_, err := e.Refresh(t.Context(), askara.Secret(name))
		if dropped := i%3 == 2; dropped != (err != nil) || dropped && askara.FateOf(err) != askara.FateUnknown {
			t.Errorf("%s: %v, fate %d", name, err, askara.FateOf(err))
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 20 || conns != 20 {
		t.Errorf("%d tokens arrived over %d connections, want 20 and 20", len(seen), conns)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s arrived %d times", name, n)
		}
	}
}

// TestBodyCannotBeRewound: no layer below can read the request's body a second time.
func TestBodyCannotBeRewound(t *testing.T) {
	reached := false
	rt := roundTrip(func(r *http.Request) (*http.Response, error) {
		reached = true
		first, _ := io.ReadAll(r.Body)
		r.Body.Close()
		second, _ := io.ReadAll(r.Body)
		if r.GetBody != nil || !r.Close || int64(len(first)) != r.ContentLength || len(second) != 0 {
			t.Errorf("GetBody set: %t, Close %t, %d bytes of %d, then %d", r.GetBody != nil, r.Close, len(first), r.ContentLength, len(second))
		}
		return says(200, pairJSON)(r)
	})
	if _, err := tokenEndpoint(t, "https://askara.test", rt).Refresh(t.Context(), "old"); err != nil || !reached {
		t.Errorf("reached %t, %v", reached, err)
	}
}

// TestRedirectIsNotFollowed: the token goes to no second address.
func TestRedirectIsNotFollowed(t *testing.T) {
	var second atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		second.Add(1)
		io.WriteString(w, pairJSON)
	}))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.RedirectHandler(other.URL, status))
		_, err := tokenEndpoint(t, srv.URL, nil).Refresh(t.Context(), "old")
		if askara.FateOf(err) != askara.FateKept || err == nil || second.Load() != 0 {
			t.Errorf("%d: %v, followed %d times", status, err, second.Load())
		}
		srv.Close()
	}
}

// TestWhatWasSent tells requests that never left from those that may have arrived, over real sockets.
func TestWhatWasSent(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("a request arrived") }))
	secure.Config.ErrorLog = nil
	defer secure.Close()
	release := make(chan struct{})
	defer close(release)
	handler := func(f http.HandlerFunc) string {
		srv := httptest.NewServer(f)
		t.Cleanup(srv.Close)
		return srv.URL
	}
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, answer)
			conn.Close()
		}
	}
	tests := []struct {
		name, url string
		fate      askara.Fate
	}{
		{"nobody listens", "http://" + closed.Addr().String(), askara.FateKept},
		{"no such host", "http://askara.invalid", askara.FateKept},
		{"unknown certificate", secure.URL, askara.FateKept},
		{"no TLS at all", "https" + strings.TrimPrefix(handler(func(http.ResponseWriter, *http.Request) {}), "http"), askara.FateKept},
		{"dropped", handler(hijack("")), askara.FateUnknown},
		{"dropped in the header", handler(hijack("HTTP/1.1 200 OK\r\nContent-")), askara.FateUnknown},
		{"dropped in the body", handler(hijack("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + pairJSON[:50])), askara.FateUnknown},
		{"not HTTP", handler(hijack("SSH-2.0-OpenSSH\r\n\r\n")), askara.FateUnknown},
		{"silent", handler(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}), askara.FateUnknown},
		{"slow body", handler(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}), askara.FateUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, _ := url.Parse(tt.url)
			e := askara.NewTokenEndpoint(askara.TokenConfig{
				BaseURL: u, Contract: askara.DefaultContract(), Transport: &http.Transport{}, Timeout: 500 * time.Millisecond,
			})
			_, err := e.Refresh(t.Context(), "old")
			if err == nil || askara.FateOf(err) != tt.fate || askara.FaultOf(err) != askara.FaultService {
				t.Errorf("fate %d, fault %d, want %d and the service's (%v)", askara.FateOf(err), askara.FaultOf(err), tt.fate, err)
			}
		})
	}
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := tokenEndpoint(t, secure.URL, nil).Refresh(ctx, "old")
		if askara.FateOf(err) != askara.FateKept || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, fate %d", err, askara.FateOf(err))
		}
	})
	t.Run("a transport that tells nothing", func(t *testing.T) {
		for want, cause := range map[askara.Fate]error{
			askara.FateUnknown: io.ErrUnexpectedEOF, askara.FateKept: &net.OpError{Op: "dial", Err: errors.New("refused")},
		} {
			rt := roundTrip(func(*http.Request) (*http.Response, error) { return nil, cause })
			if _, err := tokenEndpoint(t, "https://askara.test", rt).Refresh(t.Context(), "old"); askara.FateOf(err) != want {
				t.Errorf("%v: fate %d, want %d", cause, askara.FateOf(err), want)
			}
		}
	})
}

// FuzzTokenAnswer: whatever comes back, the error is sorted, bounded and silent about the token, and a pair is usable.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, []byte(pairJSON))
	f.Add(200, []byte(`{"token_type":"mac","expires_in":"-1","access_token":"a","refresh_token":"r"}`))
	f.Add(200, []byte(`{"access_token":"a"}`))
	f.Add(400, []byte(`{"error":"invalid_grant","error_description":"x","hint":"Token has been revoked"}`))
	f.Add(401, []byte(`{"error":"the-old-token"}`))
	f.Add(502, []byte(`<html>`))
	f.Add(200, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 100 + ((status-100)%900+900)%900 // no other has three digits
		got, err := tokenEndpoint(t, "https://askara.test", says(status, string(body))).Refresh(t.Context(), "the-old-token")
		if err != nil {
			e, ok := errors.AsType[*askara.GrantError](err)
			if !ok || e.Fate == 0 || len(err.Error()) > 400 || strings.Contains(err.Error(), "the-old-token") {
				t.Errorf("fate %v, error %q", ok, err)
			}
			if status/100 == 2 && e.Fate != askara.FateUnknown {
				t.Errorf("an unreadable success has fate %d", e.Fate)
			}
			return
		}
		life := got.AccessExpiresAt.Sub(got.ObtainedAt)
		if status/100 != 2 || got.Access == "" || got.Refresh == "" || life <= 0 || life > 24*time.Hour {
			t.Errorf("status %d gave a pair that lives %v", status, life)
		}
		for _, r := range got.Access.Reveal() + got.Refresh.Reveal() {
			if r <= ' ' || r >= 0x7f {
				t.Errorf("a token holds %q", r)
			}
		}
	})
}
