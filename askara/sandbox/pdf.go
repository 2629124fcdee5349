package sandbox

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// pdfFile is a PDF in memory: what is the document's own, around padding that all documents share.
type pdfFile struct {
	head, tail []byte
	noise      []byte // what the padding repeats
	pad        int
}

func (f *pdfFile) size() int { return len(f.head) + f.pad + len(f.tail) }

// WriteTo implements io.WriterTo.
func (f *pdfFile) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(f.head)
	written := int64(n)
	for left := f.pad; left > 0 && err == nil; left -= n {
		n, err = w.Write(f.noise[:min(left, len(f.noise))])
		written += int64(n)
	}
	if err != nil || len(f.tail) == 0 {
		return written, err
	}
	n, err = w.Write(f.tail)
	return written + int64(n), err
}

func (f *pdfFile) bytes() []byte {
	b := make([]byte, 0, f.size())
	b = append(b, f.head...)
	for left := f.pad; left > 0; left -= len(f.noise) {
		b = append(b, f.noise[:min(left, len(f.noise))]...)
	}
	return append(b, f.tail...)
}

func (f *pdfFile) sum() [32]byte {
	h := sha256.New()
	f.WriteTo(h)
	return [32]byte(h.Sum(nil))
}

// makePDF sets the document in type: a letter, a prescription or an estimate of one page A4, or a few lines where Size asks for
// less than that takes. The same document and revision always give the same bytes.
func makePDF(d *Document, revision int, noise []byte) *pdfFile {
	if d.Bytes != nil {
		return &pdfFile{head: d.Bytes}
	}
	f := assemble(d, revision, setInType(d, revision), 0, d.Size > 0, noise)
	if d.Size == 0 {
		return f
	}
	if f.size() > d.Size {
		f = assemble(d, revision, note(d, revision), 0, true, noise)
	}
	if pad := d.Size - f.size(); pad > 0 {
		f = assemble(d, revision, f.content(), pad, true, noise)
	}
	return f
}

// content finds the page's content in what assemble made.
func (f *pdfFile) content() string {
	_, rest, _ := strings.Cut(string(f.head), "stream\n")
	content, _, _ := strings.Cut(rest, "\nendstream")
	return content
}

// assemble writes the file around one page's content. Every number that depends on the padding has a fixed width, so that the
// size is exactly that without padding, and pad more.
func assemble(d *Document, revision int, content string, pad int, padded bool, noise []byte) *pdfFile {
	objects := []string{
		"<</Type/Catalog/Pages 2 0 R/Lang(fr-FR)>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595.28 841.89]/Contents 4 0 R/Resources<</Font<</F1 5 0 R/F2 6 0 R>>>>>>",
		"<</Length " + strconv.Itoa(len(content)) + ">>stream\n" + content + "\nendstream",
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>",
		"<</Title" + pdfString(headline(d)) + "/Creator(Askara sandbox)/CreationDate(D:" + d.day().UTC().Format("20060102150405Z") + ")>>",
	}
	if padded {
		objects = append(objects, fmt.Sprintf("<</Length %010d>>stream\n", pad))
	}
	b := []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = len(b)
		b = append(strconv.AppendInt(b, int64(i+1), 10), " 0 obj\n"...)
		b = append(b, o...)
		if !padded || i < len(objects)-1 {
			b = append(b, "\nendobj\n"...)
		}
	}
	var t []byte
	if padded {
		t = append(t, "\nendstream\nendobj\n"...)
	}
	start := len(b) + pad + len(t)
	t = fmt.Appendf(t, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, at := range offsets {
		t = fmt.Appendf(t, "%010d 00000 n \n", at)
	}
	id := sha256.Sum256([]byte(d.UUID))
	t = fmt.Appendf(t, "trailer\n<</Size %d/Root 1 0 R/Info 7 0 R/ID[<%x><%x%02x>]>>\nstartxref\n%010d\n%%%%EOF\n", len(objects)+1,
		id[:16], id[:15], byte(revision), start)
	return &pdfFile{head: b, pad: pad, tail: t, noise: noise}
}

// day is the date a document bears.
func (d *Document) day() time.Time {
	for _, t := range []time.Time{d.ValidatedAt, d.CreatedAt, d.UpdatedAt} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Date(2026, time.February, 24, 10, 30, 0, 0, time.UTC)
}

// canvas collects the operators of a page. Its origin is the bottom left corner, its unit the point.
type canvas struct {
	b    []byte
	y    float64 // where the next paragraph goes
	font int
	size float64
	ink  string
}

// Fonts, and the widths of A4 and its margins.
const (
	regular   = 1
	bold      = 2
	pageWidth = 595.28
	margin    = 62.0
	measure   = pageWidth - 2*margin
)

// Inks.
const (
	black = "0.13 0.16 0.18"
	grey  = "0.42 0.46 0.48"
	teal  = "0.05 0.42 0.36"
	pale  = "0.92 0.96 0.95"
)

// set chooses how what follows is written.
func (c *canvas) set(font int, size float64, ink string) { c.font, c.size, c.ink = font, size, ink }

// text writes one line from x on, its baseline at y.
func (c *canvas) text(x, y float64, s string) {
	c.b = fmt.Appendf(c.b, "%s rg BT /F%d %g Tf %.2f %.2f Td %s Tj ET\n", c.ink, c.font, c.size, x, y, pdfString(s))
}

// right writes one line that ends at x.
func (c *canvas) right(x, y float64, s string) { c.text(x-c.width(s), y, s) }

// width of s as it would be written, in points.
func (c *canvas) width(s string) float64 {
	table := &helvetica
	if c.font == bold {
		table = &helveticaBold
	}
	sum := 0
	for _, b := range winAnsi(s) {
		sum += glyphWidth(table, b)
	}
	return float64(sum) * c.size / 1000
}

// clip shortens s until it is no wider than width.
func (c *canvas) clip(s string, width float64) string {
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300])
	}
	for c.width(s) > width {
		r := []rune(strings.TrimSuffix(s, "…"))
		s = string(r[:len(r)-1]) + "…"
	}
	return s
}

// paragraph sets text from x on in lines no wider than width, from c.y downward.
func (c *canvas) paragraph(x, width float64, text string) {
	line := ""
	flush := func() {
		c.text(x, c.y, c.clip(line, width))
		c.y -= c.size * 1.42
	}
	for word := range strings.SplitSeq(text, " ") {
		longer := word
		if line != "" {
			longer = line + " " + word
		}
		if line != "" && c.width(longer) > width {
			flush()
			longer = word
		}
		line = longer
	}
	flush()
}

// rule draws a line, box fills a rectangle.
func (c *canvas) rule(x1, y, x2, weight float64, ink string) {
	c.b = fmt.Appendf(c.b, "%s RG %g w %.2f %.2f m %.2f %.2f l S\n", ink, weight, x1, y, x2, y)
}

func (c *canvas) box(x, y, w, h float64, ink string) {
	c.b = fmt.Appendf(c.b, "%s rg %.2f %.2f %.2f %.2f re f\n", ink, x, y, w, h)
}

// pdfString is s as a literal string.
func pdfString(s string) string {
	b := []byte{'('}
	for _, c := range winAnsi(s) {
		if c == '(' || c == ')' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return string(append(b, ')'))
}
