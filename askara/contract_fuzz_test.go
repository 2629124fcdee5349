package askara_test

import (
	"encoding/json"
	"strings"
	"testing"

	"askara-sync/askara"
)

// FuzzContractPath shows that no path that Validate lets through leaves the base URL.
func FuzzContractPath(f *testing.F) {
	for _, path := range []string{"/documents", "documents", "//host", "http://host/x", "/a/../b", "/%2e%2e/b", `/\host`, "/a?b=c", "?x", "a:b", "/a%", "/documents#", "/a?b#"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		c := askara.DefaultContract()
		c.DocumentsPath = path
		if len(c.Validate()) > 0 {
			return
		}
		got := listURL(t, "https://api.example/prefix/", c)
		if got.Scheme != "https" || got.Host != "api.example" || !strings.HasPrefix(got.Path, "/prefix/") || strings.Contains(got.Path, "/../") ||
			!strings.Contains(got.RawQuery, "itemsPerPage=") {
			t.Errorf("path %q leads to %s", path, got)
		}
	})
}

// FuzzConfirmReason shows that no reason changes the shape of the confirmation.
func FuzzConfirmReason(f *testing.F) {
	for _, reason := range []string{"disk full", `","admin":"true`, "{uuid}{reason}", "\x00\xff\u2028", `\`} {
		f.Add(reason)
	}
	f.Fuzz(func(t *testing.T, reason string) {
		if reason == "" {
			return
		}
		var body map[string]string
		if err := json.Unmarshal(confirmBody(t, askara.Outcome{Reason: reason}), &body); err != nil {
			t.Fatalf("reason %q: %v", reason, err)
		}
		want := strings.ToValidUTF8(reason, "\ufffd")
		if len(body) != 2 || body["synchronizationStatus"] != "failed" ||
			strings.ReplaceAll(body["synchronizationError"], "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
			t.Errorf("reason %q: got %v", reason, body)
		}
	})
}
