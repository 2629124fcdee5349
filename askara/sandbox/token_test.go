package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara/sandbox"
)

func TestRefreshTokensBurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{})
		access, first := b.s.Login("")
		b.access = access
		want(t, "list with a fresh token", b.get("/documents").status, http.StatusOK)

		a, pair := b.refresh(first)
		want(t, "refresh", a.status, http.StatusOK)
		want(t, "expires_in", pair["expires_in"].(float64), 3600.0)
		want(t, "token_type", pair["token_type"].(string), "Bearer")
		second := pair["refresh_token"].(string)
		if second == first || len(second) < 700 || len(second) > 860 {
			t.Errorf("got a refresh token of %d characters, the same: %t", len(second), second == first)
		}
		if n := len(pair["access_token"].(string)); n < 620 || n > 760 {
			t.Errorf("got an access token of %d characters, want about 690", n)
		}

		old := b.get("/documents")
		want(t, "list with the access token that died", old.status, http.StatusUnauthorized)
		want(t, "its error", old.object(t)["error"].(string), "access_denied")
		b.access = pair["access_token"].(string)
		want(t, "list with the new one", b.get("/documents").status, http.StatusOK)

		a, e := b.refresh(first)
		want(t, "reuse", a.status, http.StatusBadRequest)
		want(t, "its error", e["error"].(string), "invalid_grant")
		want(t, "its hint", e["hint"].(string), "Token has been revoked")
		st := b.s.Stats()
		want(t, "reuses", st.Reuses, 1)
		want(t, "reuses of an answered token", st.ReusesAnswered, 1)
		want(t, "refreshes", st.Refreshes, 1)
		want(t, "the successor after a theft", b.s.TokenGood(second), false)
		want(t, "list after a theft", b.get("/documents").status, http.StatusUnauthorized)
	})
}

func TestReuseMayBeForgiven(t *testing.T) {
	b := connect(t, sandbox.Config{Contract: sandbox.Dialect{ReuseForgiven: true, OldErrors: true}})
	_, first := b.s.Login("")
	_, pair := b.refresh(first)
	a, e := b.refresh(first)
	want(t, "reuse with old errors", a.status, http.StatusUnauthorized)
	want(t, "its error", e["error"].(string), "invalid_request")
	want(t, "message", e["message"].(string) != "", true)
	want(t, "the successor", b.s.TokenGood(pair["refresh_token"].(string)), true)
}

func TestTokensAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{})
		access, refresh := b.s.Login("")
		b.access = access
		time.Sleep(time.Hour - time.Second)
		want(t, "list before the hour", b.get("/documents").status, http.StatusOK)
		time.Sleep(time.Second)
		want(t, "list after the hour", b.get("/documents").status, http.StatusUnauthorized)
		time.Sleep(30*24*time.Hour - time.Hour)
		a, e := b.refresh(refresh)
		want(t, "refresh after 30 days", a.status, http.StatusBadRequest)
		want(t, "its hint", e["hint"].(string), "Token has expired")
		want(t, "reuses", b.s.Stats().Reuses, 0)
	})
}

func TestTokenErrors(t *testing.T) {
	const device = "urn:ietf:params:oauth:grant-type:device_code"
	for _, test := range []struct {
		name        string
		contentType string
		body        string
		status      int
		code, hint  string
	}{
		{"form", "application/x-www-form-urlencoded", "grant_type=refresh_token", 400, "invalid_request", ""},
		{"no JSON", "application/json", "grant_type", 400, "invalid_request", ""},
		{"no grant", "application/json", `{}`, 400, "unsupported_grant_type", ""},
		{"other grant", "application/json", `{"grant_type":"password"}`, 400, "unsupported_grant_type", ""},
		{"no client", "application/json", `{"grant_type":"refresh_token"}`, 400, "invalid_request", "Check the `client_id` parameter"},
		{"no secret", "application/json", `{"grant_type":"refresh_token","client_id":"ID"}`, 400, "invalid_request", "Check the `client_secret` parameter"},
		{"wrong secret", "application/json", `{"grant_type":"refresh_token","client_id":"ID","client_secret":"x"}`, 401, "invalid_client", ""},
		{"wrong client", "application/json", `{"grant_type":"refresh_token","client_id":"x","client_secret":"SECRET"}`, 401, "invalid_client", ""},
		{"no token", "application/json", `{"grant_type":"refresh_token",WHO}`, 400, "invalid_request", "Check the `refresh_token` parameter"},
		{"foreign token", "application/json", `{"grant_type":"refresh_token","refresh_token":"x",WHO}`, 400, "invalid_grant", "Cannot decrypt the refresh token"},
		{"no code", "application/json", `{"grant_type":"authorization_code",WHO}`, 400, "invalid_request", "Check the `code` parameter"},
		{"no device code", "application/json", `{"grant_type":"` + device + `",WHO}`, 400, "invalid_request", "Check the `device_code` parameter"},
		{"foreign device code", "application/json", `{"grant_type":"` + device + `","device_code":"x",WHO}`, 400, "invalid_grant", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := connect(t, sandbox.Config{})
			body := strings.NewReplacer("WHO", `"client_id":"ID","client_secret":"SECRET"`).Replace(test.body)
			body = strings.NewReplacer("ID", sandbox.DefaultClientID, "SECRET", sandbox.DefaultClientSecret).Replace(body)
			a := b.do(http.MethodPost, "/oauth2/token", test.contentType, body)
			want(t, "status", a.status, test.status)
			e := a.object(t)
			want(t, "error", e["error"].(string), test.code)
			if test.hint != "" {
				want(t, "hint", e["hint"].(string), test.hint)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	b := connect(t, sandbox.Config{Contract: sandbox.Dialect{PlainDenied: true}})
	good := b.access
	b.access = ""
	a := b.get("/documents")
	want(t, "without a token", a.status, http.StatusUnauthorized)
	want(t, "plain text", strings.HasPrefix(string(a.body), "The resource owner"), true)
	want(t, "unauthorized", b.s.Stats().Unauthorized, 1)
	b.access = good
	b.s.SetDialect(sandbox.Dialect{RequiredScope: "secret"})
	want(t, "without the scope", b.get("/documents").status, http.StatusForbidden)
	b.s.SetDialect(sandbox.Dialect{})
	want(t, "back to normal", b.get("/documents").status, http.StatusOK)
	b.s.ExpireAccess("")
	want(t, "after the server forgot it", b.get("/documents").status, http.StatusUnauthorized)
}

func TestTheLostAnswerOfARefreshIsKnown(t *testing.T) {
	for _, f := range []sandbox.Fault{sandbox.DropAfter, sandbox.ErrorAfter, sandbox.Truncated, sandbox.Garbage} {
		t.Run(f.String(), func(t *testing.T) {
			b := connect(t, sandbox.Config{})
			_, refresh := b.s.Login("")
			b.s.Fail(sandbox.KindToken, 1, f)
			body := `{"grant_type":"refresh_token","client_id":"` + sandbox.DefaultClientID + `","client_secret":"` +
				sandbox.DefaultClientSecret + `","refresh_token":"` + refresh + `"}`
			b.try(http.MethodPost, "/oauth2/token", "application/json", body) // whatever it answers
			want(t, "burned", b.s.TokenGood(refresh), false)
			b.refresh(refresh)
			st := b.s.Stats()
			want(t, "answers lost", st.AnswersLost, 1)
			want(t, "reuses of a lost one", st.ReusesLost, 1)
			want(t, "reuses of an answered one", st.ReusesAnswered, 0)
		})
	}
	for _, f := range []sandbox.Fault{sandbox.DropBefore, sandbox.ErrorBefore, sandbox.Page, sandbox.Spurious} {
		t.Run(f.String(), func(t *testing.T) {
			b := connect(t, sandbox.Config{})
			_, refresh := b.s.Login("")
			b.s.Fail(sandbox.KindToken, 1, f)
			b.try(http.MethodPost, "/oauth2/token", "application/json", `{"grant_type":"refresh_token"}`)
			want(t, "still good", b.s.TokenGood(refresh), true)
			a, _ := b.refresh(refresh)
			want(t, "the next try", a.status, http.StatusOK)
		})
	}
}

// A socket takes an answer though nobody is there any more.
func TestAnAnswerToNobodyIsLost(t *testing.T) {
	s := sandbox.New(sandbox.Config{})
	_, refresh := s.Login("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := `{"grant_type":"refresh_token","client_id":"` + sandbox.DefaultClientID + `","client_secret":"` + sandbox.DefaultClientSecret +
		`","refresh_token":"` + refresh + `"}`
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/oauth2/token", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	s.ServeHTTP(httptest.NewRecorder(), req)
	want(t, "burned", s.TokenGood(refresh), false)
	want(t, "answers lost", s.Stats().AnswersLost, 1)
}
