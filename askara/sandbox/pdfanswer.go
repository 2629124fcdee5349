package sandbox

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pdf answers a request for the bytes, or says where they are.
func (s *Server) pdf(x *exchange) {
	if hook := s.config.OnDownload; hook != nil {
		hook(x.uuid)
	}
	here := strings.HasPrefix(x.r.URL.Path, x.c.prefix+"/contents/")
	a := s.archive
	a.mu.Lock()
	d := s.visible(x)
	if d == nil {
		a.mu.Unlock()
		problem(x.w, http.StatusNotFound, "An error occurred", "Not Found")
		return
	}
	d.requests++
	mode := d.mode(x.c)
	link, file, status := s.link(d, x.c), a.file(d), d.PDFStatus
	if status == 0 && d.requests <= x.c.NotReady+d.NotReady {
		status = x.c.NotReadyStatus
	}
	draft := d.Status == "draft"
	a.mu.Unlock()
	if here && mode >= PDFRedirect && mode <= PDFInDocument {
		mode = PDFBytes
	}
	switch {
	case status == http.StatusAccepted:
		x.send(status, "application/json", []byte(`{"status":"processing"}`))
		return
	case status != 0:
		problem(x.w, status, "An error occurred", http.StatusText(status))
		return
	case draft, mode == PDFInDocument:
		problem(x.w, http.StatusNotFound, "An error occurred", "Not Found")
		return
	}
	switch mode {
	case PDFRedirect:
		x.w.Header().Set("Location", link)
		x.send(http.StatusFound, "text/html", nil)
	case PDFLink:
		o := object{b: []byte{'{'}}
		o.text(x.c.LinkKey, link)
		o.raw("expiresIn", "300")
		x.send(http.StatusOK, "application/json", append(o.b, '}'))
	default:
		s.serveFile(x, d, file, mode)
	}
}

// mode is how the document's PDF is answered.
func (d *document) mode(c *contract) PDFMode {
	if d.PDF != PDFBytes {
		return d.PDF
	}
	return c.PDF
}

// link is where the document's bytes are, other than at its PDF path.
func (s *Server) link(d *document, c *contract) string {
	if c.LinkHere {
		return c.prefix + "/contents/" + d.UUID
	}
	return *s.filesURL.Load() + "/" + d.UUID + ".pdf?X-Amz-Expires=300&X-Amz-Signature=" + s.signature(d.UUID)
}

// serveFile writes the bytes, or what mode makes of them.
func (s *Server) serveFile(x *exchange, d *document, f *pdfFile, mode PDFMode) {
	size := int64(f.size())
	w := x.w
	h := w.Header()
	h["Content-Type"] = []string{"application/pdf"}
	switch mode {
	case PDFHTML:
		send(w, http.StatusOK, "text/html; charset=utf-8", []byte(proxyPage))
	case PDFEmpty:
		send(w, http.StatusOK, "application/pdf", nil)
	case PDFTruncated:
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		w.Write(f.bytes()[:size/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case PDFShort:
		send(w, http.StatusOK, "application/pdf", f.bytes()[:size/2])
	case PDFWrongMagic:
		send(w, http.StatusOK, "application/pdf", append([]byte("PK\x03\x04"), f.bytes()[4:]...))
	case PDFEndless:
		block := append(f.bytes(), bytes.Repeat([]byte{' '}, 64<<10)...)
		for x.r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	case PDFBase64:
		o := object{b: []byte{'{'}}
		o.text("filename", d.UUID+".pdf")
		o.text(x.c.ContentKey, base64.StdEncoding.EncodeToString(f.bytes()))
		if send(w, http.StatusOK, "application/json", append(o.b, '}')) == nil {
			s.downloaded(d, size)
		}
	case PDFDrip:
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		if drip(x.r, w, f.bytes()) == nil {
			s.downloaded(d, size)
		}
	default:
		h["Content-Length"] = []string{strconv.FormatInt(size, 10)}
		if _, err := f.WriteTo(w); err == nil {
			s.downloaded(d, size)
		}
	}
}

func (s *Server) downloaded(d *document, size int64) {
	s.tally.downloads.Add(1)
	s.tally.bytes.Add(size)
	s.archive.mu.Lock()
	d.downloads++
	s.archive.mu.Unlock()
}

// drip writes a kilobyte a second.
func drip(r *http.Request, w io.Writer, b []byte) error {
	rc := http.NewResponseController(w.(http.ResponseWriter))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for len(b) > 0 {
		n := min(len(b), 1024)
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		rc.Flush()
		if b = b[n:]; len(b) == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
	return nil
}

// Files is the other host: it serves what redirects and links lead to, and takes no bearer token.
func (s *Server) Files() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange{w: w, r: r, c: s.current.Load(), kind: KindFile}
		n := s.tally.begin(KindFile)
		defer s.tally.end()
		s.run(&x, s.plans.draw(s.faults.Load(), KindFile, n), s.file)
	})
}

func (s *Server) file(x *exchange) {
	if x.r.Header.Get("Authorization") != "" { // as S3 answers two ways of signing at once
		s.tally.foreign.Add(1)
		send(x.w, http.StatusBadRequest, "application/xml", []byte("<Error><Code>InvalidArgument</Code></Error>"))
		return
	}
	x.uuid = strings.TrimSuffix(strings.TrimPrefix(x.r.URL.Path, "/"), ".pdf")
	if x.r.URL.Query().Get("X-Amz-Signature") != s.signature(x.uuid) {
		send(x.w, http.StatusForbidden, "application/xml", []byte("<Error><Code>SignatureDoesNotMatch</Code></Error>"))
		return
	}
	a := s.archive
	a.mu.Lock()
	d := a.by[x.uuid]
	if d == nil {
		a.mu.Unlock()
		send(x.w, http.StatusNotFound, "application/xml", []byte("<Error><Code>NoSuchKey</Code></Error>"))
		return
	}
	mode, f := d.mode(x.c), a.file(d)
	a.mu.Unlock()
	if mode <= PDFInDocument {
		mode = PDFBytes
	}
	s.serveFile(x, d, f, mode)
}
