package askara_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"askara-sync/askara"
)

func TestStatuses(t *testing.T) {
	type faults struct{ me, list, document, download, confirm askara.Fault }
	const (
		service, limited, notReady = askara.FaultService, askara.FaultLimited, askara.FaultNotReady
		document, permanent        = askara.FaultDocument, askara.FaultPermanent
		configuration, skipped     = askara.FaultConfiguration, askara.Fault(-1)
	)
	for status, want := range map[int]faults{
		204: {service, service, service, notReady, skipped},
		206: {service, service, service, service, skipped},
		304: {service, service, service, service, service},
		400: {configuration, configuration, document, document, document},
		401: {service, service, service, service, service}, // the token endpoint has just granted a fresh one: the login is alive
		402: {configuration, configuration, document, document, document},
		403: {configuration, configuration, document, document, document},
		404: {configuration, configuration, document, notReady, document},
		405: {configuration, configuration, configuration, configuration, configuration},
		406: {configuration, configuration, configuration, configuration, configuration},
		407: {configuration, configuration, configuration, configuration, configuration},
		408: {service, service, service, service, service},
		409: {configuration, configuration, document, notReady, document},
		410: {configuration, configuration, permanent, permanent, document},
		413: {configuration, configuration, document, document, document},
		415: {configuration, configuration, configuration, configuration, configuration},
		421: {service, service, service, service, service},
		422: {configuration, configuration, document, document, document},
		423: {configuration, configuration, document, notReady, notReady},
		425: {configuration, configuration, document, notReady, notReady},
		429: {limited, limited, limited, limited, limited},
		501: {service, service, service, service, service},
		507: {service, service, service, service, service},
		599: {service, service, service, service, service},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			// /me answers 200 with no JSON where a POST is taken for a success.
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			check := func(op string, err error, want askara.Fault) {
				t.Helper()
				if want == skipped {
					return
				}
				e := wantError(t, err, want, status)
				if !strings.HasPrefix(e.Error(), op) || !strings.Contains(e.Error(), fmt.Sprint(status)) {
					t.Errorf("got message %q, want %q… and the status", e, op)
				}
				switch want {
				case configuration, permanent:
					if e.Hint() == "" {
						t.Errorf("%v: a person must act and is not told how", e)
					}
				}
			}
			ctx := t.Context()
			_, err := client.Me(ctx)
			check("read the account", err, want.me)
			_, err = client.List(ctx, askara.Query{})
			check("list documents", err, want.list)
			_, err = client.Document(ctx, uuidA)
			check("read document "+uuidA, err, want.document)
			_, err = client.Download(ctx, askara.Document{UUID: uuidA})
			check("download document "+uuidA, err, want.download)
			_, err = client.Confirm(ctx, uuidA, askara.Outcome{})
			check("confirm document "+uuidA, err, want.confirm)
		})
	}
}

func TestStatusesOfAnotherHost(t *testing.T) {
	for status, want := range map[int]askara.Fault{
		401: askara.FaultDocument, // not our login
		403: askara.FaultDocument,
		404: askara.FaultNotReady,
		410: askara.FaultDocument,
		429: askara.FaultService, // not our budget
		501: askara.FaultService,
	} {
		files, _ := elsewhere(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		for _, redirect := range []bool{false, true} {
			source := &tokens{}
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if redirect {
					http.Redirect(w, r, files.URL, http.StatusFound)
					return
				}
				answerJSON(w, `{"url":"`+files.URL+`"}`)
			}, func(c *askara.Config) { c.Tokens = source })
			_, _, err := download(t, client, askara.Document{})
			wantError(t, err, want, status)
			if source.renewed != 0 {
				t.Errorf("%d of another host renewed the token", status)
			}
		}
	}
}

func TestDetail(t *testing.T) {
	const problem = "application/problem+json"
	for _, test := range []struct {
		name              string
		status            int
		contentType, body string
		want              string
	}{
		{"detail first", 422, problem, `{"title":"An error occurred","detail":"synchronizationStatus: This value is not valid."}`,
			"synchronizationStatus: This value is not valid."},
		{"then title", 400, problem, `{"title":"Bad Request","detail":"","status":400}`, "Bad Request"},
		{"then hydra", 400, "application/ld+json", `{"hydra:title":"x","hydra:description":"No such filter","detail":7}`, "No such filter"},
		{"whatever the label", 403, "", `{"detail":"Missing scope"}`, "Missing scope"},
		{"plain text", 401, "text/plain", "Expired JWT Token", ""},
		{"web page", 403, "text/html", "<html><title>Dupont</title>", ""},
		{"empty", 400, problem, "", ""},
		{"wrong types", 400, problem, `{"detail":{"a":1},"title":null}`, ""},
		{"an array", 400, problem, `[{"detail":"x"}]`, ""},
		{"too long to read", 400, problem, `{"x":"` + strings.Repeat("x", 70<<10) + `","detail":"y"}`, ""},
		{"long", 400, problem, `{"detail":"` + strings.Repeat("é ", 500) + `"}`, strings.TrimSpace(strings.Repeat("é ", 100)) + "…"},
		{"several lines and colours", 400, problem, `{"detail":"a\n\tb\u0000\u001b[31mc\u202e d \r\n"}`, "a b [31mc d"},
		{"a value repeated", 422, problem, `{"detail":"title: The value \"Dupont Jean\" of « Dupont » is not 'valid', nor l'autre"}`,
			`title: The value "…" of «…» is not '…', nor l'autre`},
		{"our own words repeated", 422, problem, `{"detail":"\"synchronizationStatus\" must not be \"synchronized\""}`,
			`"synchronizationStatus" must not be "synchronized"`},
		{"a quote that never ends", 422, problem, `{"detail":"bad value \"Dupont Jean"}`, `bad value "…`},
		{"not where it does not help", 404, problem, `{"detail":"Document Dupont.pdf not found"}`, ""},
		{"not of a broken service", 501, problem, `{"detail":"SQLSTATE: Dupont"}`, ""},
		{"not of a success", 206, problem, `{"detail":"Dupont"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{test.contentType}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			_, err := client.Document(t.Context(), uuidA)
			e, ok := errors.AsType[*askara.Error](err)
			if !ok || e.Detail != test.want || e.Status != test.status {
				t.Errorf("got %v, want detail %q", err, test.want)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), "Dupont") {
				t.Errorf("the error holds a name: %+v", err)
			}
		})
	}
}

// FuzzDetail shows that what reaches a log is one short printable line.
func FuzzDetail(f *testing.F) {
	f.Add(`{"detail":"a\nb \"c\" 'd"}`)
	f.Add(`{"title":"« x`)
	f.Add(`{"detail":"` + strings.Repeat("a", 198) + ` bc"}`)
	f.Add("{\"detail\":\"\xff\\ud800\"}")
	f.Fuzz(func(t *testing.T, body string) {
		client := newClient(t, "https://api.example", inBubble(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, body)
		}))
		_, err := client.List(t.Context(), askara.Query{})
		e, ok := errors.AsType[*askara.Error](err)
		if !ok {
			t.Fatal(err)
		}
		if n := utf8.RuneCountInString(e.Detail); n > 200 || !utf8.ValidString(e.Detail) ||
			strings.ContainsFunc(e.Detail, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("got detail %q of %d characters", e.Detail, n)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		value string
		want  time.Duration
	}{
		{"", 0}, {"17", 17 * time.Second}, {" 17 ", 17 * time.Second}, {"0", 0}, {"-1", 0}, {"-99999999999999999999", 0},
		{"86400", time.Hour}, {"9223372036854775807", time.Hour}, {"99999999999999999999", time.Hour}, {"1e3", 0}, {"1.5", 0}, {"soon", 0},
		{"Fri, 31 Dec 1999 23:59:59 GMT", 0}, {"Fri, 31 Dec 9999 23:59:59 GMT", time.Hour},
	} {
		client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.value)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := client.List(t.Context(), askara.Query{})
		if e := wantError(t, err, askara.FaultLimited, 429); e.RetryAfter != test.want {
			t.Errorf("%q: got %v, want %v", test.value, e.RetryAfter, test.want)
		}
		if client.Requests() != 1 {
			t.Errorf("%q: asked %d times, want once: the limiter knows when", test.value, client.Requests())
		}
	}
}

func TestConfirmAnswers(t *testing.T) {
	at := time.Date(2026, 2, 24, 10, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		want                    askara.Confirmation
		broken                  bool
	}{
		{"document", "application/json", `{"updatedAt":"2026-02-24T10:30:00Z","validatedAt":"2026-02-24T09:30:00Z"}`, 200,
			askara.Confirmation{UpdatedAt: at, Order: at.Add(-time.Hour)}, false},
		{"no dates", "application/json", `{"uuid":"x","updatedAt":null}`, 201, askara.Confirmation{}, false},
		{"some JSON", "application/json", ` true `, 200, askara.Confirmation{}, false},
		{"empty", "", "", 200, askara.Confirmation{}, false},
		{"spaces", "", "\r\n", 202, askara.Confirmation{}, false},
		{"no content", "", "", 204, askara.Confirmation{}, false},
		{"web page", "text/html", "<html>", 200, askara.Confirmation{}, true},
		{"cut JSON", "application/json", `{"updatedAt":"2026`, 200, askara.Confirmation{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Content-Type"); r.Method != "PATCH" || got != "application/merge-patch+json" {
					t.Errorf("got %s with Content-Type %q", r.Method, got)
				}
				w.Header()["Content-Type"] = []string{test.contentType}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			}, func(c *askara.Config) { c.Contract.OrderField = "validatedAt" })
			got, err := client.Confirm(t.Context(), uuidA, askara.Outcome{Reason: "disk full"})
			if test.broken {
				wantError(t, err, askara.FaultService, test.status)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestConfirmByAnotherContract(t *testing.T) {
	client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got := r.Method + " " + r.URL.Path + " " + string(body); got != `PUT /sync {"document":"`+uuidA+`","ok":false,"why":"a \"b\" {uuid}"}` {
			t.Errorf("got %s", got)
		}
	}, func(c *askara.Config) {
		c.Contract.ConfirmMethod, c.Contract.ConfirmPath, c.Contract.ConfirmContentType = "PUT", "sync", "application/json"
		c.Contract.ConfirmSuccess = `{"document":"{uuid}","ok":true}`
		c.Contract.ConfirmFailure = `{"document":"{uuid}","ok":false,"why":"{reason}"}`
	})
	if _, err := client.Confirm(t.Context(), uuidA, askara.Outcome{Reason: `a "b" {uuid}`}); err != nil {
		t.Fatal(err)
	}
	_, err := client.Confirm(t.Context(), "../me", askara.Outcome{})
	wantError(t, err, askara.FaultPermanent, 0)
}
