package askara_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
)

func TestListQuery(t *testing.T) {
	since := time.Date(2026, 2, 24, 11, 30, 0, 0, time.FixedZone("", 3600))
	for _, test := range []struct {
		name   string
		query  askara.Query
		change func(*askara.Contract)
		want   []string // name=value, in order
		asked  int
	}{
		{"first page", askara.Query{}, nil, []string{"itemsPerPage=100", "page=1", "order[updatedAt]=asc", "order[uuid]=asc"}, 100},
		{"since", askara.Query{Since: since, Page: 3}, nil, []string{"itemsPerPage=100", "page=3", "order[updatedAt]=asc", "order[uuid]=asc",
			"updatedAt[gte]=2026-02-24T10:30:00+00:00"}, 100},
		// A bound without its fraction would show a page full of one second for ever.
		{"fraction", askara.Query{Since: since.Add(123456789)}, nil, []string{"itemsPerPage=100", "page=1", "order[updatedAt]=asc", "order[uuid]=asc",
			"updatedAt[gte]=2026-02-24T10:30:00.123456+00:00"}, 100},
		// Sorted, order[uuid] would come first, and the server would order by it.
		{"other order field", askara.Query{Since: since}, func(c *askara.Contract) { c.OrderField = "validatedAt" },
			[]string{"itemsPerPage=100", "page=1", "order[validatedAt]=asc", "order[uuid]=asc", "validatedAt[gte]=2026-02-24T10:30:00+00:00"}, 100},
		{"other bound", askara.Query{Since: since}, func(c *askara.Contract) { c.SinceParameter = "{order_field}[after]" },
			[]string{"itemsPerPage=100", "page=1", "order[updatedAt]=asc", "order[uuid]=asc", "updatedAt[after]=2026-02-24T10:30:00+00:00"}, 100},
		{"extras", askara.Query{}, func(c *askara.Contract) {
			c.Query = map[string]string{"status": "validated", "exists[patient]": "true", "itemsPerPage": "30", "order[uuid]": "desc", "q": "a&b=c d"}
		}, []string{"itemsPerPage=30", "page=1", "order[updatedAt]=asc", "order[uuid]=desc", "exists[patient]=true", "q=a&b=c d", "status=validated"}, 30},
		{"query in the path", askara.Query{}, func(c *askara.Contract) { c.DocumentsPath = "documents?kind=pdf" },
			[]string{"kind=pdf", "itemsPerPage=100", "page=1", "order[updatedAt]=asc", "order[uuid]=asc"}, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/documents" {
					t.Errorf("got path %q", r.URL.Path)
				}
				for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
					decoded, err := url.QueryUnescape(pair) // one by one: their order counts
					if err != nil {
						t.Error(err)
					}
					got = append(got, decoded)
				}
				io.WriteString(w, "[]")
			}, func(c *askara.Config) {
				if test.change != nil {
					test.change(&c.Contract)
				}
			})
			page, err := client.List(t.Context(), test.query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
			if page.Asked != test.asked {
				t.Errorf("got asked %d, want %d", page.Asked, test.asked)
			}
		})
	}
}

func TestListDialects(t *testing.T) {
	const a, b = `{"uuid":"` + uuidA + `"}`, `{"uuid":"` + uuidB + `"}`
	for _, test := range []struct {
		name, body string
		documents  int
		malformed  int
	}{
		{"bare array", `[` + a + `,` + b + `]`, 2, 0},
		{"empty", `[]`, 0, 0},
		{"spaces", " \r\n\t[ \n " + a + " ,\t" + b + " ] \n", 2, 0},
		{"JSON-LD", `{"@context":"/x","totalItems":2,"member":[` + a + `,` + b + `],"view":{"next":"/documents?page=2"}}`, 2, 0},
		{"JSON-LD of version 3", `{"hydra:totalItems":2,"hydra:member":[` + a + `,` + b + `],"hydra:search":{"hydra:mapping":[]}}`, 2, 0},
		{"empty JSON-LD", `{"member":[]}`, 0, 0},
		{"one of each kind of nonsense", `[` + a + `,null,7,"x",true,[],{},{"uuid":7.5},{"uuid":["` + uuidA + `"]},[[{}]],{"a":"]"},` + b + `]`, 2, 10},
		{"one huge item", `[` + a + `,{"uuid":"` + uuidB + `","x":"` + strings.Repeat(`\"`, 1<<20) + `"}]`, 2, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, test.body) })
			page, err := client.List(t.Context(), askara.Query{})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Documents) != test.documents || page.Malformed != test.malformed || page.Len() != test.documents+test.malformed {
				t.Fatalf("got %d documents, %d malformed, want %d, %d", len(page.Documents), page.Malformed, test.documents, test.malformed)
			}
			if test.documents > 0 && (page.Documents[0].UUID != uuidA || page.Documents[1].UUID != uuidB) {
				t.Errorf("got %q, %q", page.Documents[0].UUID, page.Documents[1].UUID)
			}
		})
	}
}

func TestListAnswersThatAreNoList(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   string
	}{
		{"web page", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, "<html>Dupont</html>")
		}, "a web page"},
		{"empty", func(http.ResponseWriter) {}, "empty"},
		{"cut JSON", func(w http.ResponseWriter) { io.WriteString(w, `[{"uuid":"`+uuidA+`"},`) }, "not JSON"},
		{"trailing garbage", func(w http.ResponseWriter) { io.WriteString(w, `[] x`) }, "not JSON"},
		{"object", func(w http.ResponseWriter) { io.WriteString(w, `{"error":"Dupont"}`) }, "no list"},
		{"null", func(w http.ResponseWriter) { io.WriteString(w, `null`) }, "no list"},
		{"member that is none", func(w http.ResponseWriter) { io.WriteString(w, `{"member":{}}`) }, "no list"},
		{"too long", func(w http.ResponseWriter) {
			io.WriteString(w, "[")
			for range 33 {
				io.WriteString(w, strings.Repeat(" ", 1<<20))
			}
			io.WriteString(w, "]")
		}, "longer than 32 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { test.answer(w) })
			_, err := client.List(t.Context(), askara.Query{})
			e := wantError(t, err, askara.FaultService, 200)
			if !strings.Contains(e.Error(), test.want) || strings.Contains(e.Error(), "Dupont") || e.Hint() == "" {
				t.Errorf("got %q, hint %q, want %q", e, e.Hint(), test.want)
			}
		})
	}
}

func TestListKeepsRawWhenItsBufferIsUsedAgain(t *testing.T) {
	n := 0
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n++
		fmt.Fprintf(w, `[{"uuid":"%s","title":"%d%d%d"}]`, uuidA, n, n, n)
	})
	first, err := client.List(t.Context(), askara.Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := string(first.Documents[0].Raw)
	for range 3 {
		if _, err := client.List(t.Context(), askara.Query{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(first.Documents[0].Raw); got != want || !strings.Contains(got, "111") {
		t.Errorf("got %s after other pages, want %s", got, want)
	}
}

func TestDocument(t *testing.T) {
	body := full
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	d, err := client.Document(t.Context(), uuidA)
	if err != nil || d.Patient.LastName != "Müller" {
		t.Fatalf("got %+v, %v", d, err)
	}
	_, err = client.Document(t.Context(), uuidB)
	wantError(t, err, askara.FaultDocument, 200)
	body = `{}`
	_, err = client.Document(t.Context(), uuidA)
	wantError(t, err, askara.FaultDocument, 200)
	body = `<html>`
	_, err = client.Document(t.Context(), uuidA)
	wantError(t, err, askara.FaultService, 200)
	sent := client.Requests()
	for _, uuid := range []string{"", "../me", "a/b", "a?b", "{uuid}"} {
		_, err = client.Document(t.Context(), uuid)
		wantError(t, err, askara.FaultPermanent, 0)
	}
	if client.Requests() != sent {
		t.Error("an unusable uuid got into a request")
	}
}

func TestMe(t *testing.T) {
	for _, test := range []struct {
		name     string
		refuse   int // status of GET, 0 = GET works
		body     string
		want     askara.Me
		requests int64 // for two calls
	}{
		{"GET", 0, `{"uuid":"m-1","email":"a@b.example","firstName":"A","lastName":"B","isVerified":true,"organization":{"uuid":"o-1","name":"C"}}`,
			askara.Me{UUID: "m-1", Email: "a@b.example", FirstName: "A", LastName: "B", Organizations: []askara.Organization{{UUID: "o-1", Name: "C"}}}, 2},
		{"POST where GET is unknown", 404, `{"uuid":"m-1","organizations":[{"uuid":"o-1"},{"uuid":"o-2"},null,7]}`,
			askara.Me{UUID: "m-1", Organizations: []askara.Organization{{UUID: "o-1"}, {UUID: "o-2"}}}, 3},
		{"POST where GET is not allowed", 405, `{"uuid":"m-1","organization":null,"organizations":{"uuid":"o-1"}}`,
			askara.Me{UUID: "m-1", Organizations: []askara.Organization{{UUID: "o-1"}}}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/me" || test.refuse != 0 && r.Method != "POST" {
					w.WriteHeader(test.refuse)
					return
				}
				io.WriteString(w, test.body)
			})
			for range 2 {
				got, err := client.Me(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("want (-), got (+):\n%s", diff)
				}
			}
			if got := client.Requests(); got != test.requests {
				t.Errorf("two calls took %d requests, want %d", got, test.requests)
			}
		})
	}
}
