package sink_test

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"askara-sync/askara"
	"askara-sync/sink"

	"golang.org/x/text/unicode/norm"
)

const shortOf1 = "3f0e6a52"

// named is a delivery whose fields can be set one by one.
func named(set func(*askara.Delivery)) askara.Delivery {
	d := askara.Delivery{UUID: "3f0e6a52-9d1b-4c7e-8a55-1f2d3c4b5a69", Revision: 1, Account: "default", Document: askara.Document{
		Title: "Ordonnance", ValidatedAt: time.Date(2026, 1, 31, 23, 30, 0, 0, time.UTC), Patient: askara.Patient{LastName: "Martin", FirstName: "Anne"},
	}}
	if set != nil {
		set(&d)
	}
	return d
}

func title(s string) askara.Delivery { return named(func(d *askara.Delivery) { d.Document.Title = s }) }

func TestName(t *testing.T) {
	const def, onlyTitle = sink.DefaultName, "{{.Title}}"
	bare := askara.Delivery{UUID: "3f0e6a52-9d1b-4c7e-8a55-1f2d3c4b5a69", Revision: 1}
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		paris = time.FixedZone("CET", 3600)
	}
	tests := []struct {
		name, tmpl string
		d          askara.Delivery
		loc        *time.Location
		want       string
	}{
		{"ordinary", def, named(nil), time.UTC, "2026-01-31_Martin_Ordonnance_" + shortOf1 + ".pdf"},
		{"time zone", def, named(nil), paris, "2026-02-01_Martin_Ordonnance_" + shortOf1 + ".pdf"},
		{"nothing known", def, bare, time.UTC, shortOf1 + ".pdf"},
		{"no patient", def, named(func(d *askara.Delivery) { d.Document.Patient = askara.Patient{UUID: "x"} }), time.UTC,
			"2026-01-31_Ordonnance_" + shortOf1 + ".pdf"},
		{"no title", def, title(""), time.UTC, "2026-01-31_Martin_" + shortOf1 + ".pdf"},
		{"discovery date", def, named(func(d *askara.Delivery) {
			d.Document.ValidatedAt, d.DiscoveredAt = time.Time{}, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		}), time.UTC, "2026-03-01_Martin_Ordonnance_" + shortOf1 + ".pdf"},
		{"revision", def, named(func(d *askara.Delivery) { d.Revision = 2 }), time.UTC, "2026-01-31_Martin_Ordonnance_" + shortOf1 + "_r2.pdf"},
		{"revision shown", "{{.Title}} v{{.Revision}}", named(func(d *askara.Delivery) { d.Revision = 2 }), time.UTC, "Ordonnance v2.pdf"},
		{"empty", onlyTitle, title(""), time.UTC, "document_" + shortOf1 + ".pdf"},
		{"nothing printable", onlyTitle, title("\u202e\u200b\x00 \u3164"), time.UTC, "document_" + shortOf1 + ".pdf"},
		{"traversal", onlyTitle, title("../../etc/passwd"), time.UTC, "etc-passwd.pdf"},
		{"look-alike separators", onlyTitle, title("a∕b⁄c＼d"), time.UTC, "a-b-c-d.pdf"},
		{"windows characters", onlyTitle, title(`Bilan: "urgent" <a|b>?*`), time.UTC, "Bilan- urgent a-b.pdf"},
		{"device", onlyTitle, title("con"), time.UTC, "document_con.pdf"},
		{"device with extension", onlyTitle, title("NUL .x"), time.UTC, "document_NUL .x.pdf"},
		{"port", onlyTitle, title("Lpt¹"), time.UTC, "document_Lpt¹.pdf"},
		{"no device", onlyTitle, title("COM10"), time.UTC, "COM10.pdf"},
		{"hidden", onlyTitle, title(".ssh"), time.UTC, "ssh.pdf"},
		{"option", onlyTitle, title("-rf"), time.UTC, "rf.pdf"},
		{"trailing dots", onlyTitle, title("fin. . ."), time.UTC, "fin.pdf"},
		{"own extension", onlyTitle + ".pdf", title("scan.PDF"), time.UTC, "scan.pdf"},
		{"line breaks", onlyTitle, title("une\r\n\tdeux"), time.UTC, "une deux.pdf"},
		{"decomposed", onlyTitle, title("e\u0301te\u0301"), time.UTC, "été.pdf"},
		{"bidi", onlyTitle, title("a\u202egnp.exe\u2069b"), time.UTC, "agnp.exeb.pdf"},
		{"bad utf-8", onlyTitle, title("a\xff\xfeb"), time.UTC, "ab.pdf"},
		{"template in a field", onlyTitle, title("{{.UUID}}"), time.UTC, "{{.UUID}}.pdf"},
		{"missing piece between dashes", "{{.Title}} - {{.Type}} - {{.ShortID}}", named(nil), time.UTC, "Ordonnance - " + shortOf1 + ".pdf"},
		{"functions", `{{upper .Patient.LastName}}_{{default "sans titre" .Type}}_{{truncate 3 .Title}}_{{printf "%03d" .Revision}}`, named(nil), time.UTC,
			"MARTIN_sans titre_Ord_001.pdf"},
		{"with", "{{with .Patient}}{{.LastName}}{{end}}{{if .Type}}_{{.Type}}{{else}}_x{{end}}", named(nil), time.UTC, "Martin_x.pdf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := sink.ParseName(tt.tmpl)
			if err != nil {
				t.Fatal(err)
			}
			got := n.Of(tt.d, tt.loc)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			wantUsable(t, got)
		})
	}
}

func TestLongNameKeepsItsIdentifier(t *testing.T) {
	n, err := sink.ParseName(sink.DefaultName)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{strings.Repeat("long ", 100), strings.Repeat("é", 300), strings.Repeat("e\u0323\u0302", 300),
		"a" + strings.Repeat("\u0301", 2000), strings.Repeat("字", 300), strings.Repeat("👩‍⚕️", 100)} {
		d := named(func(d *askara.Delivery) { d.Document.Title, d.Document.Patient.LastName, d.Revision = text, text, 12 })
		got := n.Of(d, time.UTC)
		wantUsable(t, got)
		if !strings.HasSuffix(got, "_"+shortOf1+"_r12.pdf") || !strings.HasPrefix(got, "2026-01-31_") {
			t.Errorf("got %q", got)
		}
	}
}

func TestLongTemplateKeepsItsIdentifier(t *testing.T) {
	n, err := sink.ParseName(strings.Repeat("x", 300) + "_{{.Title}}_{{.ShortID}}")
	if err != nil {
		t.Fatal(err)
	}
	got := n.Of(named(nil), time.UTC)
	wantUsable(t, got)
	if !strings.HasSuffix(got, "_"+shortOf1+".pdf") {
		t.Errorf("got %q", got)
	}
}

func TestShortID(t *testing.T) {
	for uuid, want := range map[string]string{
		"3F0E6A52-9D1B-4C7E-8A55-1F2D3C4B5A69": "3f0e6a52",
		// Documents made within a minute share the front of a version 7 uuid.
		"0197d3a0-1b2c-7d3e-8f40-5a6b7c8d9e0f": "7c8d9e0f",
		"0197d3a0-1b2c-7d3e-8f40-5a6b7c8d9e10": "7c8d9e10",
		"../../etc":                            "74ccf3c5",
		"":                                     "e3b0c442",
	} {
		got := sink.ShortID(uuid)
		if got != want {
			t.Errorf("%q: got %q, want %q", uuid, got, want)
		}
	}
	if sink.ShortID("01ARZ3NDEKTSV4RRFFQ69G5FAV") == sink.ShortID("01ARZ3NDEKTSV4RRFFQ69G5FAW") {
		t.Error("two ULIDs share an identifier")
	}
}

func TestParseNameRefuses(t *testing.T) {
	for tmpl, want := range map[string]string{
		"":                                     "empty",
		" ":                                    "empty",
		"{{.Title":                             "unclosed",
		"{{.Titel}}":                           "unknown field .Titel",
		"{{if .Title}}{{.Patient.Nom}}{{end}}": "unknown field .Patient.Nom",
		"{{$.Nom}}":                            "unknown field .Nom",
		"{{.Organization.Name}}/{{.Title}}":    "sub-folder",
		`{{.Title}}\x`:                         "sub-folder",
		"{{range 1000000000}}{{end}}":          "cannot be used",
		`{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`: "another template",
		"{{html .Title}}":         "cannot be used",
		"{{call .Title}}":         "cannot be used",
		"{{nope .Title}}":         "not defined",
		`{{printf "%999999d" 1}}`: "width",
		`{{printf "%*d" 9999 1}}`: "width",
		"{{.Date.t}}":             "",
		"{{.Date.Add 5}}":         "unknown field",
		"{{.Title.Foo}}":          "unknown field",
		strings.Repeat("a", 3000): "longer",
	} {
		_, err := sink.ParseName(tmpl)
		if err == nil {
			t.Errorf("%.60q was accepted", tmpl)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %q, want %q in it", tmpl, err, want)
		}
	}
}

// wantUsable checks what every name promises.
func wantUsable(t testing.TB, name string) {
	t.Helper()
	bad := func(why string) { t.Helper(); t.Errorf("%q %s", name, why) }
	if filepath.Base(name) != name || strings.ContainsAny(name, `/\<>:"|?*`) {
		bad("leaves its folder or is refused by Windows")
	}
	if len(name)+len(" (99)")+len(".json")-len(".pdf") > 255 {
		bad("is too long")
	}
	if !utf8.ValidString(name) || !norm.NFC.IsNormalString(name) {
		bad("is not UTF-8 in form NFC")
	}
	stem, ok := strings.CutSuffix(name, ".pdf")
	if !ok || stem == "" {
		bad("is no PDF's name")
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			bad("holds what cannot be seen")
		}
	}
	if strings.TrimLeft(name, " .-~") != name || strings.TrimRight(stem, " .") != stem || strings.Contains(name, "  ") {
		bad("begins or ends badly")
	}
	first, _, _ := strings.Cut(strings.ToUpper(stem), ".")
	switch first = strings.TrimRight(first, " "); {
	case first == "CON", first == "PRN", first == "AUX", first == "NUL", first == "CONIN$", first == "CONOUT$",
		(strings.HasPrefix(first, "COM") || strings.HasPrefix(first, "LPT")) && utf8.RuneCountInString(first) == 4 && strings.ContainsAny(first[3:], "0123456789¹²³"):
		bad("is a device of Windows")
	}
}

// hostile are texts that names have tripped over.
var hostile = []string{"", "../../x", "con", "NUL.txt", "COM¹", "a\x00b", "\u202egnp.exe", "  .. ", "-rf", "e\u0301", strings.Repeat("é", 400), "a\xff",
	"{{.}}", "_r2", "x (2)", "~$x", "\u1112\u1161\u11ab", "ﬁ", "İ", "ß", "👩‍⚕️", "__ - _-", ".pdf.pdf", "\u2028", "CON .x", "aux\u0301"}

func FuzzName(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, s, hostile[(i+7)%len(hostile)], i, int64(i)*1e9)
	}
	f.Add("x", "con."+strings.Repeat("a", 231)+" bbbbb", "", 1, int64(0))
	f.Add("x", strings.Repeat("a", 116), "con."+strings.Repeat("a", 110), 1, int64(-62135596800))
	f.Add("t", strings.Repeat("a", 116), "con."+strings.Repeat("a", 110), 82, int64(-62135596800))
	var names []*sink.Name
	for _, tmpl := range []string{sink.DefaultName, "{{.Title}}", "{{.UUID}} {{.Patient.FirstName}}", "{{.Title}}.{{.Revision}}"} {
		n, err := sink.ParseName(tmpl)
		if err != nil {
			f.Fatal(err)
		}
		names = append(names, n)
	}
	f.Fuzz(func(t *testing.T, uuid, title, patient string, revision int, at int64) {
		d := askara.Delivery{UUID: uuid, Revision: revision, Document: askara.Document{
			Title: title, UpdatedAt: time.Unix(at, 0), Patient: askara.Patient{LastName: patient, FirstName: title},
		}}
		for i, n := range names {
			name := n.Of(d, time.UTC)
			wantUsable(t, name)
			if i == 0 && !strings.Contains(name, sink.ShortID(uuid)) {
				t.Errorf("%q does not hold the identifier", name)
			}
			if again := n.Of(d, time.UTC); again != name {
				t.Errorf("got %q, then %q", name, again)
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{sink.DefaultName, "{{.Title}}", `{{$x := print .Title .Title}}{{$x = print $x $x}}{{$x}}`, `{{replace "" .Title .Title}}`,
		`{{with .Patient}}{{.LastName}}{{end}}`, `{{printf "%s-%5.2v" .Title .Date}}`, `{{.Date.Format "2006/01/02"}}`, "{{range .}}{{end}}", "{{/* x */}}", "{{len .Title}}"} {
		f.Add(s)
	}
	f.Add("con." + strings.Repeat("a", 231) + " bbbbb")
	f.Add(`{{$x := replace "" "éééééééééé" .Title}}{{$x := print $x $x $x $x}}{{$x := printf "` + strings.Repeat("%[1]+q", 300) + `" $x}}{{$x}}`)
	f.Fuzz(func(t *testing.T, tmpl string) {
		n, err := sink.ParseName(tmpl)
		if err != nil {
			return
		}
		for _, s := range hostile {
			wantUsable(t, n.Of(askara.Delivery{UUID: s, Document: askara.Document{Title: s}}, time.UTC))
			wantUsable(t, n.Of(title(s), time.UTC))
		}
	})
}

// TestPlainTextsAreCleanedAsAllOthers: a character that shows nothing changes no name, so that the short way for plain texts and the long
// one for all others come to the same.
func TestPlainTextsAreCleanedAsAllOthers(t *testing.T) {
	name, err := sink.ParseName("{{.Title}}")
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		title := make([]byte, random.IntN(12))
		for i := range title {
			title[i] = byte(random.IntN(0x84))
			if random.IntN(3) == 0 {
				title[i] = " /\\:|*?<>\"._-~ "[random.IntN(15)]
			}
		}
		of := func(text string) string {
			return name.Of(askara.Delivery{UUID: "x", Document: askara.Document{Title: text}}, time.UTC)
		}
		if short, long := of(string(title)), of(string(title)+"\u200b"); short != long {
			t.Fatalf("%q becomes %q, with a character that shows nothing %q", title, short, long)
		}
	}
}
