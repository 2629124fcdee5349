package askara_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"askara-sync/askara"
)

func TestLookChangesNothing(t *testing.T) {
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, "other "+r.Header.Get("Authorization"))
	}))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path)
		switch r.URL.Path {
		case "/v1/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/v1/documents/7":
			w.Header().Set("Allow", "GET, PATCH")
			w.WriteHeader(http.StatusTeapot)
			w.Write([]byte(strings.Repeat("x", 100)))
		}
	}))
	defer server.Close()
	base, err := url.Parse(server.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	c := askara.NewClient(askara.Config{BaseURL: base, Contract: askara.DefaultContract(), Tokens: &tokens{}})

	for _, method := range []string{"PATCH", "POST", "PUT", "DELETE", ""} {
		if _, err := c.Look(t.Context(), askara.Look{Method: method, Path: "/documents"}); err == nil {
			t.Errorf("%q was sent", method)
		}
	}
	for _, path := range []string{"//other.example/x", "https://other.example/", "/../x", "/{uuid}/{uuid}", ""} {
		if _, err := c.Look(t.Context(), askara.Look{Method: http.MethodGet, Path: path, UUID: "7"}); err == nil {
			t.Errorf("%q was asked", path)
		}
	}
	if _, err := c.Look(t.Context(), askara.Look{Method: http.MethodGet, Path: "/documents/{uuid}", UUID: "../me"}); err == nil {
		t.Error("an unusable uuid was asked for")
	}
	if len(seen) > 0 {
		t.Fatalf("requests: %q", seen)
	}
	s, err := c.Look(t.Context(), askara.Look{Method: http.MethodGet, Path: "/documents/{uuid}", UUID: "7", Max: 10})
	if err != nil || s.Status != http.StatusTeapot || len(s.Body) != 10 || !s.Cut || s.Header.Get("Allow") != "GET, PATCH" {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err = c.Look(t.Context(), askara.Look{Method: http.MethodOptions, Path: "/away"}); err != nil || s.Status != http.StatusFound {
		t.Errorf("a redirect away: got %+v, %v", s, err)
	}
	if s, err = c.Look(t.Context(), askara.Look{Method: http.MethodGet, Path: "/away"}); err != nil || s.Status != http.StatusFound {
		t.Errorf("a redirect away: got %+v, %v", s, err)
	}
	if want := []string{"GET /v1/documents/7", "OPTIONS /v1/away", "GET /v1/away"}; strings.Join(seen, ",") != strings.Join(want, ",") {
		t.Errorf("requests: got %q, want %q", seen, want)
	}
}
