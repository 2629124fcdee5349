package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// RoundTripper reaches the server without a socket, so that it works inside testing/synctest: the host of FilesURL goes to
// Files, every other one to the server. A dropped connection is an error of the transport or, once an answer has begun, of its
// body. A body that is neither read to its end nor closed keeps its goroutine, which synctest then reports.
func (s *Server) RoundTripper() http.RoundTripper { return &transport{s} }

type transport struct{ s *Server }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var h http.Handler = t.s
	if u, err := url.Parse(*t.s.filesURL.Load()); err == nil && u.Host == req.URL.Host {
		h = t.s.Files()
	}
	ctx, cancel := context.WithCancel(req.Context())
	w := &wire{header: http.Header{}, head: make(chan struct{}), method: req.Method, length: -1}
	w.reader, w.writer = io.Pipe()
	go func() {
		defer cancel()
		w.serve(h, serverSide(ctx, req))
	}()
	select {
	case <-w.head:
	case <-req.Context().Done(): // of the client's own context: the derived one ends with the handler
		w.reader.CloseWithError(req.Context().Err())
		cancel()
		return nil, req.Context().Err()
	}
	if w.err != nil {
		cancel()
		return nil, w.err
	}
	res := &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: w.length, Request: req, Body: http.NoBody,
	}
	if w.bodiless() {
		w.reader.Close()
		return res, nil
	}
	stop := context.AfterFunc(req.Context(), func() { w.reader.CloseWithError(req.Context().Err()) })
	res.Body = &wireBody{w.reader, req.Context(), func() { stop(); cancel() }}
	return res, nil
}

// serverSide is req as a server would see it.
func serverSide(ctx context.Context, req *http.Request) *http.Request {
	r := req.Clone(ctx)
	r.RequestURI = req.URL.RequestURI()
	r.RemoteAddr = "127.0.0.1:50000"
	if r.Host == "" {
		r.Host = req.URL.Host
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return r
}

// wire is the http.ResponseWriter at the other end.
type wire struct {
	method string
	header http.Header
	reader *io.PipeReader
	writer *io.PipeWriter

	once   sync.Once
	head   chan struct{} // closed when what follows is set
	status int
	sent   http.Header
	length int64
	err    error

	written int64
}

func (w *wire) Header() http.Header { return w.header }

func (w *wire) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		if w.sent.Get("Date") == "" {
			w.sent.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		if n, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64); err == nil {
			w.length = n
		}
		if status == http.StatusNoContent {
			w.length = 0
		}
		close(w.head)
	})
}

func (w *wire) bodiless() bool {
	return w.method == http.MethodHead || w.length == 0 || w.status == http.StatusNoContent || w.status == http.StatusNotModified
}

func (w *wire) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.bodiless() {
		return len(b), nil
	}
	if w.length >= 0 && w.written+int64(len(b)) > w.length {
		return 0, http.ErrContentLength
	}
	n, err := w.writer.Write(b)
	w.written += int64(n)
	return n, err
}

func (w *wire) Flush() {}

// serve runs the handler and ends the answer.
func (w *wire) serve(h http.Handler, r *http.Request) {
	defer r.Body.Close()
	defer func() {
		p := recover()
		if p == nil {
			if w.length == -1 && w.written == 0 { // as net/http does
				w.header.Set("Content-Length", "0")
			}
			w.WriteHeader(http.StatusOK)
			if r.Context().Err() != nil || !w.bodiless() && w.written < w.length {
				w.writer.CloseWithError(io.ErrUnexpectedEOF) // the handler gave up: this is not the end of the body
				return
			}
			w.writer.Close()
			return
		}
		err, ok := p.(error)
		if !ok || !errors.Is(err, http.ErrAbortHandler) {
			err = fmt.Errorf("sandbox: %v", p)
		} else {
			err = &dropped{}
		}
		w.once.Do(func() { w.err = err; close(w.head) })
		w.writer.CloseWithError(io.ErrUnexpectedEOF)
	}()
	h.ServeHTTP(w, r)
}

// dropped is what a client sees of a connection that ended before an answer.
type dropped struct{}

func (*dropped) Error() string   { return "read: connection reset by peer" }
func (*dropped) Unwrap() error   { return syscall.ECONNRESET }
func (*dropped) Timeout() bool   { return false }
func (*dropped) Temporary() bool { return true }

// wireBody tells the handler when its reader leaves.
type wireBody struct {
	*io.PipeReader
	ctx   context.Context // the request's, as in net/http's own body
	leave func()
}

func (b *wireBody) Read(p []byte) (int, error) {
	n, err := b.PipeReader.Read(p)
	if err != nil {
		b.leave()
		if err != io.EOF && b.ctx.Err() != nil { // the handler may have noticed first, and dropped the connection
			err = b.ctx.Err()
		}
	}
	return n, err
}

func (b *wireBody) Close() error {
	b.leave()
	return b.PipeReader.Close()
}
