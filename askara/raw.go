package askara

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// rawOf returns the object compacted; one that is too long for that, written anew.
func (c Contract) rawOf(raw []byte, d Document) json.RawMessage {
	if len(raw) > 4*maxRaw { // no indentation takes that much
		return c.rebuilt(d)
	}
	if raw = compacted(raw); len(raw) > maxRaw {
		return c.rebuilt(d)
	}
	return raw
}

// compacted copies JSON without the space between its values. It is known to be JSON: checking it once more is most of what
// json.Compact does.
func compacted(raw []byte) []byte {
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		end := i + 1
		if raw[i] == '"' {
			end = skipString(raw, i)
		}
		if !isSpace(raw[i]) {
			b = append(b, raw[i:end]...)
		}
		i = end
	}
	return b
}

// withoutZeros leaves the zero bytes out of JSON's strings, since no database takes them. A raw that has none is returned as it is.
func withoutZeros(raw []byte) []byte {
	zero := []byte(`\u0000`)
	if !bytes.Contains(raw, zero) {
		return raw
	}
	clean := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch {
		case raw[i] != '\\':
			clean = append(clean, raw[i])
		case bytes.HasPrefix(raw[i:], zero):
			i += len(zero) - 1
		default:
			clean = append(clean, raw[i:min(i+2, len(raw))]...) // with what is escaped, which may be a backslash
			i++
		}
	}
	return clean
}

// rebuilt writes a document from what is known of it, so that it decodes to the same again.
func (c Contract) rebuilt(d Document) json.RawMessage {
	type person struct {
		UUID        string `json:"uuid,omitempty"`
		FirstName   string `json:"firstName,omitempty"`
		LastName    string `json:"lastName,omitempty"`
		DateOfBirth string `json:"dateOfBirth,omitempty"`
		Gender      string `json:"gender,omitempty"`
		ExternalID  string `json:"externalId,omitempty"`
		RPPS        string `json:"rpps,omitempty"`
	}
	type organization struct {
		UUID string `json:"uuid,omitempty"`
		Name string `json:"name,omitempty"`
	}
	var status any
	switch {
	case d.Status != "":
		status = d.Status
	case !d.Ready:
		status = false // unreadable
	}
	patient := person{UUID: d.Patient.UUID, FirstName: d.Patient.FirstName, LastName: d.Patient.LastName,
		Gender: d.Patient.Gender, ExternalID: d.Patient.ExternalID}
	if !d.Patient.DateOfBirth.IsZero() {
		patient.DateOfBirth = d.Patient.DateOfBirth.Format(time.DateOnly)
	}
	raw, err := json.Marshal(struct {
		UUID                  string       `json:"uuid"`
		Title                 string       `json:"title,omitempty"`
		Type                  string       `json:"type,omitempty"`
		Status                any          `json:"status,omitempty"`
		CreatedAt             time.Time    `json:"createdAt,omitzero"`
		UpdatedAt             time.Time    `json:"updatedAt,omitzero"`
		ValidatedAt           time.Time    `json:"validatedAt,omitzero"`
		SynchronizationStatus string       `json:"synchronizationStatus,omitempty"`
		SynchronizedAt        time.Time    `json:"synchronizedAt,omitzero"`
		Patient               person       `json:"patient,omitzero"`
		User                  person       `json:"user,omitzero"`
		Organization          organization `json:"organization,omitzero"`
	}{
		UUID: d.UUID, Title: d.Title, Type: d.Type, Status: status,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, ValidatedAt: d.ValidatedAt,
		SynchronizationStatus: d.SynchronizationStatus, SynchronizedAt: d.SynchronizedAt, Patient: patient,
		User:         person{UUID: d.User.UUID, FirstName: d.User.FirstName, LastName: d.User.LastName, RPPS: d.User.RPPS},
		Organization: organization{UUID: d.Organization.UUID, Name: d.Organization.Name},
	})
	if err != nil { // strings and believed dates always encode
		return nil
	}
	if d.Link != "" {
		raw = withField(raw, c.LinkFields[0], d.Link)
	}
	if !d.Order.IsZero() && c.order(raw, d).IsZero() {
		raw = withField(raw, c.OrderField, d.Order.Format(time.RFC3339Nano))
	}
	return raw
}

// withField adds a property, named by a path as lookup reads it, to an object that has at least one.
func withField(object []byte, path, value string) []byte {
	names := strings.Split(path, ".")
	property := quoted(value)
	for _, name := range slices.Backward(names[1:]) {
		property = fmt.Appendf(nil, "{%s:%s}", quoted(name), property)
	}
	return fmt.Appendf(object[:len(object)-1], ",%s:%s}", quoted(names[0]), property)
}

// quoted is a text as JSON has it.
func quoted(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil { // a string always encodes
		return []byte(`""`)
	}
	return b
}
