package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara/sandbox"
)

// reach calls check with a client that comes without a socket and with one that comes through a real server.
func reach(t *testing.T, s *sandbox.Server, check func(t *testing.T, c *http.Client, base string)) {
	t.Run("no socket", func(t *testing.T) { check(t, &http.Client{Transport: s.RoundTripper()}, "http://sandbox.example") })
	t.Run("socket", func(t *testing.T) {
		server := httptest.NewServer(s)
		defer server.Close()
		transport := &http.Transport{DisableKeepAlives: true} // else the transport repeats a GET on a connection that drops
		defer transport.CloseIdleConnections()
		check(t, &http.Client{Transport: transport}, server.URL)
	})
}

// fetch returns the status and body of an authorized GET.
func fetch(ctx context.Context, c *http.Client, access, url string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+access)
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, err
}

func TestEachFaultIsWhatItSays(t *testing.T) {
	s := sandbox.New(sandbox.Config{Faults: sandbox.Faults{Delay: time.Millisecond}})
	access, _ := s.Login("")
	id := s.AddDocument(sandbox.Document{})
	reach(t, s, func(t *testing.T, c *http.Client, base string) {
		for _, test := range []struct {
			fault sandbox.Fault
			done  bool // the server has done what it was asked for
			check func(status int, body []byte, err error) bool
		}{
			{sandbox.DropBefore, false, func(_ int, _ []byte, err error) bool { return err != nil && !errors.Is(err, io.ErrUnexpectedEOF) }},
			{sandbox.DropAfter, true, func(_ int, _ []byte, err error) bool { return err != nil && !errors.Is(err, io.ErrUnexpectedEOF) }},
			{sandbox.ErrorBefore, false, func(status int, _ []byte, err error) bool { return err == nil && status >= 500 && status <= 503 }},
			{sandbox.ErrorAfter, true, func(status int, _ []byte, err error) bool { return err == nil && status >= 500 && status <= 503 }},
			{sandbox.Spurious, false, func(status int, _ []byte, err error) bool { return err == nil && status == 429 }},
			{sandbox.Slow, true, func(status int, b []byte, err error) bool { return err == nil && status == 200 && isPDF(b) }},
			{sandbox.Truncated, true, func(status int, b []byte, err error) bool {
				return errors.Is(err, io.ErrUnexpectedEOF) && len(b) > 0 && !isPDF(b)
			}},
			{sandbox.Page, false, func(status int, b []byte, err error) bool {
				return err == nil && status == 200 && strings.HasPrefix(string(b), "<!DOCTYPE html>")
			}},
			{sandbox.Garbage, true, func(status int, b []byte, err error) bool {
				return err == nil && status == 200 && len(b) > 0 && !isPDF(b)
			}},
		} {
			before, _ := s.Document(id)
			s.Fail(sandbox.KindPDF, 1, test.fault)
			status, body, err := fetch(t.Context(), c, access, base+"/documents/"+id+"/pdf")
			if !test.check(status, body, err) {
				t.Errorf("%v: got status %d, %d bytes %.20q, error %v", test.fault, status, len(body), body, err)
			}
			after, _ := s.Document(id)
			want(t, test.fault.String()+": done", after.Requests > before.Requests, test.done)
			status, body, err = fetch(t.Context(), c, access, base+"/documents/"+id+"/pdf")
			want(t, "then all is well", err == nil && status == 200 && isPDF(body), true)
		}
	})
	for _, f := range sandbox.AllFaults() {
		want(t, "counted: "+f.String(), s.Stats().Faults[f], 2)
	}
}

func TestADroppedConnectionIsATransportError(t *testing.T) {
	b := connect(t, sandbox.Config{})
	b.s.Fail(sandbox.KindList, 1, sandbox.DropBefore)
	_, err := b.try(http.MethodGet, "/documents", "", "")
	want(t, "connection reset", errors.Is(err, syscall.ECONNRESET), true)
}

func TestFaultsByChance(t *testing.T) {
	run := func(seed uint64) (hit []int, st sandbox.Stats) {
		b := connect(t, sandbox.Config{Seed: seed, Burst: -1, Faults: sandbox.Faults{Rate: 0.15,
			Kinds: []sandbox.Fault{sandbox.ErrorBefore, sandbox.DropBefore}, Only: []sandbox.Kind{sandbox.KindList}}})
		for i := range 1000 {
			if a, err := b.try(http.MethodGet, "/documents", "", ""); err != nil || a.status != http.StatusOK {
				hit = append(hit, i)
			}
			if i < 200 {
				want(t, "others are spared", b.get("/me").status, http.StatusOK)
			}
		}
		return hit, b.s.Stats()
	}
	first, st := run(1)
	again, _ := run(1)
	other, _ := run(2)
	want(t, "the same seed", slices.Equal(first, again), true)
	want(t, "another seed", slices.Equal(first, other), false)
	if n := len(first); n < 100 || n > 200 {
		t.Errorf("got %d faults of 1000, want about 150", n)
	}
	want(t, "counted", st.Faults[sandbox.ErrorBefore]+st.Faults[sandbox.DropBefore], len(first))
	want(t, "both kinds", min(st.Faults[sandbox.ErrorBefore], st.Faults[sandbox.DropBefore]) > 40, true)
	want(t, "no others", len(st.Faults), 2)
}

func TestTheNthRequestFails(t *testing.T) {
	b := connect(t, sandbox.Config{})
	b.get("/documents")
	b.s.Fail(sandbox.KindList, 3, sandbox.ErrorBefore)
	got := ""
	for range 4 {
		b.get("/me")
		got += fmt.Sprint(b.get("/documents").status/100, " ")
	}
	want(t, "statuses", got, "2 2 5 2 ")
}

func TestHold(t *testing.T) {
	for _, at := range []sandbox.Stage{sandbox.Before, sandbox.After} {
		synctest.Test(t, func(t *testing.T) {
			b := connect(t, sandbox.Config{})
			id := b.s.AddDocument(sandbox.Document{})
			h := b.s.Hold(sandbox.KindConfirm, 1, at)
			var status int
			done := make(chan struct{})
			go func() { status = b.confirm(id, synchronized).status; close(done) }()
			<-h.Arrived()
			synctest.Wait()
			want(t, "answered", status, 0)
			r, _ := b.s.Document(id)
			want(t, "done", r.Confirmed(), at == sandbox.After)
			h.Release()
			h.Release()
			<-done
			want(t, "status", status, http.StatusOK)
		})
	}
}

func TestClientsMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Config{})
		_, refresh := s.Login("")
		access, _ := s.Login("")
		c := &http.Client{Transport: s.RoundTripper()}
		// while the answer is held
		h := s.Hold(sandbox.KindToken, 1, sandbox.After)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		body := `{"grant_type":"refresh_token","client_id":"` + sandbox.DefaultClientID + `","client_secret":"` +
			sandbox.DefaultClientSecret + `","refresh_token":"` + refresh + `"}`
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.example/oauth2/token", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		_, err := c.Do(req)
		want(t, "deadline", errors.Is(err, context.DeadlineExceeded), true)
		<-h.Arrived()
		synctest.Wait()
		want(t, "answers lost", s.Stats().AnswersLost, 1)
		// while the body drips
		id := s.AddDocument(sandbox.Document{PDF: sandbox.PDFDrip, Size: 100 << 10})
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, b, err := fetch(ctx, c, access, "https://api.example/documents/"+id+"/pdf")
		want(t, "deadline in the body", errors.Is(err, context.DeadlineExceeded), true)
		want(t, "after", time.Since(start), 10*time.Second)
		want(t, "some of it arrived", len(b) > 0 && len(b) < 20<<10, true)
		r, _ := s.Document(id)
		want(t, "downloads", r.Downloads, 0)
	})
}

func TestMaxConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{Faults: sandbox.Faults{Rate: 1, Kinds: []sandbox.Fault{sandbox.Slow}}})
		done := make(chan int)
		for range 3 {
			go func() { done <- b.get("/documents").status }()
		}
		for range 3 {
			want(t, "status", <-done, http.StatusOK)
		}
		want(t, "at once", b.s.Stats().MaxConcurrent, 3)
		want(t, "lists", b.s.Stats().Requests[sandbox.KindList], 3)
	})
}
