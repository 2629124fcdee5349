package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"time"

	"askara-sync/askara"
)

const (
	// maxName is what every file system in use takes for one name, in bytes. Windows counts 255 UTF-16 units, which is never less.
	maxName = 255
	// spare is kept free of every name: " (99)" for names that are taken, and ".json" in place of ".pdf".
	spare = len(" (99)") + len(".json")
	// maxTemplate bounds the template's text and maxOutput what it may write, in bytes.
	maxTemplate, maxOutput = 2 << 10, 8 << 10
)

// Name makes file names from a template. It is safe for concurrent use.
type Name struct {
	tmpl *template.Template
	// revision, uuid and identity say that the template itself shows the revision, the document's uuid, that or its short identifier.
	revision, uuid, identity bool
}

// nameFields is what a template may show. Its field names are part of the configuration's format.
type nameFields struct {
	Date         nameDate
	Title, Type  string
	Patient      namePatient
	User         nameUser
	Organization nameOrganization
	UUID         string
	ShortID      string
	Revision     int
	Account      string
}

type namePatient struct {
	UUID, FirstName, LastName, Gender, ExternalID string
	DateOfBirth                                   nameDate
}

type nameUser struct{ UUID, FirstName, LastName, RPPS string }

type nameOrganization struct{ UUID, Name string }

// nameDate is a date of which nothing is written where it is unknown.
type nameDate struct{ t time.Time }

// Format writes the date in a layout of Go's package time.
func (d nameDate) Format(layout string) string {
	if d.t.IsZero() {
		return ""
	}
	return bounded(d.t.Format(layout))
}

// String writes the date as 2006-01-02.
func (d nameDate) String() string { return d.Format(time.DateOnly) }

// ParseName reads a template and tries it on documents without any field, with ordinary and with hostile ones.
func ParseName(text string) (*Name, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("it is empty")
	}
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("it is longer than %d bytes", maxTemplate)
	}
	tmpl, err := template.New("name").Option("missingkey=error").Funcs(nameFuncs()).Parse(text)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "template: name:"))
	}
	n := &Name{tmpl: tmpl}
	if err := n.inspect(); err != nil {
		return nil, err
	}
	for _, d := range nameSamples() {
		if _, err := n.execute(d, time.UTC, maxName); err != nil && !errors.Is(err, errOutput) {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "template: name:"))
		}
	}
	return n, nil
}

// Of returns the name of a delivery's file. It is never empty, ends in ".pdf", has at most 255 bytes with room left for a
// counter and for ".json", and is usable on Linux and on Windows whatever the document says. Dates are shown in loc.
func (n *Name) Of(d askara.Delivery, loc *time.Location) string { return n.of(d, loc, maxName, false) }

// of is Of for names of at most limit bytes. With identified, the name holds the document's short identifier even where the
// template does not show it.
func (n *Name) of(d askara.Delivery, loc *time.Location, limit int, identified bool) string {
	id, suffix := ShortID(d.UUID), ""
	if d.Revision > 1 && !n.revision {
		suffix = "_r" + strconv.Itoa(d.Revision)
	}
	// A file system with names so short that nothing fits is not worth more than a name that it will refuse.
	budget := max(limit-spare-len(suffix), len("document_")+len(id))
	stem := ""
	// Long fields are shortened, each the same, so that what follows them in the name is kept.
	for _, field := range []int{maxName, 160, 120, 90, 70, 50, 35, 24, 16, 8} {
		out, err := n.execute(d, loc, field)
		if errors.Is(err, errOutput) {
			continue
		}
		if err != nil {
			break
		}
		if stem = clean(strings.TrimSpace(out)); len(stem) <= budget {
			break
		}
	}
	stem = trimEnds(cut(stem, budget))
	if stem == "" {
		stem = "document_" + id
	}
	if reserved(stem + suffix) {
		stem = trimEnds(cut("document_"+stem, budget))
	}
	// A template without the uuid may show the same by chance, where that is short.
	shown := strings.Contains(stem, id) || n.uuid && !identified && strings.Contains(stem, d.UUID)
	if (n.identity || identified) && !shown {
		stem = trimEnds(cut(stem, budget-len(id)-1)) + "_" + id
	}
	return stem + suffix + ".pdf"
}

// plainName is a name made of nothing that came from outside, for file systems that refuse the proper one.
func plainName(d askara.Delivery) string {
	return "document_" + ShortID(d.UUID) + "_r" + strconv.Itoa(max(d.Revision, 1)) + ".pdf"
}

// identifies says that the name holds the document's short identifier.
func identifies(name, uuid string) bool { return strings.Contains(name, ShortID(uuid)) }

// ShortID returns eight hexadecimal digits that tell documents apart: the first eight of a uuid, the last eight where the first
// are a clock (version 7), and of the SHA-256 of anything else.
func ShortID(uuid string) string {
	bare := strings.ToLower(strings.ReplaceAll(uuid, "-", ""))
	if _, err := hex.DecodeString(bare); err == nil && len(bare) == 32 {
		switch bare[12] {
		case '7':
			return bare[24:]
		case '6': // a clock at the front, a machine at the end
		default:
			return bare[:8]
		}
	}
	sum := sha256.Sum256([]byte(uuid))
	return hex.EncodeToString(sum[:4])
}

// execute runs the template on a delivery whose fields are shortened to the given number of bytes.
func (n *Name) execute(d askara.Delivery, loc *time.Location, field int) (string, error) {
	doc := d.Document
	short := func(s string) string { return cut(field1(s), field) }
	uuid := d.UUID
	if len(uuid) > 64 {
		uuid = uuid[:64]
	}
	fields := nameFields{
		Date:  nameDate{dateOf(d, loc)},
		Title: short(doc.Title),
		Type:  short(doc.Type),
		Patient: namePatient{
			UUID: short(doc.Patient.UUID), FirstName: short(doc.Patient.FirstName), LastName: short(doc.Patient.LastName),
			Gender: short(doc.Patient.Gender), ExternalID: short(doc.Patient.ExternalID), DateOfBirth: nameDate{doc.Patient.DateOfBirth},
		},
		User: nameUser{
			UUID: short(doc.User.UUID), FirstName: short(doc.User.FirstName), LastName: short(doc.User.LastName), RPPS: short(doc.User.RPPS),
		},
		Organization: nameOrganization{UUID: short(doc.Organization.UUID), Name: short(doc.Organization.Name)},
		UUID:         field1(uuid),
		ShortID:      ShortID(d.UUID),
		Revision:     max(d.Revision, 1),
		Account:      short(d.Account),
	}
	var out limited
	if err := n.tmpl.Execute(&out, fields); err != nil {
		return "", err
	}
	return string(out.b), nil
}

// dateOf is when a document was made: the best of its dates, in loc.
func dateOf(d askara.Delivery, loc *time.Location) time.Time {
	for _, t := range []time.Time{d.Document.ValidatedAt, d.Document.CreatedAt, d.Document.UpdatedAt, d.DiscoveredAt} {
		if !t.IsZero() {
			return t.In(loc)
		}
	}
	return time.Time{}
}

var errOutput = errors.New("it writes too much")

// limited is a buffer that refuses to grow past maxOutput.
type limited struct{ b []byte }

func (l *limited) Write(p []byte) (int, error) {
	if len(l.b)+len(p) > maxOutput {
		return 0, errOutput
	}
	l.b = append(l.b, p...)
	return len(p), nil
}

// nameSamples are the deliveries on which ParseName tries a template.
func nameSamples() []askara.Delivery {
	day := time.Date(2026, 2, 24, 10, 30, 0, 0, time.UTC)
	hostile := strings.Repeat("../\\\x00\u202e{{.}}%s ", 40)
	return []askara.Delivery{
		{UUID: "x"},
		{UUID: "3f0e6a52-9d1b-4c7e-8a55-1f2d3c4b5a69", Revision: 1, Account: "default", Document: askara.Document{
			Title: "Lettre de consultation", Type: "letter", ValidatedAt: day,
			Patient:      askara.Patient{FirstName: "Anne", LastName: "Martin", ExternalID: "42", DateOfBirth: day},
			User:         askara.User{FirstName: "Paul", LastName: "Durand", RPPS: "10001234567"},
			Organization: askara.Organization{Name: "Cabinet"},
		}},
		{UUID: hostile, Revision: 2, Account: hostile, Document: askara.Document{
			Title: hostile, Type: hostile,
			Patient:      askara.Patient{UUID: hostile, FirstName: hostile, LastName: hostile, Gender: hostile, ExternalID: hostile},
			User:         askara.User{UUID: hostile, FirstName: hostile, LastName: hostile, RPPS: hostile},
			Organization: askara.Organization{UUID: hostile, Name: hostile},
		}},
	}
}
