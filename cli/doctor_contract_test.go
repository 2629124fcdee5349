package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"askara-sync/askara/sandbox"
	"askara-sync/cli"
)

// examine runs doctor --json and checks what holds for every examination: that it reads only, within 15 requests, and shows nobody's data.
func (g *clinic) examine(t *testing.T, want int, args ...string) cli.DoctorView {
	t.Helper()
	before := g.server.Stats()
	stdout, stderr := g.must(t, want, append([]string{"doctor", "--json"}, args...)...)
	after := g.server.Stats()
	var view cli.DoctorView
	if err := json.Unmarshal([]byte(stdout), &view); err != nil {
		t.Fatalf("doctor --json: %v: %q", err, stdout)
	}
	asked := after.Total - before.Total - (after.Requests[sandbox.KindFile] - before.Requests[sandbox.KindFile])
	if asked > 15 || asked > view.Requests {
		t.Errorf("%d requests to the API, of which it owns to %d; want at most 15", asked, view.Requests)
	}
	if len(args) == 0 && after.Confirmed+after.Failed+after.Requests[sandbox.KindConfirm] != before.Confirmed+before.Failed+before.Requests[sandbox.KindConfirm] {
		t.Error("doctor wrote to Askara")
	}
	for _, d := range g.server.Documents() {
		for _, private := range []string{d.Title, d.Patient.LastName, d.Patient.FirstName, d.User.LastName} {
			if len(private) > 4 && strings.Contains(stdout+stderr, private) {
				t.Errorf("the output holds %q", private)
			}
		}
	}
	return view
}

// check returns the checks of that name.
func checks(v cli.DoctorView, name string) (found []cli.DoctorCheck) {
	for _, c := range v.Checks {
		if c.Name == name {
			found = append(found, c)
		}
	}
	return found
}

func wantCheck(t *testing.T, v cli.DoctorView, name, level, text string) {
	t.Helper()
	for _, c := range checks(v, name) {
		if c.Level == level && strings.Contains(c.Text, text) {
			return
		}
	}
	t.Errorf("no check %q is %s with %q; got %+v", name, level, text, checks(v, name))
}

// paste puts the proposed lines into the configuration, unchanged.
func (g *clinic) paste(t *testing.T, v cli.DoctorView) {
	t.Helper()
	data, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data) + "\n" + strings.Join(v.Contract.Lines, "\n") + "\n"
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorFindsTheContract(t *testing.T) {
	undescribed := func(d sandbox.Dialect) sandbox.Dialect {
		d.Description = sandbox.DescriptionNone
		return d
	}
	tests := []struct {
		name    string
		dialect sandbox.Dialect
		check   string // that fails
		text    string
		lines   []string // that are proposed, as far as they begin like this
		warns   string   // a check that warns
		prefix  string
	}{
		{name: "the default", dialect: sandbox.Dialect{}},
		{name: "another PDF path, described", dialect: sandbox.Dialect{PDFPath: "/documents/{uuid}/rendu"}, check: "pdf", text: "/documents/{uuid}/rendu",
			lines: []string{"pdf_path = '/documents/{uuid}/rendu'"}},
		{name: "another PDF path, guessed", dialect: undescribed(sandbox.Dialect{PDFPath: "/documents/{uuid}/download"}), check: "pdf",
			lines: []string{"pdf_path = '/documents/{uuid}/download'"}},
		{name: "the PDF at the document itself", dialect: undescribed(sandbox.Dialect{PDFPath: "/documents/{uuid}"}), check: "pdf",
			lines: []string{"pdf_path = '/documents/{uuid}'"}},
		{name: "a link in the document", dialect: undescribed(sandbox.Dialect{PDF: sandbox.PDFInDocument, LinkKey: "pdfUrl"}), check: "pdf",
			lines: []string{"pdf_path = ''", "link_fields = ['pdfUrl'"}},
		{name: "a known link in the document", dialect: sandbox.Dialect{PDF: sandbox.PDFInDocument}, check: "pdf", lines: []string{"pdf_path = ''"}},
		{name: "a link on the same host in the document", dialect: undescribed(sandbox.Dialect{PDF: sandbox.PDFInDocument, LinkKey: "fichier_href", LinkHere: true}),
			check: "pdf", lines: []string{"pdf_path = ''", "link_fields = ['fichier_href'"}},
		{name: "a link in the answer", dialect: undescribed(sandbox.Dialect{PDF: sandbox.PDFLink, LinkKey: "adresse"}), check: "pdf",
			lines: []string{"link_fields = ['adresse'"}},
		{name: "base64", dialect: undescribed(sandbox.Dialect{PDF: sandbox.PDFBase64, ContentKey: "octets"}), check: "pdf",
			lines: []string{"content_fields = ['octets'"}},
		{name: "another confirm, described", dialect: sandbox.Dialect{ConfirmMethod: "POST", ConfirmPath: "/documents/{uuid}/import", ConfirmContentType: "application/json",
			StatusField: "importState", ErrorField: "importMessage", Done: "imported", Failed: "rejected"}, check: "confirm", text: "POST /documents/{uuid}/import",
			lines: []string{"confirm_method = 'POST'", "confirm_path = '/documents/{uuid}/import'", "confirm_content_type = 'application/json'",
				`confirm_success = '{"importState":"imported"}'`, `confirm_failure = '{"importState":"rejected","importMessage":"{reason}"}'`}},
		{name: "a confirm without a state", dialect: sandbox.Dialect{Done: "-"}, check: "confirm",
			lines: []string{"confirm_success = '{}'", `confirm_failure = '{"synchronizationError":"{reason}"}'`}},
		{name: "another confirm, allowed", dialect: undescribed(sandbox.Dialect{ConfirmMethod: "PUT", ConfirmContentType: "application/json"}), check: "confirm",
			text: "PUT", lines: []string{"confirm_method = 'PUT'", "confirm_content_type = 'application/json'"}},
		{name: "another media type, allowed", dialect: undescribed(sandbox.Dialect{ConfirmContentType: "application/json"}), check: "confirm",
			lines: []string{"confirm_content_type = 'application/json'"}},
		{name: "a confirm elsewhere, allowed", dialect: undescribed(sandbox.Dialect{ConfirmMethod: "POST", ConfirmPath: "/documents/{uuid}/confirm",
			ConfirmContentType: "application/json"}), check: "confirm", lines: []string{"confirm_method = 'POST'", "confirm_path = '/documents/{uuid}/confirm'"}},
		{name: "another order field", dialect: sandbox.Dialect{OrderField: "modifiedAt"}, check: "order", text: "modifiedAt", lines: []string{"order_field = 'modifiedAt'"}},
		{name: "order ignored", dialect: sandbox.Dialect{IgnoreOrder: true}, warns: "order"},
		{name: "newest first", dialect: sandbox.Dialect{Descending: true}, warns: "order"},
		{name: "bounds ignored", dialect: sandbox.Dialect{IgnoreBounds: true}, warns: "lower bound"},
		{name: "JSON-LD only", dialect: sandbox.Dialect{Shape: sandbox.ShapeJSONLD, Insists: true}},
		{name: "hydra", dialect: sandbox.Dialect{Shape: sandbox.ShapeHydra}},
		{name: "no dates", dialect: sandbox.Dialect{NoDates: true}, warns: "order"},
		{name: "references", dialect: sandbox.Dialect{Patient: sandbox.PatientIRI, MePost: true}, warns: "fields"},
		{name: "everything elsewhere", prefix: "/v2", dialect: sandbox.Dialect{DocumentsPath: "/clinic-documents", DocumentPath: "/clinic-documents/{uuid}",
			PDFPath: "/clinic-documents/{uuid}/rendition", ConfirmPath: "/clinic-documents/{uuid}/synchronization", ConfirmMethod: "PUT",
			ConfirmContentType: "application/json", StatusField: "state", Done: "ok", Failed: "ko", ErrorField: "reason",
			OrderField: "lastModified", Description: sandbox.DescriptionAtJSON}, check: "list", text: "/clinic-documents",
			lines: []string{"documents_path = '/clinic-documents'", "document_path = '/clinic-documents/{uuid}'", "pdf_path = '/clinic-documents/{uuid}/rendition'",
				"order_field = 'lastModified'", "confirm_method = 'PUT'", `confirm_success = '{"state":"ok"}'`, `confirm_failure = '{"state":"ko","reason":"{reason}"}'`}},
		{name: "documents elsewhere, guessed", dialect: undescribed(sandbox.Dialect{DocumentsPath: "/medical-documents", DocumentPath: "/medical-documents/{uuid}",
			PDFPath: "/medical-documents/{uuid}/pdf", ConfirmPath: "/medical-documents/{uuid}"}), check: "list",
			lines: []string{"documents_path = '/medical-documents'", "pdf_path = '/medical-documents/{uuid}/pdf'"}},
		{name: "one document elsewhere", dialect: sandbox.Dialect{DocumentPath: "/document/{uuid}", ConfirmPath: "/document/{uuid}"}, check: "document",
			lines: []string{"document_path = '/document/{uuid}'", "confirm_path = '/document/{uuid}'"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := quick
			c.Contract, c.Prefix = tt.dialect, tt.prefix
			g := newClinic(t, c, "")
			const documents = 9
			begin := time.Now().Add(-240 * time.Hour)
			for i := range documents {
				// Changed in another order than created, so that an ignored order shows.
				at := begin.Add(time.Duration((i*5)%documents) * time.Hour)
				g.server.AddDocument(sandbox.Document{CreatedAt: begin.Add(time.Duration(i) * time.Minute), UpdatedAt: at, ValidatedAt: at})
			}
			g.seed(t, nil)
			want := cli.ExitDone
			if tt.check != "" {
				want = cli.ExitConfiguration
			}
			v := g.examine(t, want)
			if tt.check != "" {
				wantCheck(t, v, tt.check, "fail", tt.text)
			}
			if tt.warns != "" {
				wantCheck(t, v, tt.warns, "warn", "")
			}
			for _, line := range tt.lines {
				found := false
				for _, got := range v.Contract.Lines {
					found = found || strings.HasPrefix(got, line)
				}
				if !found {
					t.Errorf("no line begins with %s in\n%s", line, strings.Join(v.Contract.Lines, "\n"))
				}
			}
			if tt.check == "" && len(v.Contract.Lines) > 0 {
				t.Errorf("lines are proposed where the contract fits:\n%s", strings.Join(v.Contract.Lines, "\n"))
			}
			g.paste(t, v)
			stdout, _ := g.must(t, cli.ExitDone, "--once", "--json")
			var pass struct{ Delivered, Confirmed int }
			if err := json.Unmarshal([]byte(stdout), &pass); err != nil || pass.Delivered != documents || pass.Confirmed != documents {
				t.Errorf("with the lines\n%s\ngot %s", strings.Join(v.Contract.Lines, "\n"), stdout)
			}
			if got := len(g.pdfs(t)); got != documents {
				t.Errorf("%d documents in the folder, want %d", got, documents)
			}
			again := g.examine(t, cli.ExitDone)
			if len(again.Contract.Lines) > 0 {
				t.Errorf("more lines after the first were taken over:\n%s", strings.Join(again.Contract.Lines, "\n"))
			}
		})
	}
}
