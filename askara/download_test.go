package askara_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
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

// elsewhere is another host that keeps files, and remembers what it was shown.
func elsewhere(t *testing.T, answer http.HandlerFunc) (*httptest.Server, *[]http.Header) {
	t.Helper()
	var seen []http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Clone())
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server, &seen
}

func TestTokenStaysWithTheAPI(t *testing.T) {
	files, seen := elsewhere(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, pdf) })
	link := files.URL + "/x.pdf?signature=1"
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		change func(*askara.Contract)
		d      askara.Document
		sent   int64 // to the API
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, link, http.StatusFound) }, nil, askara.Document{}, 1},
		{"redirect that keeps the method", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, link, http.StatusTemporaryRedirect)
		}, nil, askara.Document{}, 1},
		{"two redirects", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hop" {
				http.Redirect(w, r, link, http.StatusFound)
				return
			}
			http.Redirect(w, r, prefix+"/hop", http.StatusFound)
		}, nil, askara.Document{}, 2},
		{"link in JSON", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, `{"downloadUrl":"`+link+`"}`) }, nil, askara.Document{}, 1},
		{"link in the place of base64", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, `{"data":"`+link+`"}`) }, nil, askara.Document{}, 1},
		{"link without an object", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, `"`+link+`"`) }, nil, askara.Document{}, 1},
		{"link in the listed document", func(http.ResponseWriter, *http.Request) { t.Error("the API was asked") },
			func(c *askara.Contract) { c.PDFPath = "" }, askara.Document{Link: link}, 0},
		{"link in the document asked for", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/documents/"+uuidA {
				t.Errorf("got path %q", r.URL.Path)
			}
			answerJSON(w, `{"uuid":"`+uuidA+`","content":"Bonjour","fileUrl":"`+link+`"}`)
		}, func(c *askara.Contract) { c.PDFPath = "" }, askara.Document{}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			*seen = nil
			limit := &limiter{}
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "" {
					t.Error("the API was asked without the token")
				}
				test.answer(w, r)
			}, func(c *askara.Config) {
				c.Limiter = limit
				if test.change != nil {
					test.change(&c.Contract)
				}
			})
			if got, _, err := download(t, client, test.d); err != nil || got != pdf {
				t.Fatalf("got %q, %v", got, err)
			}
			if len(*seen) != 1 {
				t.Fatalf("the other host was asked %d times, want once", len(*seen))
			}
			for _, name := range []string{"Authorization", "Cookie", "Referer"} {
				if got := (*seen)[0].Get(name); got != "" {
					t.Errorf("the other host was shown %s: %q", name, got)
				}
			}
			if client.Requests() != test.sent || int64(len(limit.taken)) != test.sent {
				t.Errorf("counted %d requests, took %d, want %d", client.Requests(), len(limit.taken), test.sent)
			}
		})
	}
}

func TestListAndConfirmAreNotRedirectedElsewhere(t *testing.T) {
	files, seen := elsewhere(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[]") })
	var target string
	methods := map[string]int{}
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		methods[r.Method]++
		if r.URL.Path == "/moved" {
			io.WriteString(w, "[]")
			return
		}
		http.Redirect(w, r, target, http.StatusFound)
	})
	target = files.URL
	_, err := client.List(t.Context(), askara.Query{})
	wantError(t, err, askara.FaultService, http.StatusFound)
	target = prefix + "/moved"
	if _, err := client.List(t.Context(), askara.Query{}); err != nil {
		t.Errorf("within the host: %v", err)
	}
	// net/http would turn it into a GET, whose success confirms nothing.
	_, err = client.Confirm(t.Context(), uuidA, askara.Outcome{})
	wantError(t, err, askara.FaultService, http.StatusFound)
	if len(*seen) != 0 || methods["PATCH"] != 1 || methods["GET"] != 3 {
		t.Errorf("the other host was asked %d times; got %v", len(*seen), methods)
	}
}

func TestLinksOnTheSameHostCarryTheToken(t *testing.T) {
	for _, link := range []string{prefix + "/files/x.pdf", "file", "https://API.example:443/v1/files/x.pdf"} {
		client := newClient(t, "https://api.example"+prefix, inBubble(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer token-1" {
				t.Errorf("%s was asked for without the token", r.URL)
			}
			if strings.HasSuffix(r.URL.Path, "/pdf") {
				answerJSON(w, `{"contentUrl":"`+link+`"}`)
				return
			}
			if r.URL.Path != prefix+"/files/x.pdf" && r.URL.Path != prefix+"/documents/"+uuidA+"/file" {
				t.Errorf("link %q leads to %q", link, r.URL.Path)
			}
			io.WriteString(w, pdf)
		}))
		if got, _, err := download(t, client, askara.Document{}); err != nil || got != pdf || client.Requests() != 2 {
			t.Errorf("link %q: got %q, %d requests, %v", link, got, client.Requests(), err)
		}
	}
}

func TestTokenIsTiedToSchemeAndPort(t *testing.T) {
	for _, link := range []string{"https://api.example:8443/x", "https://api.example.evil.example/x", "https://files.api.example/x"} {
		client := newClient(t, "https://api.example", inBubble(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Host == "api.example" {
				http.Redirect(w, r, link, http.StatusFound)
				return
			}
			if got := r.Header.Get("Authorization"); got != "" {
				t.Errorf("%s was shown the token", r.URL)
			}
			io.WriteString(w, pdf)
		}))
		if got, _, err := download(t, client, askara.Document{}); err != nil || got != pdf {
			t.Errorf("link %q: got %q, %v", link, got, err)
		}
	}
}

func TestLinksThatAreNotFollowed(t *testing.T) {
	for _, link := range []string{"http://api.example/x", "http://files.example/x", "ftp://files.example/x", "file:///etc/passwd", "javascript:0", "https:x",
		"http://[::1", "//"} {
		for _, redirect := range []bool{false, true} {
			client := newClient(t, "https://api.example", inBubble(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/pdf") {
					t.Errorf("%q was followed to %s", link, r.URL)
				}
				if redirect {
					w.Header().Set("Location", link)
					w.WriteHeader(http.StatusFound)
					return
				}
				answerJSON(w, `{"url":"`+link+`"}`)
			}))
			_, _, err := download(t, client, askara.Document{})
			if e, ok := errors.AsType[*askara.Error](err); !ok || e.Fault() != askara.FaultDocument && !redirect {
				t.Errorf("link %q, redirect %v: got %v", link, redirect, err)
			}
			if err != nil && strings.Contains(err.Error(), "example") {
				t.Errorf("the error holds the address: %v", err)
			}
		}
	}
}

func TestRedirectsAndLinksEnd(t *testing.T) {
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, prefix+r.URL.Path+"x", http.StatusFound)
	})
	_, _, err := download(t, client, askara.Document{})
	wantError(t, err, askara.FaultDocument, 0)
	if got := client.Requests(); got != 5 {
		t.Errorf("followed to request %d, want 5", got)
	}
	client, _ = serve(t, func(w http.ResponseWriter, r *http.Request) { answerJSON(w, `{"url":"again"}`) })
	if _, _, err = download(t, client, askara.Document{}); client.Requests() != 2 {
		t.Errorf("followed links for %d requests, want 2", client.Requests())
	}
	wantError(t, err, askara.FaultDocument, 0)
}

func TestExpiredLinkIsAskedForAgain(t *testing.T) {
	files, _ := elsewhere(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Error(w, "<Code>AccessDenied</Code>", http.StatusForbidden)
			return
		}
		io.WriteString(w, pdf)
	})
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, `{"uuid":"`+uuidA+`","url":"`+files.URL+`/new"}`)
	},
		func(c *askara.Config) { c.Contract.PDFPath = "" })
	if got, _, err := download(t, client, askara.Document{Link: files.URL + "/old"}); err != nil || got != pdf {
		t.Errorf("got %q, %v", got, err)
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
