package sandbox_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"askara-sync/askara/sandbox"
)

// bytesOf fetches a document that has just been added.
func bytesOf(t *testing.T, d sandbox.Document) []byte {
	t.Helper()
	b := connect(t, sandbox.Config{})
	return b.get("/documents/" + b.s.AddDocument(d) + "/pdf").body
}

// checkPDF follows a file's structure from its end, as a viewer does.
func checkPDF(t *testing.T, b []byte) {
	t.Helper()
	want(t, "begins and ends as a PDF", isPDF(b), true)
	m := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(b)
	if m == nil {
		t.Fatal("no startxref")
	}
	start, _ := strconv.Atoi(string(m[1]))
	if start >= len(b) || !bytes.HasPrefix(b[start:], []byte("xref\n0 ")) {
		t.Fatalf("startxref %d leads nowhere", start)
	}
	table := string(b[start:])
	m = regexp.MustCompile(`^xref\n0 (\d+)\n`).FindSubmatch(b[start:])
	n, _ := strconv.Atoi(string(m[1]))
	table = table[len(m[0]):]
	for i := range n {
		entry := table[i*20 : i*20+20]
		if !regexp.MustCompile(`^\d{10} \d{5} [nf] \n$`).MatchString(entry) {
			t.Fatalf("entry %d is %q", i, entry)
		}
		at, _ := strconv.Atoi(entry[:10])
		if object := fmt.Sprintf("%d 0 obj\n", i); i > 0 && !bytes.HasPrefix(b[at:], []byte(object)) {
			t.Errorf("object %d is not at %d: %.20q", i, at, b[at:])
		}
	}
	want(t, "trailer", strings.HasPrefix(table[n*20:], "trailer\n<</Size "+strconv.Itoa(n)+"/Root 1 0 R"), true)
	want(t, "id", regexp.MustCompile(`/ID\[<[0-9a-f]{32}><[0-9a-f]{32}>\]`).MatchString(table), true)
	streams := regexp.MustCompile(`<</Length (\d+)>>stream\n`).FindAllSubmatchIndex(b[:start], -1)
	if len(streams) == 0 {
		t.Error("no stream")
	}
	for _, s := range streams {
		length, _ := strconv.Atoi(string(b[s[2]:s[3]]))
		want(t, "end of a stream", string(b[s[1]+length:s[1]+length+17]), "\nendstream\nendobj")
	}
}

func TestPDFsAreWhole(t *testing.T) {
	for _, d := range []sandbox.Document{
		{Type: "consultation_letter"}, {Type: "prescription"}, {Type: "estimate"}, {Type: "something new"},
		{Type: "consultation_letter", Size: 2 << 10}, {Type: "estimate", Size: 200 << 10}, {Size: 1 << 20}, {Size: 9999}, {Size: 10000},
		{Patient: sandbox.Patient{FirstName: strings.Repeat("É)(\\", 2000), LastName: "\u202e😀\x00\xff"}},
	} {
		t.Run(fmt.Sprintf("%s %d", d.Type, d.Size), func(t *testing.T) {
			b := bytesOf(t, d)
			checkPDF(t, b)
			if d.Size > 0 {
				want(t, "size", len(b), d.Size)
			}
		})
	}
}

func TestPDFsNameThePatientAndTheDay(t *testing.T) {
	p := sandbox.Patient{UUID: "p", FirstName: "Hélène", LastName: "Bœuf", Gender: "female", DateOfBirth: day}
	for _, typ := range []string{"consultation_letter", "prescription", "estimate"} {
		for _, size := range []int{0, 2 << 10, 50 << 10} {
			b := bytesOf(t, sandbox.Document{Type: typ, Patient: p, ValidatedAt: day, Size: size})
			// in WinAnsi, where é is E9, è is E8 and œ is 9C
			for _, text := range []string{"Mme H\xe9l\xe8ne B\x9cuf, n\xe9e le 24 f\xe9vrier 2026", "le 24 f\xe9vrier 2026) Tj"} {
				want(t, fmt.Sprintf("%s of %d bytes says %q", typ, size, text), bytes.Contains(b, []byte(text)), true)
			}
		}
	}
	b := bytesOf(t, sandbox.Document{Type: "estimate"})
	want(t, "euros", bytes.Contains(b, []byte("(1\xa0839,65\xa0\x80) Tj")), true)
}

func TestPDFsAreAlwaysTheSame(t *testing.T) {
	d := sandbox.Document{UUID: "9f0c", UpdatedAt: day, Size: 4 << 10}
	want(t, "same", bytes.Equal(bytesOf(t, d), bytesOf(t, d)), true)
	e := d
	e.UUID = "9f0d"
	want(t, "other", bytes.Equal(bytesOf(t, d), bytesOf(t, e)), false)
	own := sandbox.Document{Bytes: []byte("%PDF-1.4 mine")}
	want(t, "own bytes", string(bytesOf(t, own)), "%PDF-1.4 mine")
}
