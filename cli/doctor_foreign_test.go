package cli_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara/sandbox"
	"askara-sync/cli"
)

// described is what a sandbox says of itself.
func described(d sandbox.Dialect) []byte {
	s := sandbox.New(sandbox.Config{Contract: d})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/docs.jsonopenapi", nil))
	return w.Body.Bytes()
}

// hostile are descriptions by somebody who means harm, or does not know better.
var hostile = []string{
	`{"paths":{"/documents/{a}/pdf\"\nclient_id = 'x'\n#":{"get":{"responses":{"200":{"content":{"application/pdf":{}}}}}}}}`,
	`{"paths":{"/documents/{a}/../../x":{"get":{"summary":"pdf"}},"//evil.example/documents/{a}/pdf":{"get":{"summary":"pdf"}}}}`,
	`{"servers":[{"url":"https://evil.example/"}],"paths":{"/documents/{a}/pdf":{"get":{}}}}`,
	`{"paths":{"/documents/{a}":{"patch":{"summary":"synchronize","requestBody":{"content":{"application/x+json\nq":{"schema":
		{"properties":{"status\"\n":{"enum":["do'''ne\n","ko"]},"error":{"type":"string"},"state":{"enum":["ok'\n[api]\nbase_url='x'","fail"]}}}}}}}}}}`,
	`{"components":{"schemas":{"A":{"$ref":"#/components/schemas/B"},"B":{"$ref":"#/components/schemas/A"},"C":{"allOf":[{"$ref":"#/components/schemas/C"}]}}},
		"paths":{"/documents/{a}":{"post":{"summary":"confirm","requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/C"}}}}},
		"get":{"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"}}}}}}}}}`,
	`{"paths":{"/documents":{"get":[],"post":null,"put":{"parameters":[1,null,{"in":7}],"responses":[],"tags":{},"requestBody":"x"}}}}`,
	`{"paths":[1,2],"servers":{}}`, `[]`, `null`, `"documents"`, `{`, ``,
}

// checkLines turns whatever doctor would propose into a configuration, which must say exactly that and no more.
func checkLines(t *testing.T, raw []byte) (proposals int) {
	t.Helper()
	base := &url.URL{Scheme: "https", Host: "api.example"}
	for _, c := range cli.DescriptionLines(raw, base) {
		if len(c.Validate()) > 0 {
			continue
		}
		proposals++
		lines := cli.ContractLines(map[string]any{
			"documents_path": c.DocumentsPath, "document_path": c.DocumentPath, "pdf_path": c.PDFPath, "link_fields": c.LinkFields,
			"content_fields": c.ContentFields, "confirm_method": c.ConfirmMethod, "confirm_path": c.ConfirmPath,
			"confirm_content_type": c.ConfirmContentType, "confirm_success": c.ConfirmSuccess, "confirm_failure": c.ConfirmFailure,
		})
		text := strings.Join(lines, "\n")
		got, err := cli.Parse([]byte(minimal+text), environ())
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if diff := cmp.Diff(c, got.API.Contract); diff != "" {
			t.Fatalf("the lines\n%s\nsay something else (-want +got):\n%s", text, diff)
		}
		if strings.Count(text, "\n") != 10 || got.API.BaseURL != "https://api.askara.ai" {
			t.Fatalf("one value is not one line:\n%s", text)
		}
	}
	return proposals
}

func TestDoctorBelievesNoDescription(t *testing.T) {
	branching := `{"components":{"schemas":{"C":{"allOf":[` + strings.Repeat(`{"$ref":"#/components/schemas/C"},`, 999) + `{}]}}},
		"paths":{"/documents/{a}":{"post":{"summary":"confirm","requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/C"}}}}}}}}`
	checkLines(t, []byte(branching)) // 1000 to the power of 9, if it were followed
	for _, raw := range hostile {
		checkLines(t, []byte(raw))
	}
	if n := checkLines(t, described(sandbox.Dialect{})); n < 3 {
		t.Errorf("of a sound description %d contracts are made", n)
	}
}

func FuzzDescription(f *testing.F) {
	for _, raw := range hostile {
		f.Add([]byte(raw))
	}
	f.Add(described(sandbox.Dialect{}))
	f.Add(described(sandbox.Dialect{PDF: sandbox.PDFLink, ConfirmMethod: "POST", ConfirmPath: "/documents/{uuid}/sync"}))
	f.Add([]byte(`{"components":{"schemas":{"C":{"allOf":[` + strings.Repeat(`{"$ref":"#/components/schemas/C"},`, 3) + `{"$ref":"#/` + strings.Repeat("/", 3000) + `"}]}}},
		"paths":{"/documents/{a}":{"post":{"summary":"confirm","requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/C"}}}}}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) { checkLines(t, raw) })
}

func TestJSONLeaves(t *testing.T) {
	for _, tt := range []struct {
		raw  string
		want [][2]string
	}{
		{`{"a":"1","b":{"c":"2","d":{"e":"3"}},"f":[{"g":"4"},["5"]],"h":null,"i":6}`, [][2]string{{"a", "1"}, {"b.c", "2"}, {"b.d.e", "3"}, {"f", ""}, {"h", ""}, {"i", ""}}},
		{`{"name":"x","content":"JVBERi0x`, [][2]string{{"name", "x"}, {"content", "JVBERi0x"}}},
		{`{"a":{"content":"JVBERi0x`, [][2]string{{"a.content", "JVBERi0x"}}},
		{`["a"]`, nil}, {`{"a":`, nil}, {``, nil}, {`{"a":"1"`, [][2]string{{"a", "1"}}},
	} {
		if diff := cmp.Diff(tt.want, cli.JSONLeaves([]byte(tt.raw))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.raw, diff)
		}
	}
}

func FuzzJSONLeaves(f *testing.F) {
	f.Add([]byte(`{"a":"1","b":{"c":"2"},"f":[{"g":"4"},["5"]],"h":null}`))
	f.Add([]byte(`{"name":"x","content":"JVBERi0x`))
	f.Add([]byte(strings.Repeat(`{"a":`, 100)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n := len(cli.JSONLeaves(raw)); n > len(raw) {
			t.Errorf("%d properties in %d bytes", n, len(raw))
		}
	})
}

// TestDoctorAmongHostileDocuments lets every answer of the service be as odd as it can be.
func TestDoctorAmongHostileDocuments(t *testing.T) {
	for _, d := range []sandbox.Dialect{
		{GarbageItems: true, UnknownKeys: true, Nulls: true},
		{Dates: sandbox.DatesGarbage, NoStatus: true},
		{PDF: sandbox.PDFHTML}, {PDF: sandbox.PDFEmpty}, {PDF: sandbox.PDFEndless}, {PDF: sandbox.PDFTruncated}, {NotReady: 99, NotReadyStatus: 202},
	} {
		g := newClinic(t, sandbox.Config{Contract: d}, "")
		g.seed(t, nil)
		g.server.AddHostile()
		want := cli.ExitDone
		if slices.Contains([]sandbox.PDFMode{sandbox.PDFHTML, sandbox.PDFEmpty}, d.PDF) || d.NotReady > 0 {
			want = cli.ExitConfiguration
		}
		g.examine(t, want)
	}
}

// TestDoctorWithEveryFault lets requests fail at random: it ends, within its requests, and names no line that was not seen to work.
func TestDoctorWithEveryFault(t *testing.T) {
	for seed := range uint64(6) {
		g := healthy(t, sandbox.Config{Seed: seed}, "[limits]\nworkers = 1\n")
		g.server.SetFaults(sandbox.Faults{Rate: 0.3, Delay: 1, Only: []sandbox.Kind{sandbox.KindMe, sandbox.KindList, sandbox.KindDocument, sandbox.KindPDF,
			sandbox.KindDescription, sandbox.KindProbe}})
		before := g.server.Stats().Total
		stdout, stderr, code := g.run(t, "doctor", "--json")
		if code == cli.ExitUnexpected || !strings.Contains(stdout, `"checks"`) {
			t.Errorf("seed %d: exit code %d\n%s%s", seed, code, stdout, stderr)
		}
		if asked := g.server.Stats().Total - before; asked > 15 {
			t.Errorf("seed %d: %d requests", seed, asked)
		}
	}
}

// TestDoctorIsNotFooledByChance: a list that happens to be in order proves nothing.
func TestDoctorIsNotFooledByChance(t *testing.T) {
	g := healthy(t, sandbox.Config{Contract: sandbox.Dialect{IgnoreOrder: true}}, "")
	wantCheck(t, g.examine(t, cli.ExitDone), "order", "warn", "does not order by updatedAt")
}
