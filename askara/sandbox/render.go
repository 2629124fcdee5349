package sandbox

import (
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

// object writes the members of a JSON object.
type object struct {
	b     []byte
	nulls bool
	some  bool
}

func (o *object) name(name string) {
	if o.some {
		o.b = append(o.b, ',')
	}
	o.some = true
	o.b = append(appendString(o.b, name), ':')
}

// text writes a member, or leaves it out (or null) where it is "".
func (o *object) text(name, value string) {
	if value == "" {
		o.null(name)
		return
	}
	o.name(name)
	o.b = appendString(o.b, value)
}

func (o *object) null(name string) {
	if o.nulls {
		o.name(name)
		o.b = append(o.b, "null"...)
	}
}

func (o *object) raw(name, value string) {
	o.name(name)
	o.b = append(o.b, value...)
}

func (o *object) date(name string, t time.Time, style DateStyle) {
	if t.IsZero() {
		o.null(name)
		return
	}
	o.name(name)
	o.b = append(t.UTC().AppendFormat(append(o.b, '"'), style.layout()), '"')
	if style == DatesParis {
		o.b = append(t.In(time.FixedZone("", 2*60*60)).AppendFormat(o.b[:len(o.b)-len("2026-02-24T10:30:00+00:00")-1],
			"2006-01-02T15:04:05-07:00"), '"')
	}
}

func (s DateStyle) layout() string {
	switch s {
	case DatesZulu:
		return "2006-01-02T15:04:05Z"
	case DatesMillis:
		return "2006-01-02T15:04:05.000Z"
	case DatesMicros:
		return "2006-01-02T15:04:05.000000-07:00"
	case DatesGarbage:
		return "le 2/1 à 15h"
	}
	return "2006-01-02T15:04:05-07:00"
}

// append writes the document as the dialect shows it.
func (d *document) append(b []byte, c *contract, shape Shape, s *Server) []byte {
	o := object{b: append(b, '{'), nulls: c.Nulls}
	if shape != ShapeArray {
		o.text("@id", "/documents/"+d.UUID)
		o.text("@type", "Document")
	}
	o.text("uuid", d.UUID)
	o.text(c.Title, d.Title)
	o.text("type", d.Type)
	if !c.NoStatus {
		o.text("status", d.Status)
	}
	if !c.NoDates && !d.NoDates {
		o.date("createdAt", d.CreatedAt, c.Dates)
		o.date(c.OrderField, d.UpdatedAt, c.Dates)
		o.date("validatedAt", d.ValidatedAt, c.Dates)
		o.date("synchronizedAt", d.SynchronizedAt, c.Dates)
	}
	if c.StatusField != "status" {
		o.text(c.StatusField, d.SynchronizationStatus)
	}
	o.text(c.ErrorField, d.SynchronizationError)
	d.people(&o, c)
	o.name("organization")
	org := object{b: append(o.b, '{'), nulls: c.Nulls}
	org.text("uuid", d.Organization.UUID)
	org.text("name", d.Organization.Name)
	o.b = append(org.b, '}')
	if c.PDF == PDFInDocument && d.PDF == PDFBytes || d.PDF == PDFInDocument {
		o.text(c.LinkKey, s.link(d, c))
	}
	if c.UnknownKeys {
		o.raw("language", `"fr"`)
		o.raw("tags", `["a",{"b":[1,2.5e3,null]}]`)
		o.raw("pages", `1`)
		o.raw("__v", `{"deep":{"deeper":{"uuid":"not-this-one","status":"draft"}}}`)
		o.raw("UUID", `"nor-this"`)
	}
	return append(o.b, '}')
}

// people writes patient and user.
func (d *document) people(o *object, c *contract) {
	switch c.Patient {
	case PatientAbsent:
		o.null("patient")
		o.null("user")
		return
	case PatientIRI:
		o.text("patient", "/patients/"+d.Patient.UUID)
		o.text("user", "/users/"+d.User.UUID)
		return
	}
	if d.NoPatient {
		o.null("patient")
	} else {
		o.name("patient")
		p := object{b: append(o.b, '{'), nulls: o.nulls}
		p.text("uuid", d.Patient.UUID)
		p.text("firstName", d.Patient.FirstName)
		p.text("lastName", d.Patient.LastName)
		if !d.Patient.DateOfBirth.IsZero() {
			p.text("dateOfBirth", d.Patient.DateOfBirth.Format("2006-01-02T15:04:05-07:00"))
		}
		p.text("gender", d.Patient.Gender)
		p.text("externalId", d.Patient.ExternalID)
		o.b = append(p.b, '}')
	}
	if d.NoUser {
		o.null("user")
		return
	}
	o.name("user")
	u := object{b: append(o.b, '{'), nulls: o.nulls}
	u.text("uuid", d.User.UUID)
	u.text("firstName", d.User.FirstName)
	u.text("lastName", d.User.LastName)
	u.text("rpps", d.User.RPPS)
	o.b = append(u.b, '}')
}

// appendString writes a JSON string. Titles may hold anything, even bytes that are no UTF-8, which become U+FFFD.
func appendString(b []byte, s string) []byte {
	valid := utf8.ValidString(s)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == 0x7f || c >= 0x80 && !valid {
			quoted, _ := json.Marshal(s) // a string always can
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// document answers GET /documents/{uuid}.
func (s *Server) document(x *exchange) {
	shape, ok := x.shape()
	if !ok {
		problem(x.w, http.StatusNotAcceptable, "An error occurred", "Requested format is not supported.")
		return
	}
	x.allowHeaders()
	s.archive.mu.Lock()
	d := s.visible(x)
	if d == nil {
		s.archive.mu.Unlock()
		problem(x.w, http.StatusNotFound, "An error occurred", "Not Found")
		return
	}
	b := d.append(make([]byte, 0, 1024), x.c, shape, s)
	s.archive.mu.Unlock()
	x.send(http.StatusOK, shape.contentType(), b)
}

// visible returns the document of the path if the login may see it. The caller holds archive.mu.
func (s *Server) visible(x *exchange) *document {
	d := s.archive.by[x.uuid]
	if d == nil || d.Person != s.person(x) {
		return nil
	}
	return d
}

// person is whose login the request carries.
func (s *Server) person(x *exchange) string { return x.login.person }
