package sink

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"time"

	"askara-sync/askara"
)

// maxSidecar bounds what is read of a file that may be a sidecar, in bytes.
const maxSidecar = 16 << 20

// sidecar is the file of metadata beside a PDF. Its keys are part of the product: they only ever grow. Absent values are null.
type sidecar struct {
	UUID         string           `json:"uuid"`
	Revision     int              `json:"revision"`
	Title        *string          `json:"title"`
	Type         *string          `json:"type"`
	CreatedAt    *string          `json:"created_at"` // RFC 3339, as all times
	UpdatedAt    *string          `json:"updated_at"`
	ValidatedAt  *string          `json:"validated_at"`
	Patient      *sidecarPatient  `json:"patient"`
	User         *sidecarUser     `json:"user"`
	Organization *sidecarOrg      `json:"organization"`
	SHA256       string           `json:"sha256"` // of the PDF, hexadecimal
	Size         int64            `json:"size"`   // of the PDF, in bytes
	File         string           `json:"file"`   // the PDF's name
	Account      string           `json:"account"`
	Askara       *json.RawMessage `json:"askara"` // the document as Askara's list gave it
}

type sidecarPatient struct {
	UUID        *string `json:"uuid"`
	FirstName   *string `json:"first_name"`
	LastName    *string `json:"last_name"`
	DateOfBirth *string `json:"date_of_birth"` // 2006-01-02
	Gender      *string `json:"gender"`
	ExternalID  *string `json:"external_id"`
}

type sidecarUser struct {
	UUID      *string `json:"uuid"`
	FirstName *string `json:"first_name"`
	LastName  *string `json:"last_name"`
	RPPS      *string `json:"rpps"`
}

type sidecarOrg struct {
	UUID *string `json:"uuid"`
	Name *string `json:"name"`
}

func newSidecar(d askara.Delivery, r askara.Receipt) sidecar {
	doc := d.Document
	s := sidecar{
		UUID: d.UUID, Revision: d.Revision, Title: text(doc.Title), Type: text(doc.Type),
		CreatedAt: instant(doc.CreatedAt), UpdatedAt: instant(doc.UpdatedAt), ValidatedAt: instant(doc.ValidatedAt),
		SHA256: hex.EncodeToString(r.SHA256[:]), Size: r.Size, File: r.Name, Account: d.Account,
	}
	if p := doc.Patient; p != (askara.Patient{}) {
		s.Patient = &sidecarPatient{text(p.UUID), text(p.FirstName), text(p.LastName), nil, text(p.Gender), text(p.ExternalID)}
		if !p.DateOfBirth.IsZero() {
			s.Patient.DateOfBirth = text(p.DateOfBirth.Format(time.DateOnly))
		}
	}
	if u := doc.User; u != (askara.User{}) {
		s.User = &sidecarUser{text(u.UUID), text(u.FirstName), text(u.LastName), text(u.RPPS)}
	}
	if o := doc.Organization; o != (askara.Organization{}) {
		s.Organization = &sidecarOrg{text(o.UUID), text(o.Name)}
	}
	if json.Valid(doc.Raw) {
		s.Askara = &doc.Raw
	}
	return s
}

// document returns what a sidecar tells of its document: the dates that tell a change, and no patient data.
func (s sidecar) document() askara.Document {
	doc := askara.Document{UUID: s.UUID}
	for _, date := range []struct {
		from *string
		to   *time.Time
	}{{s.CreatedAt, &doc.CreatedAt}, {s.UpdatedAt, &doc.UpdatedAt}, {s.ValidatedAt, &doc.ValidatedAt}} {
		if date.from != nil {
			*date.to, _ = time.Parse(time.RFC3339Nano, *date.from)
		}
	}
	return doc
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func instant(t time.Time) *string {
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return nil
	}
	return text(t.Format(time.RFC3339Nano))
}

// writeSidecar writes a sidecar into a tray, durably, with the owner and mode of a PDF.
func (f *Folder) writeSidecar(t *tray, name string, s sidecar) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return &Error{Op: "write a sidecar", Kind: askara.FaultUnexpected, Err: err}
	}
	_, _, err = f.write(t, name, func(w io.Writer) (int64, askara.Checksum, error) {
		_, err := w.Write(append(b, '\n'))
		return 0, askara.Checksum{}, err
	})
	return err
}

var errForeign = errors.New("it is not a sidecar of ours")

// readSidecar reads what may be a sidecar.
func readSidecar(d *dir, name string) (sidecar, error) {
	var s sidecar
	file, size, err := d.regular(name)
	if errors.Is(err, errIrregular) || err == nil && size > maxSidecar {
		if file != nil {
			file.Close()
		}
		return s, errForeign
	}
	if err != nil {
		return s, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxSidecar))
	if err != nil {
		return s, err
	}
	if json.Unmarshal(b, &s) != nil || s.UUID == "" || s.Revision < 1 || len(s.SHA256) != 64 {
		return sidecar{}, errForeign
	}
	return s, nil
}

// of says that the sidecar belongs to the delivery.
func (s sidecar) of(d *askara.Delivery) bool {
	return s.UUID == d.UUID && s.Revision == d.Revision && s.Account == d.Account
}

// renameSidecar makes the staged sidecar say the name that its PDF really gets.
func (f *Folder) renameSidecar(t *tray, staged, pdf string) error {
	s, err := readSidecar(t.dir, staged)
	if err != nil || s.File == pdf {
		return err
	}
	s.File = pdf
	fresh := staged + "." + randomHex(4)
	if err := f.writeSidecar(t, fresh, s); err != nil {
		return err
	}
	if err := t.rename(fresh, t.dir, staged); err != nil {
		_ = t.remove(fresh)
		return err
	}
	return nil
}

// placeSidecar moves a staged sidecar beside the final name of its PDF. The error is fs.ErrExist where that is taken by anything
// but an earlier sidecar of the same delivery, which an interrupted run left and which is brought up to date. A sidecar that is
// not in staging any more has been placed before.
func (m *mover) placeSidecar(t *tray, d *askara.Delivery, pdf string) error {
	staged, final := sidecarOf(d.Receipt.Staged), sidecarOf(pdf)
	if err := m.f.renameSidecar(t, staged, pdf); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	err := m.placing.moveUnarmed(t.dir, staged, m.folder, final)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if s, rerr := readSidecar(m.folder, final); rerr != nil || !s.of(d) {
		return err
	}
	return t.rename(staged, m.folder, final)
}
