package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
)

// login returns a login whose tokens hold the marker.
func login(marker string) askara.Login {
	at := epoch.Truncate(time.Millisecond)
	return askara.Login{
		Account: account, State: askara.LoginOK, Generation: 3, Person: "p", IntentAt: at, LostAt: at.Add(1e9), Tries: 2, RetryAt: at.Add(2e9),
		Tokens: askara.Tokens{Access: askara.Secret("access-" + marker), Refresh: askara.Secret("refresh-" + marker),
			AccessExpiresAt: at.Add(3e9), RefreshExpiresAt: at.Add(4e9), ObtainedAt: at.Add(5e9)},
	}
}

func TestLoginRoundTrip(t *testing.T) {
	s, dir := fresh(t)
	none, err := s.LoadLogin(t.Context(), account)
	if err != nil || none.State != askara.LoginRequired || none.Account != account {
		t.Fatalf("LoadLogin before the first: got %+v, %v", none, err)
	}
	want := login("marker-one")
	if err := s.SaveLogin(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := s.LoadLogin(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Tokens.Refresh.Reveal() != "refresh-marker-one" {
		t.Errorf("login (-want +got):\n%s", diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		b, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("marker-one")) {
			t.Errorf("%s holds a token in clear", entry.Name())
		}
	}
}

// TestLoginOfAnotherProcessAtOnce: what is remembered of a login never outlives it, whoever replaced it.
func TestLoginOfAnotherProcessAtOnce(t *testing.T) {
	s, dir := fresh(t)
	other := open(t, dir)
	for i := range 200 {
		want := login(strconv.Itoa(i))
		by := s
		if i%3 > 0 {
			by = other
		}
		if err := by.SaveLogin(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := s.LoadLogin(t.Context(), account)
			if err != nil || got.Tokens != want.Tokens {
				t.Fatalf("login %d: got %q, %v; want %q", i, got.Tokens.Refresh.Reveal(), err, want.Tokens.Refresh.Reveal())
			}
		}
	}
	if err := other.SaveLogin(t.Context(), askara.Login{Account: account, State: askara.LoginRequired}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.LoadLogin(t.Context(), account); err != nil || got.State != askara.LoginRequired || got.Tokens != (askara.Tokens{}) {
		t.Errorf("after the logout: got %s with %q, %v", got.State, got.Tokens.Refresh.Reveal(), err)
	}
}
