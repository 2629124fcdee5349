package askara_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
)

// full is a document with everything that is known, one level indented, and something that is not.
const full = `{
  "@id": "/documents/` + uuidA + `", "unknown": {"a": [1, {"b": "]}\""}]},
  "uuid": "` + uuidA + `", "title": "Compte rendu \"été\"", "type": "letter", "status": "validated",
  "createdAt": "2026-02-24T10:00:00+00:00", "updatedAt": "2026-02-24T10:30:00.25Z", "validatedAt": "2026-02-24T11:15:00+01:00",
  "synchronizationStatus": "pending", "synchronizedAt": null,
  "patient": {"uuid": "p-1", "firstName": "Zoé", "lastName": "Müller", "dateOfBirth": "1950-03-31", "gender": "female", "externalId": 4711},
  "user": {"uuid": "u-1", "firstName": "Jean", "lastName": "Petit", "rpps": "10001234567"},
  "organization": {"uuid": "o-1", "name": "Cabinet"},
  "contentUrl": "https://files.example/x"
}`

func TestDecodeWhatIsKnown(t *testing.T) {
	got, err := askara.DecodeDocument([]byte(full), askara.DefaultContract())
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(full)); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 24, 10, 0, 0, 0, time.UTC)
	want := askara.Document{
		UUID: uuidA, Title: `Compte rendu "été"`, Type: "letter", Status: "validated",
		CreatedAt: at, UpdatedAt: at.Add(30*time.Minute + 250*time.Millisecond), ValidatedAt: at.Add(15 * time.Minute),
		SynchronizationStatus: "pending",
		Patient: askara.Patient{UUID: "p-1", FirstName: "Zoé", LastName: "Müller", Gender: "female", ExternalID: "4711",
			DateOfBirth: time.Date(1950, 3, 31, 0, 0, 0, 0, time.UTC)},
		User:         askara.User{UUID: "u-1", FirstName: "Jean", LastName: "Petit", RPPS: "10001234567"},
		Organization: askara.Organization{UUID: "o-1", Name: "Cabinet"},
		Order:        at.Add(30*time.Minute + 250*time.Millisecond), Ready: true, Link: "https://files.example/x", Raw: compact.Bytes(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestDecodeToleratesEachFieldAlone(t *testing.T) {
	for _, test := range []struct {
		name, raw string
		want      func(askara.Document) bool
	}{
		{"only a uuid", `{"uuid":"` + uuidA + `"}`, func(d askara.Document) bool { return d.Ready && d.Order.IsZero() && d.Link == "" }},
		{"nulls", `{"uuid":"` + uuidA + `","title":null,"status":null,"patient":null,"user":null,"updatedAt":null}`,
			func(d askara.Document) bool { return d.Ready && d.Title == "" && d.Patient == askara.Patient{} }},
		{"wrong types", `{"uuid":"` + uuidA + `","title":["x"],"type":{},"createdAt":true,"patient":7,"user":[],"organization":false}`,
			func(d askara.Document) bool { return d.Title == "" && d.User == askara.User{} && d.CreatedAt.IsZero() }},
		{"IRIs", `{"uuid":"` + uuidA + `","patient":"/patients/` + uuidB + `","user":"` + uuidB + `","organization":{"@id":"\/organizations\/o-1"}}`,
			func(d askara.Document) bool {
				return d.Patient.UUID == uuidB && d.User.UUID == uuidB && d.Organization.UUID == "o-1"
			}},
		{"an IRI to nowhere", `{"uuid":"` + uuidA + `","patient":"/patients/../x y"}`, func(d askara.Document) bool { return d.Patient.UUID == "" }},
		{"duplicated keys", `{"uuid":"x","uuid":"` + uuidA + `","title":"a","title":"b"}`, func(d askara.Document) bool { return d.Title == "b" }},
		{"keys differ in case", `{"uuid":"` + uuidA + `","Title":"a","UUID":"x"}`, func(d askara.Document) bool { return d.Title == "" }},
		{"an escaped key", `{"\u0075uid":"` + uuidA + `"}`, func(askara.Document) bool { return true }},
		{"a uuid in capitals", `{"uuid":"` + strings.ToUpper(uuidA) + `"}`, func(askara.Document) bool { return true }},
		{"only an address", `{"@id":"/v1/documents/` + uuidA + `"}`, func(askara.Document) bool { return true }},
		{"draft", `{"uuid":"` + uuidA + `","status":"draft"}`, func(d askara.Document) bool { return !d.Ready }},
		{"capitals", `{"uuid":"` + uuidA + `","status":"VALIDATED"}`, func(d askara.Document) bool { return d.Ready }},
		{"a status that cannot be read", `{"uuid":"` + uuidA + `","status":{"name":"draft"}}`, func(d askara.Document) bool { return !d.Ready }},
		{"an empty status", `{"uuid":"` + uuidA + `","status":""}`, func(d askara.Document) bool { return d.Ready }},
		{"zero bytes", `{"uuid":"` + uuidA + `","title":"a\u0000b","x":"\\u0000\u0000"}`, func(d askara.Document) bool {
			return d.Title == "ab" && bytes.Contains(d.Raw, []byte(`"title":"ab","x":"\\u0000"`))
		}},
		{"bad UTF-8", `{"uuid":"` + uuidA + `","title":"a` + "\xff" + `b"}`, func(d askara.Document) bool {
			return d.Title == "a\ufffdb" && utf8.Valid(d.Raw)
		}},
		{"a title without end", `{"uuid":"` + uuidA + `","title":"` + strings.Repeat("é", 9000) + `"}`, func(d askara.Document) bool {
			return len(d.Title) <= 4096 && len(d.Title) > 4000 && utf8.ValidString(d.Title)
		}},
		{"a PDF in the place of a link", `{"uuid":"` + uuidA + `","url":"data:application/pdf;base64,JVBERi0="}`,
			func(d askara.Document) bool { return d.Link == "" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := askara.DecodeDocument([]byte(test.raw), askara.DefaultContract())
			if err != nil {
				t.Fatal(err)
			}
			if got.UUID != uuidA || !test.want(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestDecodeRefusesWhatHasNoUUID(t *testing.T) {
	for _, raw := range []string{``, `{`, `null`, `7`, `"` + uuidA + `"`, `[]`, `{}`, `{"uuid":null}`, `{"uuid":{}}`, `{"uuid":""}`, `{"uuid":"../../etc/passwd"}`,
		`{"uuid":"a/b"}`, `{"uuid":"a b"}`, `{"uuid":"é"}`, `{"uuid":"` + strings.Repeat("a", 65) + `"}`, `{"id":7}`, `{"@id":"/documents/7"}`,
		`{"uuid":"` + uuidA + `"} x`} {
		d, err := askara.DecodeDocument([]byte(raw), askara.DefaultContract())
		if err == nil {
			t.Errorf("%s: got %+v, want an error", raw, d)
		} else if strings.Contains(err.Error(), "passwd") {
			t.Errorf("the error repeats what came: %v", err)
		}
	}
}

func TestHugeDocumentsAreRebuilt(t *testing.T) {
	contract := askara.DefaultContract()
	contract.OrderField, contract.LinkFields = "dates.changed", []string{"file.\x01href"}
	huge := full[:len(full)-1] + `, "dates": {"changed": "2026-03-01"}, "file": {"\u0001href": "/files/x"}, "content": "` + strings.Repeat("JVBERi", 60000) + `"}`
	got, err := askara.DecodeDocument([]byte(huge), contract)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Raw) > 256<<10 || !json.Valid(got.Raw) || bytes.Contains(got.Raw, []byte("JVBERi")) {
		t.Fatalf("got %d bytes: %.300s", len(got.Raw), got.Raw)
	}
	again, err := askara.DecodeDocument(got.Raw, contract)
	if err != nil {
		t.Fatal(err)
	}
	if again.Raw = got.Raw; got.Link != "/files/x" || got.Order.IsZero() {
		t.Errorf("got link %q, order %v", got.Link, got.Order)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("rebuilt and read again (-want +got):\n%s", diff)
	}
}

// FuzzDecodeDocument shows that whatever comes, what is returned is usable: the ledger decodes Raw again.
func FuzzDecodeDocument(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"uuid":"` + uuidA + `","uuid":7,"status":[],"patient":"/patients/x","x":"\u0000\\"}`))
	f.Add([]byte(`{"uuid":"a\u0000b","ti\u0000tle":"x\\u0000\u0000y","title":"\u0000"}`))
	f.Add([]byte("{\"uuid\":\"a\",\"title\":\"\xff\\ud800\"}"))
	f.Add([]byte(`{"@id":"/documents/` + uuidA + `" , "" : -1e400 , "a":[[],{}] }`))
	f.Add([]byte(`{"uuid":"a","status":{},"x":"` + strings.Repeat("y", 300000) + `"}`))
	f.Add([]byte(`{"uuid":"a","url":"` + strings.Repeat("<", 10000) + `","x":"` + strings.Repeat("y", 300000) + `"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := askara.DefaultContract()
		d, err := askara.DecodeDocument(raw, c)
		if err != nil {
			return
		}
		if d.UUID == "" || strings.ContainsAny(d.UUID, "/.\\ ") || !json.Valid(d.Raw) || !utf8.Valid(d.Raw) || !utf8.ValidString(d.Title) {
			t.Fatalf("got uuid %q, raw %q", d.UUID, d.Raw)
		}
		if compact := new(bytes.Buffer); json.Compact(compact, d.Raw) != nil || compact.String() != string(d.Raw) {
			t.Fatalf("raw %q is not compact", d.Raw)
		}
		again, err := askara.DecodeDocument(d.Raw, c)
		if err != nil {
			t.Fatalf("raw %q: %v", d.Raw, err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Errorf("raw %q decodes differently:\n%s", d.Raw, diff)
		}
		// encoding/json, which takes the last of duplicated keys too, agrees on the texts.
		var fields map[string]json.RawMessage
		var title string
		if json.Unmarshal(d.Raw, &fields) == nil && json.Unmarshal(fields["title"], &title) == nil && len(title) <= 4096 &&
			fields["title"][0] == '"' && strings.ReplaceAll(title, "\x00", "") != d.Title {
			t.Errorf("got title %q, want %q", d.Title, title)
		}
	})
}
