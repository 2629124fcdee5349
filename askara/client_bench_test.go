package askara_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"askara-sync/askara"
)

func benchmarkClient(b *testing.B, server *httptest.Server) *askara.Client {
	b.Helper()
	base, err := url.Parse(server.URL)
	if err != nil {
		b.Fatal(err)
	}
	return askara.NewClient(askara.Config{BaseURL: base, Contract: askara.DefaultContract(), Tokens: &tokens{}})
}

func BenchmarkList(b *testing.B) {
	page := []byte("[" + strings.Repeat(full+",", 99) + full + "]")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) }))
	defer server.Close()
	client := benchmarkClient(b, server)
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if page, err := client.List(b.Context(), askara.Query{}); err != nil || len(page.Documents) != 100 {
			b.Fatal(len(page.Documents), err)
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	for _, size := range []int{2 << 10, 200 << 10} {
		for _, form := range []string{"bytes", "base64"} {
			b.Run(fmt.Sprintf("%s/%dKiB", form, size>>10), func(b *testing.B) { benchmarkDownload(b, form, size) })
		}
	}
}

func benchmarkDownload(b *testing.B, form string, size int) {
	content := append([]byte("%PDF-"), make([]byte, size-5)...)
	encoded := []byte(`{"content":"` + base64.StdEncoding.EncodeToString(content) + `"}`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if form == "base64" {
			w.Header().Set("Content-Type", "application/json")
			w.Write(encoded)
			return
		}
		w.Header().Set("Content-Type", "application/pdf")
		w.Write(content)
	}))
	defer server.Close()
	client := benchmarkClient(b, server)
	buffer := make([]byte, 64<<10)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		content, err := client.Download(b.Context(), askara.Document{UUID: uuidA})
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = content.Body.Read(buffer)
		}
		if content.Body.Close(); err != io.EOF {
			b.Fatal(err)
		}
	}
}
