package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"askara-sync/askara/sandbox"
)

// Many clients on real sockets while documents come and move; the race detector watches.
func TestManyAtOnce(t *testing.T) {
	s := sandbox.New(sandbox.Config{Burst: -1})
	server := httptest.NewServer(s)
	defer server.Close()
	ids := s.Add(40, sandbox.Document{})
	var wg sync.WaitGroup
	for worker := range 8 {
		access, refresh := s.Login("")
		wg.Go(func() {
			c := server.Client()
			for i := worker; i < len(ids); i += 8 {
				s.SetDialect(sandbox.Dialect{Nulls: i%2 == 0})
				s.AddDocument(sandbox.Document{})
				if status, b, err := fetch(t.Context(), c, access, server.URL+"/documents/"+ids[i]+"/pdf"); status != http.StatusOK || !isPDF(b) {
					t.Errorf("download: %d %v", status, err)
				}
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPatch, server.URL+"/documents/"+ids[i], strings.NewReader(synchronized))
				req.Header.Set("Authorization", "Bearer "+access)
				req.Header.Set("Content-Type", "application/merge-patch+json")
				res, err := c.Do(req)
				if err != nil {
					t.Error(err)
					continue
				}
				res.Body.Close()
				want(t, "confirm", res.StatusCode, http.StatusOK)
				fetch(t.Context(), c, access, server.URL+"/documents?itemsPerPage=100&order[updatedAt]=asc")
				s.Touch(ids[i])
				s.Stats()
				s.TokenGood(refresh)
			}
		})
	}
	wg.Wait()
	for _, r := range s.Documents()[:40] {
		want(t, "downloads", r.Downloads, 1)
		want(t, "confirmed", r.Confirmed(), true)
	}
	st := s.Stats()
	want(t, "confirmed", st.Confirmed, 40)
	want(t, "early", st.Early, 0)
	want(t, "requests", st.Total, 120)
}
