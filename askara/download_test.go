package askara_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"askara-sync/askara"
)

// download fetches document A whole.
func download(t *testing.T, client *askara.Client, d askara.Document) (string, int64, error) {
	t.Helper()
	d.UUID = uuidA
	content, err := client.Download(t.Context(), d)
	if err != nil {
		return "", 0, err
	}
	defer content.Body.Close()
	body, err := io.ReadAll(content.Body)
	return string(body), content.Size, err
}

// answerJSON writes a body that calls itself JSON.
func answerJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/ld+json; charset=utf-8")
	io.WriteString(w, body)
}

func TestPDFAsBytes(t *testing.T) {
	for _, test := range []struct{ name, contentType, body string }{
		{"PDF", "application/pdf", pdf},
		{"no label", "", pdf},
		{"labelled JSON", "application/json", pdf},
		{"web page", "text/html", "<html>log in</html>"}, // whether it is a PDF is for the destination to see
		{"empty", "application/pdf", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Accept"); r.URL.Path != "/documents/"+uuidA+"/pdf" || got != "application/pdf, */*" {
					t.Errorf("got path %q, Accept %q", r.URL.Path, got)
				}
				w.Header()["Content-Type"] = []string{test.contentType}
				io.WriteString(w, test.body)
			})
			got, size, err := download(t, client, askara.Document{})
			if err != nil || got != test.body || size != int64(len(test.body)) {
				t.Errorf("got %q, size %d, %v", got, size, err)
			}
		})
	}
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush() // so that no length is announced
		io.WriteString(w, pdf)
	})
	if got, size, err := download(t, client, askara.Document{}); err != nil || got != pdf || size != -1 {
		t.Errorf("without a length: got %q, size %d, %v", got, size, err)
	}
}

func TestPDFInBase64(t *testing.T) {
	long := pdf + strings.Repeat("\x00\xff\xfe\x3e\x3f", 40000)
	standard := base64.StdEncoding.EncodeToString([]byte(long))
	escaped := strings.ReplaceAll(strings.ReplaceAll(standard, "/", `\/`), "+", `\u002b`)
	var lines strings.Builder
	for line := standard; line != ""; {
		n := min(76, len(line))
		lines.WriteString(line[:n] + `\r\n`)
		line = line[n:]
	}
	for _, test := range []struct{ name, body string }{
		{"standard", `{"content":"` + standard + `"}`},
		{"escaped", `{"content":"` + escaped + `"}`},
		{"in lines", `{"base64":"` + lines.String() + `","size":7}`},
		{"URL alphabet", `{"data":"` + base64.URLEncoding.EncodeToString([]byte(long)) + `"}`},
		{"without padding", `{"data":"` + base64.RawURLEncoding.EncodeToString([]byte(long)) + `"}`},
		{"data URL", `{"content":"data:application/pdf;base64,` + standard + `"}`},
		{"data URL in the place of a link", `{"url":"data:application\/pdf;name=\u00e9.pdf;base64,` + escaped + `"}`},
		{"after much else", `{ "a" : [ {"content":"x"}, "\\", "\"", -1.5e3 ] , "b":{"url":"https://nowhere.example/","c":null}, "d":true,
			"e":"` + strings.Repeat(`\"\\`, 20000) + strings.Repeat("x", 40000) + `\\", "content":"` + standard + `"}`},
		{"after an odd name", `{"a\"content\\":"x","content":"` + standard + `"}`},
		{"after a link", `{"url":"https://nowhere.example/","content":"` + standard + `"}`},
		{"a text first", `{"content":"Bonjour","data":"` + standard + `"}`},
		{"the answer itself", `"` + standard + `"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, test.body) })
			got, size, err := download(t, client, askara.Document{})
			if err != nil || got != long || size != -1 {
				t.Errorf("got %d bytes, size %d, %v, want %d bytes", len(got), size, err, len(long))
			}
		})
	}
}

// TestPDFAfterLongTexts puts every part of an escape on the edge of the buffer.
func TestPDFAfterLongTexts(t *testing.T) {
	for length := 32<<10 - 40; length < 32<<10; length++ {
		for _, escapes := range []string{`\"`, `\\`, `\\\"`, `\\\\`} {
			body := `{"x":"` + strings.Repeat("x", length) + escapes + `","y":"` + strings.Repeat(`\\`, 20000) + `","content":"JVBERi0xLjcK"}`
			client := newClient(t, "https://api.example", inBubble(func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, body) }))
			if got, _, err := download(t, client, askara.Document{}); err != nil || got != "%PDF-1.7\n" {
				t.Fatalf("after %d characters and %s: got %q, %v", length, escapes, got, err)
			}
		}
	}
}

func TestPDFInBase64ThatIsBroken(t *testing.T) {
	standard := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(pdf, 1000)))
	for _, test := range []struct {
		name, body string
		want       askara.Fault
	}{
		{"cut before the quote", `{"content":"` + standard[:20000], askara.FaultService},
		{"another character", `{"content":"` + standard[:20000] + `!` + standard[20000:] + `"}`, askara.FaultDocument},
		{"an escape that is none of base64", `{"content":"` + standard[:20000] + `\u00e9"}`, askara.FaultDocument},
		{"a character alone", `{"content":"` + standard[:20001] + `"}`, askara.FaultDocument},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, test.body) })
			got, _, err := download(t, client, askara.Document{})
			wantError(t, err, test.want, 200)
			if !strings.HasPrefix(got, pdf) {
				t.Errorf("got %.20q before the error", got)
			}
		})
	}
}

func TestBase64IsNotHeldInMemory(t *testing.T) {
	const size = 32 << 20
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, `{"content":"JVBERi0xLjcK`)
		chunk := strings.Repeat("QUJD", 8192)
		for range size / 3 / 8192 {
			io.WriteString(w, chunk)
		}
		io.WriteString(w, `"}`)
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	content, err := client.Download(t.Context(), askara.Document{UUID: uuidA})
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, content.Body)
	content.Body.Close()
	runtime.ReadMemStats(&after)
	if err != nil || n < size-1<<20 {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4<<20 {
		t.Errorf("%d bytes of base64 allocated %d bytes, want less than 4 MiB", n, allocated)
	}
}

func TestJSONWithoutPDF(t *testing.T) {
	for _, test := range []struct {
		body string
		want string
	}{
		{`{}`, "neither a link nor a PDF"},
		{`{"uuid":"x","patient":{"url":"https://x.example"},"list":[{"content":"JVBERi0="}],"content":"Dupont"}`, "neither a link nor a PDF"},
		{`{"url":null,"data":{},"content":[]}`, "neither a link nor a PDF"},
		{`[]`, "neither a link nor a PDF"},
		{`null`, "neither a link nor a PDF"},
		{`7`, "neither a link nor a PDF"},
		{`{"url":"` + strings.Repeat("x", 20<<10) + `"}`, "neither a link nor a PDF"},
		{`<html>Dupont`, "not JSON"},
		{`{url}`, "not JSON"},
		{`{"a" 1}`, "not JSON"},
		{strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat("}", 100), "too deeply"},
		{strings.Repeat("[", 100000), "too deeply"},
	} {
		client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, test.body) })
		_, _, err := download(t, client, askara.Document{})
		e, ok := errors.AsType[*askara.Error](err)
		if !ok || e.Fault() != askara.FaultDocument || !strings.Contains(e.Error(), test.want) || strings.Contains(e.Error(), "Dupont") {
			t.Errorf("%.60s: got %v, want %q", test.body, err, test.want)
		}
	}
}

func TestNotReady(t *testing.T) {
	for _, status := range []int{202, 204, 404, 409, 423, 425} {
		client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, _, err := download(t, client, askara.Document{})
		if e := wantError(t, err, askara.FaultNotReady, status); e.UUID != uuidA || !strings.Contains(e.Hint(), "pdf_path") {
			t.Errorf("got uuid %q, hint %q", e.UUID, e.Hint())
		}
		if client.Requests() != 1 {
			t.Errorf("%d was asked for %d times, want once", status, client.Requests())
		}
	}
}

func TestSizeLimit(t *testing.T) {
	packed := func(size int) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, "%PDF-")
		w.Write(make([]byte, size-5))
		w.Close()
		return b.Bytes()
	}
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter, size int)
	}{
		{"announced", func(w http.ResponseWriter, size int) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			io.WriteString(w, "%PDF-")
			w.Write(make([]byte, size-5))
		}},
		{"not announced", func(w http.ResponseWriter, size int) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "%PDF-")
			w.Write(make([]byte, size-5))
		}},
		{"base64", func(w http.ResponseWriter, size int) {
			answerJSON(w, `{"content":"`+base64.StdEncoding.EncodeToString(append([]byte("%PDF-"), make([]byte, size-5)...))+`"}`)
		}},
		{"compressed", func(w http.ResponseWriter, size int) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed(size))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			size := 10000
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { test.answer(w, size) },
				func(c *askara.Config) { c.MaxDocumentSize = 10000 })
			if got, _, err := download(t, client, askara.Document{}); err != nil || len(got) != size {
				t.Fatalf("at the limit: got %d bytes, %v", len(got), err)
			}
			size = 10001
			if content, err := client.Download(t.Context(), askara.Document{UUID: uuidA}); (err != nil) != (test.name == "announced") {
				t.Errorf("got %v before reading", err)
			} else if err == nil {
				content.Body.Close()
			}
			got, _, err := download(t, client, askara.Document{})
			if e := wantError(t, err, askara.FaultPermanent, 200); !strings.Contains(e.Hint(), "limits.max_document_size") {
				t.Errorf("got hint %q", e.Hint())
			}
			if len(got) > 10000 {
				t.Errorf("got %d bytes past the limit", len(got))
			}
		})
	}
}

func TestCompressedAnswers(t *testing.T) {
	for _, test := range []struct {
		encoding, body string
		want           askara.Fault
	}{
		{"gzip", "not gzip at all", askara.FaultDocument},
		{"br", "x", askara.FaultDocument},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", askara.FaultService}, // cut
	} {
		client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", test.encoding)
			io.WriteString(w, test.body)
		})
		if _, _, err := download(t, client, askara.Document{}); askara.FaultOf(err) != test.want {
			t.Errorf("%s %q: got %v", test.encoding, test.body, err)
		}
	}
}

func TestCutConnection(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if !chunked {
				w.Header().Set("Content-Length", "100000")
			}
			io.WriteString(w, pdf)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		got, _, err := download(t, client, askara.Document{})
		if e := wantError(t, err, askara.FaultService, 200); e.UUID != uuidA || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("chunked %v: got %v", chunked, err)
		}
		if got != pdf {
			t.Errorf("chunked %v: got %q before the cut", chunked, got)
		}
	}
}

func TestDownloadRefusesAnUnusableUUID(t *testing.T) {
	client, _ := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") })
	_, err := client.Download(t.Context(), askara.Document{UUID: "../../me"})
	wantError(t, err, askara.FaultPermanent, 0)
}

// FuzzJSONForPDF compares the search in the stream with encoding/json.
func FuzzJSONForPDF(f *testing.F) {
	for _, body := range []string{`{"content":"JVBERi0xLjcK"}`, `{"a":[1,{"content":"JVBERi0="}],"url":"\/x","data":"data:x;base64,JVBERi0"}`, `"JVBERi0"`, `{"url":"x"`,
		`{"content":"JVBERi\u0030\n="}`, `{"base64":"JVBERi*"}`, `{"a":"\\","b":-1e5,"c":null}`, `[[[`, ` `, `"JVBERi"0`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		client := newClient(t, "https://api.example", func(c *askara.Config) { c.MaxDocumentSize = 1 << 20 },
			inBubble(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/pdf") {
					w.WriteHeader(http.StatusGone)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				w.Write(raw)
			}))
		got, _, err := download(t, client, askara.Document{})
		if err == nil && !strings.HasPrefix(got, "%PDF") && !bytes.HasPrefix(raw, []byte("%PDF-")) {
			t.Fatalf("%q: got %q without an error", raw, got)
		}
		if err != nil {
			if e, ok := errors.AsType[*askara.Error](err); !ok || e.Fault() == askara.FaultUnexpected {
				t.Fatalf("%q: got error %v of type %T", raw, err, err)
			}
		}
		// A whole and valid answer with a clean base64 at the top must be found.
		var fields map[string]any
		if json.Unmarshal(raw, &fields) != nil || bytes.Contains(raw, []byte("\\")) {
			return
		}
		if s, ok := fields["content"].(string); ok && len(fields) == 1 && strings.Count(string(raw), `"content"`) == 1 {
			want, decodeErr := base64.StdEncoding.DecodeString(s)
			if decodeErr == nil && bytes.HasPrefix(want, []byte("%PDF-")) && (err != nil || got != string(want)) {
				t.Errorf("%q: got %q, %v", raw, got, err)
			}
		}
	})
}
