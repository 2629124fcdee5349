package askara_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// transportFunc is a transport made of a function.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// respond is an answer with a body.
func respond(r *http.Request, status int, body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: body, ContentLength: -1, Request: r, ProtoMajor: 1, ProtoMinor: 1}
}

func TestRetries(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	list := func(c *askara.Client) error { _, err := c.List(context.Background(), askara.Query{}); return err }
	confirm := func(c *askara.Client) error {
		_, err := c.Confirm(context.Background(), uuidA, askara.Outcome{})
		return err
	}
	for _, test := range []struct {
		name       string
		method     string // of the confirmation
		do         func(*askara.Client) error
		status     int // 0 = the connection breaks
		retryAfter string
		good       int // the attempt that succeeds, 0 = none
		attempts   int
		least      time.Duration
		most       time.Duration
	}{
		{"broken twice", "", list, 0, "", 3, 3, 750 * time.Millisecond, 1500 * time.Millisecond},
		{"broken for good", "", list, 0, "", 0, 3, 750 * time.Millisecond, 1500 * time.Millisecond},
		{"bad gateway", "", list, 502, "", 2, 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"in trouble for good", "", list, 500, "", 0, 3, 750 * time.Millisecond, 1500 * time.Millisecond},
		{"asks for a moment", "", list, 503, "1", 2, 2, time.Second, time.Second},
		{"asks for more than that", "", list, 503, "2", 2, 1, 0, 0},
		{"asks for a day", "", list, 503, "86400", 2, 1, 0, 0},
		{"asks for nonsense", "", list, 503, "-1", 2, 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"no such method there", "", list, 501, "", 2, 1, 0, 0},
		{"limited", "", list, 429, "1", 2, 1, 0, 0},
		{"not found", "", list, 404, "", 2, 1, 0, 0},
		{"confirmation by PATCH", "PATCH", confirm, 503, "", 2, 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"confirmation by PUT", "PUT", confirm, 0, "", 2, 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"confirmation by POST", "POST", confirm, 503, "", 2, 1, 0, 0},
		{"confirmation by POST, broken", "POST", confirm, 0, "", 2, 1, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				limit := &limiter{}
				client := newClient(t, "https://api.example", func(c *askara.Config) {
					c.Limiter = limit
					if test.method != "" {
						c.Contract.ConfirmMethod = test.method
					}
					c.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
						attempts++
						if r.Body != nil {
							if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), "synchronized") {
								t.Errorf("attempt %d has body %q", attempts, body)
							}
						}
						if attempts == test.good {
							return respond(r, 200, io.NopCloser(strings.NewReader("[]"))), nil
						}
						if test.status == 0 {
							return nil, reset
						}
						resp := respond(r, test.status, io.NopCloser(strings.NewReader("")))
						resp.Header.Set("Retry-After", test.retryAfter)
						return resp, nil
					})
				})
				began := time.Now()
				err := test.do(client)
				took := time.Since(began)
				if attempts != test.attempts || took < test.least || took > test.most {
					t.Errorf("got %d attempts in %v, want %d in %v to %v", attempts, took, test.attempts, test.least, test.most)
				}
				if len(limit.taken) != attempts || len(limit.answered) != attempts || limit.answered[0] != test.status {
					t.Errorf("the limiter was asked %d times and told %v for %d attempts", len(limit.taken), limit.answered, attempts)
				}
				if (err == nil) != (test.good == test.attempts) {
					t.Fatalf("got error %v", err)
				}
				if err != nil && test.status == 0 {
					wantError(t, err, askara.FaultService, 0)
					if !errors.Is(err, reset) || strings.Contains(err.Error(), "://") {
						t.Errorf("got %v, want the cause and no address", err)
					}
				}
			})
		})
	}
}

func TestWaitForARetryEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, "https://api.example", func(c *askara.Config) {
			c.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				resp := respond(r, 503, io.NopCloser(strings.NewReader("")))
				resp.Header.Set("Retry-After", "1")
				return resp, nil
			})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := client.List(ctx, askara.Query{})
		if took := time.Since(began); took != 300*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v after %v, want the context's end after 300ms", err, took)
		}
		wantError(t, err, askara.FaultService, 0)
	})
}

func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		client := newClient(t, "https://api.example", func(c *askara.Config) {
			c.Timeout = 7 * time.Second
			c.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				attempts++
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		began := time.Now()
		_, err := client.List(t.Context(), askara.Query{})
		e := wantError(t, err, askara.FaultService, 0)
		if took := time.Since(began); took != 7*time.Second || attempts != 1 || !strings.Contains(e.Error(), "no byte came for 7s") {
			t.Errorf("got %q after %v and %d attempts, want one of 7s", e, took, attempts)
		}
	})
}

// drip is a body that gives a piece every so often.
type drip struct {
	ctx    context.Context
	every  time.Duration
	pieces int // then silence, until the context ends
	whole  bool
}

func (d *drip) Read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err // also where the next piece is there already
	}
	if d.pieces == 0 && d.whole {
		return 0, io.EOF
	}
	wait := d.every
	if d.pieces == 0 {
		wait = 1000 * time.Hour
	}
	select {
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	case <-time.After(wait):
		d.pieces--
		return copy(p, "%PDF-"), nil
	}
}

func (d *drip) Close() error { return nil }

func TestSlowBody(t *testing.T) {
	for _, test := range []struct {
		name  string
		every time.Duration
		whole bool
		want  time.Duration
	}{
		{"slow, but alive", 6 * time.Second, true, 10 * 6 * time.Second},
		{"falls silent", 6 * time.Second, false, 10*6*time.Second + 7*time.Second},
		{"never begins", 8 * time.Second, true, 7 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newClient(t, "https://api.example", func(c *askara.Config) {
					c.Timeout = 7 * time.Second
					c.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
						return respond(r, 200, &drip{ctx: r.Context(), every: test.every, pieces: 10, whole: test.whole}), nil
					})
				})
				began := time.Now()
				got, _, err := download(t, client, askara.Document{})
				if took := time.Since(began); took != test.want {
					t.Errorf("took %v, want %v", took, test.want)
				}
				if test.whole && test.every < 7*time.Second {
					if err != nil || len(got) != 50 {
						t.Errorf("got %d bytes, %v", len(got), err)
					}
					return
				}
				if e := wantError(t, err, askara.FaultService, 200); !strings.Contains(e.Error(), "no byte came for 7s") {
					t.Errorf("got %v", e)
				}
			})
		})
	}
}

// TestSlowReader: a destination that is slow to write does not make the server silent.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, "https://api.example", func(c *askara.Config) {
			c.Timeout = 7 * time.Second
			c.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				return respond(r, 200, &drip{ctx: r.Context(), pieces: 3, whole: true}), nil
			})
		})
		content, err := client.Download(t.Context(), askara.Document{UUID: uuidA})
		if err != nil {
			t.Fatal(err)
		}
		defer content.Body.Close()
		for range 3 {
			time.Sleep(time.Hour) // the bubble's
			if _, err := content.Body.Read(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestCloseDoesNotWaitForASlowRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, "https://api.example", func(c *askara.Config) {
			c.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
				return respond(r, 200, &drip{ctx: r.Context(), every: 20 * time.Second, pieces: 1000}), nil
			})
		})
		content, err := client.Download(t.Context(), askara.Document{UUID: uuidA})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		content.Body.Close()
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v, want at most 1s", took)
		}
		if n, err := content.Body.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d bytes after the end, %v", n, err)
		}
	})
}

func TestNoServer(t *testing.T) {
	for _, test := range []struct {
		err  error
		hint string
	}{
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, "network"},
		{&net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}, "network"},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, "https://api.example", func(c *askara.Config) {
				c.Transport = transportFunc(func(*http.Request) (*http.Response, error) { return nil, test.err })
			})
			_, err := client.List(t.Context(), askara.Query{})
			if e := wantError(t, err, askara.FaultService, 0); !strings.Contains(e.Hint(), test.hint) {
				t.Errorf("%v: got hint %q", err, e.Hint())
			}
		})
	}
}
