package sandbox

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"time"
)

// confirm answers what a client tells of a document.
func (s *Server) confirm(x *exchange) {
	if got, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || got != x.c.ConfirmContentType {
		problem(x.w, http.StatusUnsupportedMediaType, "An error occurred", "The content-type is not supported.")
		return
	}
	failed, reason, ok := readConfirm(x)
	if !ok {
		return
	}
	s.archive.mu.Lock()
	d := s.visible(x)
	refusal := http.StatusNotFound
	if d != nil {
		refusal = d.ConfirmStatus
		if refusal == 0 && d.Status == "draft" {
			refusal = http.StatusConflict
		}
		if refusal != 0 {
			d.refused++
		}
	}
	s.archive.mu.Unlock()
	if refusal != 0 {
		problem(x.w, refusal, "An error occurred", http.StatusText(refusal))
		return
	}
	if hook := s.config.OnConfirm; hook != nil {
		hook(x.uuid, failed)
	}
	shape, _ := x.shape()
	b := s.recordConfirm(x, d, shape, failed, reason)
	switch x.c.ConfirmAnswer {
	case ConfirmEmpty:
		x.w.WriteHeader(http.StatusNoContent)
	case ConfirmHTML:
		x.send(http.StatusOK, "text/html; charset=utf-8", []byte("<html><body>OK</body></html>"))
	case ConfirmBroken:
		x.send(http.StatusOK, shape.contentType(), b[:len(b)/2])
	default:
		x.send(http.StatusOK, shape.contentType(), b)
	}
}

// recordConfirm keeps a valid confirmation and returns the document as it is afterwards.
func (s *Server) recordConfirm(x *exchange, d *document, shape Shape, failed bool, reason string) []byte {
	now := s.now()
	a := s.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seq++
	d.confirms = append(d.confirms, Confirm{Seq: a.seq, At: time.Now(), Failed: failed, Reason: reason, Downloads: d.downloads})
	d.SynchronizationError, d.SynchronizationStatus = reason, x.c.Done
	if x.c.Done == "-" {
		d.SynchronizationStatus = "synchronized"
	}
	if failed {
		d.SynchronizationStatus = x.c.Failed
		s.tally.failed.Add(1)
	} else {
		d.SynchronizedAt = now
		s.tally.confirmed.Add(1)
		if d.downloads == 0 {
			s.tally.early.Add(1)
		}
	}
	if !x.c.Still && a.by[d.UUID] == d {
		a.move(d, now)
	}
	return d.append(make([]byte, 0, 1024), x.c, shape, s)
}

// readConfirm reads the body; where it cannot, it answers and returns false.
func readConfirm(x *exchange) (failed bool, reason string, ok bool) {
	body, err := io.ReadAll(io.LimitReader(x.r.Body, 64<<10))
	var fields map[string]any
	if err != nil || len(body) > 0 && json.Unmarshal(body, &fields) != nil {
		problem(x.w, http.StatusBadRequest, "An error occurred", "Syntax error")
		return false, "", false
	}
	reason, _ = fields[x.c.ErrorField].(string)
	switch status, _ := fields[x.c.StatusField].(string); {
	case status == x.c.Done:
		return false, "", true
	case status == x.c.Failed:
		return true, reason, true
	case x.c.Done == "-" && status == "":
		return reason != "", reason, true
	}
	o := object{b: []byte(`{"status":422,"violations":[{`)}
	o.text("propertyPath", x.c.StatusField)
	o.text("message", "The value you selected is not a valid choice.")
	o.text("code", "8e179f1b-97aa-4560-a02f-2a8b42e49df7")
	o.b = append(o.b, `}]`...)
	o.text("title", "An error occurred")
	o.text("detail", x.c.StatusField+": The value you selected is not a valid choice.")
	o.text("type", "/validation_errors/8e179f1b-97aa-4560-a02f-2a8b42e49df7")
	send(x.w, http.StatusUnprocessableEntity, "application/problem+json; charset=utf-8", append(o.b, '}'))
	return false, "", false
}
