package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Document is what Askara knows of one. What is left zero is made up by AddDocument.
type Document struct {
	UUID, Title, Type string
	Status            string // "validated" unless said otherwise
	CreatedAt         time.Time
	UpdatedAt         time.Time // the server's clock when it is added
	ValidatedAt       time.Time

	SynchronizationStatus string
	SynchronizationError  string
	SynchronizedAt        time.Time

	Patient      Patient
	User         User
	Organization Organization

	// Person is the login that sees it; "" is the default one.
	Person string
	// Bytes is the PDF; nil makes one that fits the type. Size pads a made one to exactly so many bytes where it is longer
	// than the natural one, and chooses a short text where it is smaller.
	Bytes []byte
	Size  int

	// NoDates leaves this document's dates out, NoPatient and NoUser these.
	NoDates, NoPatient, NoUser bool
	// PDF answers in this way instead of the dialect's, where it is not zero.
	PDF PDFMode
	// PDFStatus and ConfirmStatus, where not 0, refuse every download and every confirmation with this status.
	PDFStatus, ConfirmStatus int
	// NotReady is how many PDF requests are answered with the dialect's NotReadyStatus first, beside the dialect's own.
	NotReady int
}

// Patient is whom a document is about.
type Patient struct {
	UUID, FirstName, LastName, Gender, ExternalID string
	DateOfBirth                                   time.Time
}

// User is who wrote it.
type User struct{ UUID, FirstName, LastName, RPPS string }

// Organization is the clinic.
type Organization struct{ UUID, Name string }

// Confirm is one confirmation that the server accepted.
type Confirm struct {
	Seq    int64 // counts all accepted confirmations of the server
	At     time.Time
	Failed bool
	Reason string
	// Downloads is how often the document had been downloaded whole before.
	Downloads int
}

// Record is a document and what happened to it.
type Record struct {
	Document
	// SHA256 and Length are of the bytes as they are now; Checksums has those of every revision, oldest first.
	SHA256    [32]byte
	Length    int
	Checksums [][32]byte
	// Requests counts PDF requests; Downloads those whose last byte was written.
	Requests, Downloads int
	Confirms            []Confirm
	// Refused counts confirmations that were refused, of drafts for example.
	Refused int
}

// Confirmed says that the last confirmation was one of success.
func (r Record) Confirmed() bool {
	n := len(r.Confirms)
	return n > 0 && !r.Confirms[n-1].Failed
}

// document is a Document in the archive. Its fields are guarded by archive.mu.
type document struct {
	Document
	key       key
	created   int // its place among all
	revision  int
	pdf       *pdfFile
	checksums [][32]byte
	requests  int
	downloads int
	confirms  []Confirm
	refused   int
}

// shelf is what one login sees.
type shelf struct {
	changed index
	all     []*document // in the order of creation
}

type archive struct {
	mu      sync.Mutex
	rng     *rand.ChaCha8
	cast    *cast
	by      map[string]*document
	shelves map[string]*shelf
	created []*document
	seq     int64
	noise   []byte // what pads PDFs
	visited int    // documents looked at for lists
}

// seeded returns a source of chance for one purpose.
func seeded(seed uint64, purpose string) *rand.ChaCha8 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], seed)
	return rand.NewChaCha8(sha256.Sum256(append(b[:], purpose...)))
}

// newUUID returns a version 4 uuid.
func newUUID(r *rand.ChaCha8) string {
	var b [16]byte
	r.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func newArchive(seed uint64) *archive {
	a := &archive{rng: seeded(seed, "documents"), by: map[string]*document{}, shelves: map[string]*shelf{}}
	a.cast = newCast(seed)
	a.noise = make([]byte, 256<<10)
	seeded(seed, "noise").Read(a.noise)
	return a
}

// now is the present in the resolution that documents keep.
func (s *Server) now() time.Time {
	switch t := time.Now().UTC(); s.current.Load().Dates {
	case DatesMillis:
		return t.Truncate(time.Millisecond)
	case DatesMicros:
		return t.Truncate(time.Microsecond)
	default:
		return t.Truncate(time.Second)
	}
}

// Add adds n documents like d, each with its own uuid, patient and title where d has none, and returns their uuids. Without an
// UpdatedAt they all share the present second.
func (s *Server) Add(n int, d Document) []string {
	uuids := make([]string, n)
	for i := range uuids {
		uuids[i] = s.AddDocument(d)
	}
	return uuids
}

// AddHistory adds n documents like d whose changes are spread evenly over from to to, oldest first.
func (s *Server) AddHistory(n int, from, to time.Time, d Document) []string {
	uuids := make([]string, n)
	for i := range uuids {
		d.UpdatedAt = from
		if n > 1 {
			d.UpdatedAt = from.Add(to.Sub(from) / time.Duration(n-1) * time.Duration(i)).Truncate(time.Second)
		}
		uuids[i] = s.AddDocument(d)
	}
	return uuids
}

// AddDocument adds one and returns its uuid.
func (s *Server) AddDocument(d Document) string {
	now := s.now()
	a := s.archive
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cast.complete(&d, a.rng, now)
	doc := &document{Document: d, created: len(a.created), revision: 1}
	a.by[d.UUID] = doc
	a.created = append(a.created, doc)
	sh := a.shelf(d.Person)
	sh.all = append(sh.all, doc)
	doc.key = key{d.UpdatedAt.UnixMicro(), d.UUID}
	sh.changed.insert(doc)
	return d.UUID
}

func (a *archive) shelf(person string) *shelf {
	sh := a.shelves[person]
	if sh == nil {
		sh = &shelf{}
		a.shelves[person] = sh
	}
	return sh
}

// move gives the document a new time of change.
func (a *archive) move(d *document, at time.Time) {
	x := &a.shelf(d.Person).changed
	x.remove(d)
	d.UpdatedAt, d.key.at = at, at.UnixMicro()
	x.insert(d)
}

// change does what edit says to a document and, where at is not zero, moves it. Unknown uuids are a mistake of the test.
func (s *Server) change(uuid string, at time.Time, edit func(*document)) {
	s.archive.mu.Lock()
	defer s.archive.mu.Unlock()
	d := s.archive.by[uuid]
	if d == nil {
		panic("sandbox: no document " + uuid)
	}
	edit(d)
	if !at.IsZero() {
		s.archive.move(d, at)
	}
}

// Touch changes something about the document that is not its content.
func (s *Server) Touch(uuid string) { s.change(uuid, s.now(), func(*document) {}) }

// Validate validates a draft.
func (s *Server) Validate(uuid string) {
	now := s.now()
	s.change(uuid, now, func(d *document) { d.Status, d.ValidatedAt = "validated", now })
}

// Revalidate validates the document again, with other bytes or with the same.
func (s *Server) Revalidate(uuid string, newBytes bool) {
	now := s.now()
	s.change(uuid, now, func(d *document) {
		d.Status, d.ValidatedAt, d.SynchronizationStatus, d.SynchronizedAt = "validated", now, "", time.Time{}
		if newBytes {
			s.archive.file(d) // so that the checksum of the old bytes is kept
			d.revision++
			d.pdf, d.Bytes = nil, nil
		}
	})
}

// Edit changes what edit changes, and neither moves the document nor makes a new PDF. Its uuid, person and UpdatedAt stay.
func (s *Server) Edit(uuid string, edit func(*Document)) {
	s.change(uuid, time.Time{}, func(d *document) {
		person, at := d.Person, d.UpdatedAt
		edit(&d.Document)
		d.UUID, d.Person, d.UpdatedAt = uuid, person, at
	})
}

// Remove takes the document out of lists; asking for it is a 404 from then on. Documents no longer returns it.
func (s *Server) Remove(uuid string) {
	s.change(uuid, time.Time{}, func(d *document) {
		a := s.archive
		sh := a.shelf(d.Person)
		sh.changed.remove(d)
		same := func(o *document) bool { return o == d }
		sh.all, a.created = slices.DeleteFunc(sh.all, same), slices.DeleteFunc(a.created, same)
		delete(a.by, uuid)
	})
}

// file returns the PDF, made at its first use.
func (a *archive) file(d *document) *pdfFile {
	if d.pdf == nil {
		d.pdf = makePDF(&d.Document, d.revision, a.noise)
		d.checksums = append(d.checksums, d.pdf.sum())
	}
	return d.pdf
}

// Documents returns all documents in the order in which they were added, drafts included.
func (s *Server) Documents() []Record {
	s.archive.mu.Lock()
	defer s.archive.mu.Unlock()
	records := make([]Record, len(s.archive.created))
	for i, d := range s.archive.created {
		records[i] = s.archive.record(d)
	}
	return records
}

// Document returns one.
func (s *Server) Document(uuid string) (Record, bool) {
	s.archive.mu.Lock()
	defer s.archive.mu.Unlock()
	if d := s.archive.by[uuid]; d != nil {
		return s.archive.record(d), true
	}
	return Record{}, false
}

func (a *archive) record(d *document) Record {
	f := a.file(d)
	return Record{
		Document: d.Document, SHA256: d.checksums[len(d.checksums)-1], Length: f.size(), Checksums: slices.Clone(d.checksums),
		Requests: d.requests, Downloads: d.downloads, Confirms: slices.Clone(d.confirms), Refused: d.refused,
	}
}
