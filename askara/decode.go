package askara

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxRaw bounds what is kept of a document as it came. Longer ones, with the PDF inside for instance, are written anew from what is
	// known of them.
	maxRaw = 256 << 10
	// maxLink bounds a link. Signed ones run to some 2,000 characters.
	maxLink = 16 << 10
	// maxUUID bounds an identifier that is no UUID in the usual form.
	maxUUID = 64
)

// errNoUUID is why an item of a list is left out.
var errNoUUID = errors.New("the document has no usable uuid")

// DecodeDocument reads a document as a list or a single answer shows it: missing and unknown properties, null, wrong types and
// unreadable dates cost only themselves. The error says that raw is no JSON or has no usable uuid, and repeats nothing of it.
func DecodeDocument(raw []byte, c Contract) (Document, error) {
	if !json.Valid(raw) {
		return Document{}, errors.New("the document is not JSON")
	}
	return c.decode(raw)
}

// decode is DecodeDocument for what is known to be JSON.
func (c Contract) decode(raw []byte) (Document, error) {
	// Both once and for all, so that what is kept in Raw decodes to the same document.
	if !utf8.Valid(raw) {
		raw = bytes.Map(func(r rune) rune { return r }, raw) // byte by byte, as encoding/json does it
	}
	raw = withoutZeros(raw)
	var d Document
	var status []byte
	var iri string
	for key, value := range fields(raw) {
		switch string(key) {
		case "uuid":
			d.UUID = text(value)
		case "@id", "id":
			if s := lastSegment(text(value)); isUUID(s) {
				iri = s
			}
		case "title":
			d.Title = text(value)
		case "type":
			d.Type = text(value)
		case "status":
			status = value
		case "createdAt":
			d.CreatedAt = parseTime(text(value))
		case "updatedAt":
			d.UpdatedAt = parseTime(text(value))
		case "validatedAt":
			d.ValidatedAt = parseTime(text(value))
		case "synchronizationStatus":
			d.SynchronizationStatus = text(value)
		case "synchronizedAt":
			d.SynchronizedAt = parseTime(text(value))
		case "patient":
			d.Patient = decodePatient(value)
		case "user":
			d.User = decodeUser(value)
		case "organization":
			d.Organization = decodeOrganization(value)
		}
	}
	if d.UUID == "" {
		d.UUID = iri // JSON-LD names things by address
	}
	if d.UUID = strings.TrimSpace(d.UUID); !usableUUID(d.UUID) {
		return Document{}, errNoUUID
	}
	if isUUID(d.UUID) {
		d.UUID = strings.ToLower(d.UUID) // the same document, however it is written
	}
	d.Status = text(status)
	d.Ready = c.ready(status, d.Status)
	d.Order = c.order(raw, d)
	d.Link = c.link(raw)
	d.Raw = c.rawOf(raw, d)
	return d, nil
}

// ready says whether a document may be delivered. A status that cannot be read is none that we know.
func (c Contract) ready(raw []byte, status string) bool {
	if isNull(raw) || status == "" && raw[0] == '"' {
		return true
	}
	for _, s := range c.ReadyStatus {
		if strings.EqualFold(s, status) {
			return true
		}
	}
	return false
}

// order returns the date by which lists are walked.
func (c Contract) order(raw []byte, d Document) time.Time {
	switch c.OrderField {
	case "updatedAt":
		return d.UpdatedAt
	case "createdAt":
		return d.CreatedAt
	case "validatedAt":
		return d.ValidatedAt
	case "synchronizedAt":
		return d.SynchronizedAt
	}
	return parseTime(text(lookup(raw, c.OrderField)))
}

// link returns where the document says its PDF is.
func (c Contract) link(raw []byte) string {
	for _, field := range c.LinkFields {
		value := lookup(raw, field)
		if len(value) > 6*maxLink+len(`""`) { // all of it escaped
			continue
		}
		if s, _ := unquote(value); s != "" && len(s) <= maxLink && !strings.HasPrefix(s, "data:") {
			return s
		}
	}
	return ""
}

func decodePatient(raw []byte) Patient {
	p := Patient{UUID: reference(raw)}
	for key, value := range fields(raw) {
		switch string(key) {
		case "uuid":
			p.UUID = text(value)
		case "firstName":
			p.FirstName = text(value)
		case "lastName":
			p.LastName = text(value)
		case "gender":
			p.Gender = text(value)
		case "externalId":
			p.ExternalID = text(value)
		case "dateOfBirth":
			p.DateOfBirth = parseDate(text(value))
		}
	}
	return p
}

func decodeUser(raw []byte) User {
	u := User{UUID: reference(raw)}
	for key, value := range fields(raw) {
		switch string(key) {
		case "uuid":
			u.UUID = text(value)
		case "firstName":
			u.FirstName = text(value)
		case "lastName":
			u.LastName = text(value)
		case "rpps":
			u.RPPS = text(value)
		}
	}
	return u
}

func decodeOrganization(raw []byte) Organization {
	o := Organization{UUID: reference(raw)}
	for key, value := range fields(raw) {
		switch string(key) {
		case "uuid":
			o.UUID = text(value)
		case "name":
			o.Name = text(value)
		}
	}
	return o
}

// reference returns the uuid in an IRI such as /patients/…, which may stand in the place of an object or in its @id; "" where
// there is none.
func reference(raw []byte) string {
	if len(raw) > 0 && raw[0] == '{' {
		raw = lookup(raw, "@id")
	}
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	if s := lastSegment(text(raw)); usableUUID(s) {
		return s
	}
	return ""
}

// lastSegment returns what stands after the last slash of an IRI.
func lastSegment(iri string) string { return iri[strings.LastIndexByte(iri, '/')+1:] }

// usableUUID says whether s can name a document in a path, a file and a table: a UUID, or another identifier of letters,
// digits, - and _.
func usableUUID(s string) bool {
	if s == "" || len(s) > maxUUID {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// isUUID says whether s is a UUID in its usual form of 36 characters.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		b := s[i] | 0x20 // lower case
		switch dash := i == 8 || i == 13 || i == 18 || i == 23; {
		case dash && s[i] != '-':
			return false
		case !dash && (s[i] < '0' || s[i] > '9') && (b < 'a' || b > 'f'):
			return false
		}
	}
	return true
}
