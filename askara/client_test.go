package askara_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"askara-sync/askara"
)

const (
	uuidA = "0190b5e2-7c1f-7d3a-9a53-2f6f1c0d4e8a"
	uuidB = "0190b5e2-7c1f-7d3a-9a53-2f6f1c0d4e8b"
	// prefix is where test servers mount the API: a path that forgets the base URL fails at once.
	prefix = "/v1"
	pdf    = "%PDF-1.7\nhello\n%%EOF\n"
)

// tokens is a TokenSource whose tokens are token-1, token-2 and so on.
type tokens struct {
	mu      sync.Mutex
	n       int
	renewed int
	err     error
}

func (t *tokens) Token(context.Context) (askara.Secret, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token(), t.err
}

func (t *tokens) token() askara.Secret {
	return askara.Secret("token-" + string(rune('1'+t.n)))
}

func (t *tokens) Renew(_ context.Context, rejected askara.Secret) (askara.Secret, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rejected == t.token() {
		t.n++
	}
	t.renewed++
	return t.token(), t.err
}

// limiter records what it was asked.
type limiter struct {
	mu       sync.Mutex
	taken    []askara.Work
	answered []int
	err      error
}

func (l *limiter) Take(_ context.Context, w askara.Work) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken = append(l.taken, w)
	return l.err
}

func (l *limiter) Answered(status int, _ http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = append(l.answered, status)
}

// serve starts a server that mounts the API under prefix, and returns a client of it.
func serve(t *testing.T, api http.HandlerFunc, change ...func(*askara.Config)) (*askara.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(http.StripPrefix(prefix, api))
	t.Cleanup(server.Close)
	return newClient(t, server.URL+prefix, change...), server
}

func newClient(t *testing.T, base string, change ...func(*askara.Config)) *askara.Client {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	transport := askara.NewTransport(nil)
	t.Cleanup(transport.CloseIdleConnections)
	config := askara.Config{BaseURL: u, Contract: askara.DefaultContract(), Transport: transport, Tokens: &tokens{}}
	for _, f := range change {
		f(&config)
	}
	return askara.NewClient(config)
}

// bubble is a transport that calls a handler directly, for tests in which time is not real.
type bubble struct{ handler http.Handler }

func (b bubble) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.handler.ServeHTTP(recorder, req)
	}()
	select {
	case <-done:
		return recorder.Result(), nil
	case <-req.Context().Done():
		<-done
		return nil, req.Context().Err()
	}
}

func inBubble(handler http.HandlerFunc) func(*askara.Config) {
	return func(c *askara.Config) { c.Transport = bubble{handler} }
}

// wantError checks an error's fault and status, and that it is an *askara.Error about op.
func wantError(t *testing.T, err error, fault askara.Fault, status int) *askara.Error {
	t.Helper()
	e, ok := errors.AsType[*askara.Error](err)
	if !ok {
		t.Fatalf("got error %v of type %T, want an *askara.Error", err, err)
	}
	if askara.FaultOf(err) != fault || e.Status != status {
		t.Fatalf("got fault %d, status %d (%v), want %d, %d", askara.FaultOf(err), e.Status, err, fault, status)
	}
	return e
}

// listURL is the address that a client asks for its first page.
func listURL(t *testing.T, base string, c askara.Contract) *url.URL {
	t.Helper()
	var got *url.URL
	client := newClient(t, base, func(config *askara.Config) { config.Contract = c },
		inBubble(func(w http.ResponseWriter, r *http.Request) { got = r.URL; io.WriteString(w, "[]") }))
	if _, err := client.List(t.Context(), askara.Query{}); err != nil {
		t.Fatalf("contract %+v: %v", c, err)
	}
	return got
}

// confirmBody is what a client sends to tell an outcome.
func confirmBody(t *testing.T, o askara.Outcome) []byte {
	t.Helper()
	var got []byte
	client := newClient(t, "https://api.example/", inBubble(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	if _, err := client.Confirm(t.Context(), uuidA, o); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEveryRequestIsWellFormed(t *testing.T) {
	var seen []string
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path)
		if got := r.Header.Get("Authorization"); got != "Bearer token-1" {
			t.Errorf("got Authorization %q, want the token", got)
		}
		if got := r.Header.Get("User-Agent"); got != "askara-sync" {
			t.Errorf("got User-Agent %q", got)
		}
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("got Accept-Encoding %q, want identity", got)
		}
		switch r.URL.Path {
		case "/documents":
			io.WriteString(w, `[]`)
		case "/documents/" + uuidA + "/pdf":
			io.WriteString(w, pdf)
		default:
			io.WriteString(w, `{"uuid":"`+uuidA+`"}`)
		}
	})
	ctx := t.Context()
	_, e1 := client.Me(ctx)
	_, e2 := client.List(ctx, askara.Query{})
	_, e3 := client.Document(ctx, uuidA)
	content, e4 := client.Download(ctx, askara.Document{UUID: uuidA})
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		t.Fatal(err)
	}
	content.Body.Close()
	if _, err := client.Confirm(ctx, uuidA, askara.Outcome{}); err != nil {
		t.Fatal(err)
	}
	want := "GET /me, GET /documents, GET /documents/" + uuidA + ", GET /documents/" + uuidA + "/pdf, PATCH /documents/" + uuidA
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("got requests\n%s, want\n%s", got, want)
	}
	if got := client.Requests(); got != 5 {
		t.Errorf("got %d requests counted, want 5", got)
	}
}

func TestRejectedTokenIsRenewedOnce(t *testing.T) {
	for _, test := range []struct {
		name      string
		good      string
		wantFault bool
	}{
		{"the new token is good", "Bearer token-2", false},
		{"the new token is rejected too", "none", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := &tokens{}
			limit := &limiter{}
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != test.good {
					w.Header().Set("Content-Type", "text/plain")
					http.Error(w, "Expired JWT Token", http.StatusUnauthorized)
					return
				}
				io.WriteString(w, "[]")
			}, func(c *askara.Config) { c.Tokens, c.Limiter = source, limit })
			_, err := client.List(t.Context(), askara.Query{})
			if test.wantFault {
				if e := wantError(t, err, askara.FaultService, 401); !strings.Contains(e.Hint(), "askara-sync doctor") {
					t.Errorf("got hint %q", e.Hint())
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if source.renewed != 1 || client.Requests() != 2 || len(limit.taken) != 2 {
				t.Errorf("renewed %d times, sent %d, took %d, want 1, 2, 2", source.renewed, client.Requests(), len(limit.taken))
			}
		})
	}
}

func TestConfirmIsRepeatedWithItsBodyAfter401(t *testing.T) {
	var bodies []string
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if len(bodies) == 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	if _, err := client.Confirm(t.Context(), uuidA, askara.Outcome{}); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] || bodies[0] != `{"synchronizationStatus":"synchronized"}` {
		t.Errorf("got bodies %q, want the same twice", bodies)
	}
}

func TestErrorsOfTokensAndLimiterKeepTheirFault(t *testing.T) {
	client, _ := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked without a token") },
		func(c *askara.Config) { c.Tokens = &tokens{err: &askara.Error{Op: "refresh", Kind: askara.FaultLogin}} })
	if _, err := client.List(t.Context(), askara.Query{}); askara.FaultOf(err) != askara.FaultLogin {
		t.Errorf("got %v, want the fault of the token source", err)
	}
	limit := &limiter{err: &askara.Error{Op: "wait", Kind: askara.FaultLimited}}
	client, _ = serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked past the limiter") },
		func(c *askara.Config) { c.Limiter = limit })
	if _, err := client.Confirm(t.Context(), uuidA, askara.Outcome{}); askara.FaultOf(err) != askara.FaultLimited {
		t.Errorf("got %v, want the fault of the limiter", err)
	}
	if len(limit.taken) != 1 {
		t.Errorf("the limiter was asked %d times, want once", len(limit.taken))
	}
}

func TestLimiterIsAskedForEachKindOfWork(t *testing.T) {
	limit := &limiter{}
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/documents" {
			io.WriteString(w, "[]")
			return
		}
		io.WriteString(w, `{}`)
	}, func(c *askara.Config) { c.Limiter = limit })
	ctx := t.Context()
	client.Me(ctx)
	client.List(ctx, askara.Query{})
	client.Download(ctx, askara.Document{UUID: uuidA})
	client.Download(askara.WithWork(ctx, askara.WorkBackfill), askara.Document{UUID: uuidA})
	client.Confirm(ctx, uuidA, askara.Outcome{})
	want := []askara.Work{askara.WorkLogin, askara.WorkList, askara.WorkDownload, askara.WorkBackfill, askara.WorkConfirm}
	if len(limit.taken) != len(want) || len(limit.answered) != len(want) {
		t.Fatalf("took %v, answered %v, want %v", limit.taken, limit.answered, want)
	}
	for i, w := range want {
		if limit.taken[i] != w || limit.answered[i] != 200 {
			t.Errorf("request %d: took %v, answered %d, want %v, 200", i, limit.taken[i], limit.answered[i], w)
		}
	}
}

func TestRequestsAreLoggedWithoutWhatIsPrivate(t *testing.T) {
	var log lockedBuilder
	client, server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/documents":
			io.WriteString(w, `[{"uuid":"`+uuidA+`","title":"Ordonnance Dupont","patient":{"lastName":"Dupont"}}]`)
		case "/file":
			io.WriteString(w, pdf)
		default:
			http.Redirect(w, r, prefix+"/file?signature=s3cret&name=Dupont.pdf", http.StatusFound)
		}
	}, func(c *askara.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	if _, err := client.List(t.Context(), askara.Query{}); err != nil {
		t.Fatal(err)
	}
	content, err := client.Download(t.Context(), askara.Document{UUID: uuidA, Title: "Ordonnance Dupont"})
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, content.Body)
	content.Body.Close()
	server.Close()
	if _, err := client.List(t.Context(), askara.Query{}); err == nil || strings.Contains(err.Error(), "itemsPerPage") {
		t.Errorf("got error %v, want one without the query", err)
	}
	got := log.String()
	for _, want := range []string{"request done", `op="list documents"`, "status=200", "bytes=21", "took=", "document=" + uuidA, "request failed"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log lacks %q:\n%s", want, got)
		}
	}
	for _, private := range []string{"token-", "Bearer", "Dupont", "Ordonnance", "s3cret", "signature", "itemsPerPage", "http://"} {
		if strings.Contains(got, private) {
			t.Errorf("the log holds %q:\n%s", private, got)
		}
	}
}

// lockedBuilder is a strings.Builder that several goroutines may write.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestConnectionsAreReused(t *testing.T) {
	var connections, n atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 5 {
		case 0:
			http.Error(w, strings.Repeat("x", 1000), http.StatusNotFound)
		case 1:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"content":"JVBERi0xLjcK","rest":"`+strings.Repeat("x", 1000)+`"}`)
		case 2:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"nothing":"here"}`)
		case 3:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			io.WriteString(w, pdf)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := newClient(t, server.URL)
	for range 20 {
		content, err := client.Download(t.Context(), askara.Document{UUID: uuidA})
		if err == nil {
			io.Copy(io.Discard, content.Body)
			content.Body.Close()
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d requests one after the other took %d connections, want 1", client.Requests(), got)
	}
}
