package cli

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
)

// wireSandbox makes the flow log in at a sandbox.
func (lt *loginTest) wireSandbox(t *testing.T, base string, rt http.RoundTripper) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	lt.Endpoint = askara.NewTokenEndpoint(askara.TokenConfig{
		BaseURL: u, Contract: askara.DefaultContract(), ClientID: sandbox.DefaultClientID, ClientSecret: sandbox.DefaultClientSecret, Transport: rt,
	})
	lt.Authorize.ClientID, lt.Authorize.Scopes = sandbox.DefaultClientID, []string{"profile", "organization"}
}

// TestDeviceLoginAtSandbox is the device flow as Askara's token software plays it, through a lost poll.
func TestDeviceLoginAtSandbox(t *testing.T) {
	for _, approve := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			srv := sandbox.New(sandbox.Config{Seed: 1})
			lt := newLoginTest(t, "")
			lt.wireSandbox(t, "https://api.example", srv.RoundTripper())
			srv.Fail(sandbox.KindToken, 2, sandbox.DropBefore)
			go func() {
				time.Sleep(30 * time.Second)
				code := srv.UserCodes()[0]
				if approve {
					srv.Approve(grouped(code)) // as it is shown
				} else {
					srv.Deny(strings.ToLower(code))
				}
			}()
			err := lt.run(t.Context())
			if approve && (err != nil || !srv.TokenGood(lt.refresh())) {
				t.Errorf("got %v and a token that is good: %t", err, srv.TokenGood(lt.refresh()))
			}
			if !approve && (exitCode(err) != ExitLogin || lt.refresh() != "") {
				t.Errorf("denied: got %v, exit %d", err, exitCode(err))
			}
		})
	}
}

// TestBrowserLoginAtSandbox opens the page that is shown, with and without PKCE, and follows it to its end.
func TestBrowserLoginAtSandbox(t *testing.T) {
	for _, pkce := range []bool{true, false} {
		srv := sandbox.New(sandbox.Config{Seed: 1, AutoApprove: true})
		h := httptest.NewServer(srv.Handler())
		defer h.Close()
		lt := newLoginTest(t, "")
		lt.wireSandbox(t, h.URL, nil)
		var screen safeBuffer
		lt.Browser, lt.Screen, lt.Authorize.PKCE = true, &screen, pkce
		result := make(chan error, 1)
		go func() { result <- lt.run(t.Context()) }()
		q := lt.shownURL(t, &screen)
		status, page := visit(t, h.URL+"/authorize?"+q.Encode())
		if status != 200 || !strings.Contains(page, "close this window") {
			t.Fatalf("the browser ends on %d %s", status, page)
		}
		if err := <-result; err != nil || !srv.TokenGood(lt.refresh()) {
			t.Errorf("PKCE %t: got %v and a token that is good: %t", pkce, err, srv.TokenGood(lt.refresh()))
		}
	}
}
