package askara_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"askara-sync/askara"
)

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
