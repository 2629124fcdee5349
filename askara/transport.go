package askara

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// NewTransport returns a transport tuned for one API host and a few file hosts: connections are kept and shared by all workers,
// HTTP/2 is used where it is offered. roots nil means the system's. Proxies come from the environment.
func NewTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true, // own dialer and TLS settings would switch it off
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32, // more than there are workers, so that no connection is thrown away between two documents
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		ReadBufferSize:         16 << 10,
		DisableCompression:     true, // a PDF gains nothing, and a few bytes must not become gigabytes
	}
}

// call says what a request is for, on its way through the context to the gate.
type call struct {
	op   string
	uuid string
	work Work
}

type callKey struct{}

// gate is what every request passes, repeats and redirects included: it asks the limiter, counts, keeps the bearer token from
// other hosts, bounds the wait for headers and for each piece of the body, and logs.
type gate struct {
	base    http.RoundTripper
	own     *url.URL
	limiter Limiter
	timeout time.Duration
	logger  *slog.Logger
	sent    atomic.Int64
}

// errSilent is why a request was cut off.
var errSilent = errors.New("silent for too long")

// notSentError is a request that the limiter did not let through.
type notSentError struct{ err error }

func (e *notSentError) Error() string { return e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }

// RoundTrip implements http.RoundTripper. It deliberately has no CloseIdleConnections, which retryablehttp would call after each
// failed request to the cost of all the others.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	about, _ := req.Context().Value(callKey{}).(call)
	own := sameOrigin(req.URL, g.own)
	if own {
		if err := g.take(req.Context(), about.work); err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, &notSentError{err}
		}
		g.sent.Add(1)
	}
	began := time.Now()
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(g.timeout, func() { cancel(errSilent) })
	out := req.WithContext(ctx)
	if !own {
		// net/http drops the token only when the host's name changes: not for another port, a subdomain, or http in the place of https.
		// The address that sent us names a document.
		out.Header = out.Header.Clone()
		out.Header.Del("Authorization")
		out.Header.Del("Referer")
	}
	resp, err := g.base.RoundTrip(out)
	timer.Stop()
	if own && g.limiter != nil {
		if err != nil {
			g.limiter.Answered(0, nil)
		} else {
			g.limiter.Answered(resp.StatusCode, resp.Header)
		}
	}
	if err != nil {
		err = g.explain(ctx, err)
		cancel(nil)
		g.logger.DebugContext(req.Context(), "request failed", "op", about.op, "document", about.uuid, "took", time.Since(began))
		return nil, err
	}
	resp.Request = req
	resp.Body = &answer{ReadCloser: resp.Body, gate: g, ctx: ctx, cancel: cancel, timer: timer,
		about: about, status: resp.StatusCode, length: resp.ContentLength, began: began}
	return resp, nil
}

func (g *gate) take(ctx context.Context, w Work) error {
	if g.limiter == nil {
		return nil
	}
	wait, cancel := Waiting(ctx)
	defer cancel()
	return g.limiter.Take(wait, w)
}

// explain gives an error of a request that we cut off ourselves its true reason.
func (g *gate) explain(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return fmt.Errorf("no byte came for %s: %w", g.timeout, errSilent)
	}
	return err
}

// answer is a body on its way. It gives up when no byte comes for the timeout while somebody is waiting for one; how long the
// whole takes does not matter.
type answer struct {
	io.ReadCloser
	gate   *gate
	ctx    context.Context // the request's own, which ends with the body
	cancel context.CancelCauseFunc
	timer  *time.Timer
	about  call
	status int
	length int64 // announced, -1 where unknown
	read   int64
	began  time.Time
	ended  bool // by EOF or an error
	closed bool
}

// Read implements io.Reader.
func (a *answer) Read(p []byte) (int, error) {
	a.timer.Reset(a.gate.timeout)
	n, err := a.ReadCloser.Read(p)
	a.timer.Stop()
	a.read += int64(n)
	if err != nil {
		a.ended = true
		if err != io.EOF {
			err = a.gate.explain(a.ctx, err)
		}
	}
	return n, err
}

const (
	// maxDrain is how much of an unread body is worth reading to save a connection.
	maxDrain = 32 << 10
	// drainTime bounds the wait for it.
	drainTime = time.Second
)

// Close implements io.Closer. A short rest is read first, since only a body read to its end leaves its connection usable.
func (a *answer) Close() error {
	if a.closed {
		return nil
	}
	a.closed = true
	if !a.ended && a.length-a.read <= maxDrain {
		a.timer.Reset(drainTime)
		n, _ := io.Copy(io.Discard, io.LimitReader(a.ReadCloser, maxDrain+1))
		a.read += n
	}
	a.timer.Stop()
	err := a.ReadCloser.Close()
	a.cancel(nil)
	if a.gate.logger.Enabled(a.ctx, slog.LevelDebug) {
		a.gate.logger.DebugContext(a.ctx, "request done", "op", a.about.op, "document", a.about.uuid, "status", a.status,
			"bytes", a.read, "took", time.Since(a.began))
	}
	return err
}

// sameOrigin says whether two URLs have scheme, host and port in common: the API's own host is nothing else.
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if strings.EqualFold(u.Scheme, "https") {
		return "443"
	}
	return "80"
}
