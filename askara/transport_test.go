package askara_test

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"askara-sync/askara"
)

// secure starts a server with HTTP/2 and a certificate that no machine knows.
func secure(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // which tells of our refusal
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestHTTP2IsUsedWhereItIsOffered(t *testing.T) {
	server := secure(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("got %s, want HTTP/2", r.Proto)
		}
		io.WriteString(w, pdf)
	})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	transport := askara.NewTransport(roots)
	t.Cleanup(transport.CloseIdleConnections)
	client := newClient(t, server.URL, func(c *askara.Config) { c.Transport = transport })
	if got, size, err := download(t, client, askara.Document{}); err != nil || got != pdf || size != int64(len(pdf)) {
		t.Errorf("got %q, size %d, %v", got, size, err)
	}
}

func TestUnknownCertificate(t *testing.T) {
	server := secure(t, func(http.ResponseWriter, *http.Request) { t.Error("asked in spite of the certificate") })
	client := newClient(t, server.URL)
	_, err := client.List(t.Context(), askara.Query{})
	if e := wantError(t, err, askara.FaultService, 0); !strings.Contains(e.Hint(), "api.ca_file") || client.Requests() != 1 {
		t.Errorf("got %v, hint %q after %d requests, want a hint at api.ca_file after one", err, e.Hint(), client.Requests())
	}
}
