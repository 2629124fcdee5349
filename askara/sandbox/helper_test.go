package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"askara-sync/askara/sandbox"
)

// browser is the simplest client: it speaks to one server without a socket and fails the test on what must not happen.
type browser struct {
	t      *testing.T
	s      *sandbox.Server
	access string
	accept string
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func connect(t *testing.T, c sandbox.Config) *browser {
	t.Helper()
	s := sandbox.New(c)
	access, _ := s.Login("")
	return &browser{t: t, s: s, access: access, accept: "application/json"}
}

// try sends one request; target is a path with query or an absolute URL.
func (b *browser) try(method, target, contentType, body string) (answer, error) {
	b.t.Helper()
	if !strings.Contains(target, "://") {
		target = "https://api.example" + target
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.HasPrefix(target, "https://api.example") && b.access != "" {
		req.Header.Set("Authorization", "Bearer "+b.access)
	}
	req.Header.Set("Accept", b.accept)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := b.s.RoundTripper().RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, text}, err
}

func (b *browser) do(method, target, contentType, body string) answer {
	b.t.Helper()
	a, err := b.try(method, target, contentType, body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func (b *browser) get(target string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, target, "", "")
}

// token posts a JSON object to the token endpoint, with the application's id and secret.
func (b *browser) token(pairs ...string) (answer, map[string]any) {
	b.t.Helper()
	f := map[string]string{"client_id": sandbox.DefaultClientID, "client_secret": sandbox.DefaultClientSecret}
	for i := 0; i < len(pairs); i += 2 {
		f[pairs[i]] = pairs[i+1]
	}
	body, _ := json.Marshal(f)
	a := b.do(http.MethodPost, "/oauth2/token", "application/json", string(body))
	return a, a.object(b.t)
}

func (b *browser) refresh(token string) (answer, map[string]any) {
	b.t.Helper()
	return b.token("grant_type", "refresh_token", "refresh_token", token)
}

func (b *browser) confirm(uuid, body string) answer {
	b.t.Helper()
	return b.do(http.MethodPatch, "/documents/"+uuid, "application/merge-patch+json", body)
}

const synchronized = `{"synchronizationStatus":"synchronized"}`

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("status %d, no object in %.200q: %v", a.status, a.body, err)
	}
	return m
}

func (a answer) array(t *testing.T) []any {
	t.Helper()
	var list []any
	if err := json.Unmarshal(a.body, &list); err != nil {
		t.Fatalf("status %d, no array in %.200q: %v", a.status, a.body, err)
	}
	return list
}

// uuids of the items that have one.
func uuids(items []any) []string {
	var ids []string
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			if id, ok := m["uuid"].(string); ok && id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// query encodes pairs.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "/documents?" + q.Encode()
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// day is where tests outside a bubble put their documents.
var day = time.Date(2026, time.February, 24, 10, 30, 0, 0, time.UTC)

func isPDF(b []byte) bool {
	return bytes.HasPrefix(b, []byte("%PDF-")) && bytes.HasSuffix(b, []byte("%%EOF\n"))
}
