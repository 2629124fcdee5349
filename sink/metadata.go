package sink

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"askara-sync/askara"
)

// row is one delivery as the parameters of a statement see it.
type row struct {
	d      *askara.Delivery
	ledger string
	// path is the file of the PDF, "" where the PDF itself is in the row.
	path string
	at   time.Time
}

// value is a parameter's value: string, int64, time.Time or nil. content is not among them.
func (r row) value(name string) any {
	doc := &r.d.Document
	switch name {
	case "account":
		return cleanText(r.d.Account)
	case "uuid":
		return cleanText(r.d.UUID)
	case "revision":
		return int64(r.d.Revision)
	case "sha256":
		return hex.EncodeToString(r.d.Receipt.SHA256[:])
	case "size":
		return r.d.Receipt.Size
	case "ledger":
		return r.ledger
	case "delivered_at":
		return r.at
	case "created_at":
		return doc.CreatedAt
	case "updated_at":
		return doc.UpdatedAt
	case "validated_at":
		return doc.ValidatedAt
	case "patient_date_of_birth":
		return doc.Patient.DateOfBirth
	case "metadata":
		return string(cleanJSON(doc.Raw))
	}
	if s := cleanText(r.text(name)); s != "" {
		return s
	}
	return nil
}

// text is a parameter that may be missing; "" then.
func (r row) text(name string) string {
	doc := &r.d.Document
	switch name {
	case "title":
		return doc.Title
	case "type":
		return doc.Type
	case "status":
		return doc.Status
	case "patient_uuid":
		return doc.Patient.UUID
	case "patient_first_name":
		return doc.Patient.FirstName
	case "patient_last_name":
		return doc.Patient.LastName
	case "patient_gender":
		return doc.Patient.Gender
	case "patient_external_id":
		return doc.Patient.ExternalID
	case "user_uuid":
		return doc.User.UUID
	case "user_first_name":
		return doc.User.FirstName
	case "user_last_name":
		return doc.User.LastName
	case "user_rpps":
		return doc.User.RPPS
	case "organization_uuid":
		return doc.Organization.UUID
	case "organization_name":
		return doc.Organization.Name
	case "path":
		return r.path
	case "file_name":
		if r.path != "" {
			return filepath.Base(r.path)
		}
	}
	return ""
}

// cleanText makes text that every database takes: UTF-8, and without the NUL that PostgreSQL cannot hold.
func cleanText(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

const (
	// maxJSONDepth is where a nested value is kept as text: MariaDB refuses JSON deeper than 32, and Askara's has 2.
	maxJSONDepth = 16
	// maxJSONNumber is the longest number, in characters, that is kept as one; PostgreSQL refuses those that are out of its range.
	maxJSONNumber = 40
)

// cleanJSON makes JSON that every database takes: without NUL and half characters, no deeper than maxJSONDepth. What is not
// JSON at all becomes {}.
func cleanJSON(raw json.RawMessage) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return []byte("{}")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return []byte("{}")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(cleanValue(v, 0)); err != nil {
		return []byte("{}")
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func cleanValue(v any, depth int) any {
	switch v := v.(type) {
	case string:
		return cleanText(v)
	case json.Number:
		if f, err := strconv.ParseFloat(v.String(), 64); err != nil || len(v) > maxJSONNumber || f != 0 && (f > 1e100 || f < -1e100) {
			return v.String()
		}
		return v
	case map[string]any:
		if depth == maxJSONDepth {
			return asText(v)
		}
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[cleanText(name)] = cleanValue(inner, depth+1)
		}
		return out
	case []any:
		if depth == maxJSONDepth {
			return asText(v)
		}
		for i := range v {
			v[i] = cleanValue(v[i], depth+1)
		}
		return v
	}
	return v
}

// asText keeps what is too deep as a string.
func asText(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return cleanText(string(b))
}
