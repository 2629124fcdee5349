package askara_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"askara-sync/askara"
)

// canned answers every request with the same bytes, at no cost worth counting.
type canned struct {
	media string
	body  []byte
}

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {c.media}}, ContentLength: int64(len(c.body)), Body: io.NopCloser(bytes.NewReader(c.body))}, nil
}

// What the client allocates for a request does not depend on the machine, nor, for a download, on the document's size. The bounds leave
// some room for other versions of Go; who raises one has made every document dearer.
func TestAllocations(t *testing.T) {
	client := func(c canned) *askara.Client {
		base, _ := url.Parse("https://api.askara.example/v1/")
		return askara.NewClient(askara.Config{BaseURL: base, Contract: askara.DefaultContract(), Tokens: &tokens{}, Transport: c})
	}
	buf := make([]byte, 64<<10)
	download := func(size int) func() error {
		c := client(canned{"application/pdf", append([]byte("%PDF-"), make([]byte, size)...)})
		return func() error {
			content, err := c.Download(t.Context(), askara.Document{UUID: uuidA})
			for err == nil {
				_, err = content.Body.Read(buf)
			}
			if err != io.EOF {
				return err
			}
			return content.Body.Close()
		}
	}
	confirming := client(canned{"application/json", []byte(full)})
	listing := client(canned{"application/json", []byte("[" + strings.Repeat(full+",", 99) + full + "]")})
	for _, test := range []struct {
		name string
		most float64
		run  func() error
	}{
		{"download of 2 KiB", 48, download(2 << 10)},
		{"download of 2 MiB", 48, download(2 << 20)},
		{"confirmation", 58, func() error {
			_, err := confirming.Confirm(t.Context(), uuidA, askara.Outcome{})
			return err
		}},
		{"page of 100", 3000, func() error {
			_, err := listing.List(t.Context(), askara.Query{})
			return err
		}},
	} {
		var err error
		got := testing.AllocsPerRun(50, func() {
			if e := test.run(); e != nil {
				err = e
			}
		})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		t.Logf("figures: %s: %.0f allocations", test.name, got)
		if got > test.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", test.name, got, test.most)
		}
	}
}
