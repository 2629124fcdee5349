package askara_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// TestOneRefresh has ten goroutines of each of three processes ask at once.
func TestOneRefresh(t *testing.T) {
	for _, renew := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := expired()
			if renew {
				l.Tokens = pair("refresh-0", "access-0")
			}
			v, s := newVault(l), newServer()
			s.at = func(context.Context, string) error { time.Sleep(time.Second); return nil }
			var wg sync.WaitGroup
			for range 3 {
				c := custody(v, s)
				for range 10 {
					wg.Go(func() {
						ask := c.Token
						if renew {
							ask = func(ctx context.Context) (askara.Secret, error) { return c.Renew(ctx, "access-0") }
						}
						if got, err := ask(t.Context()); err != nil || got != "access-1" {
							t.Errorf("got %q, %v; want access-1", got.Reveal(), err)
						}
					})
				}
			}
			wg.Wait()
			if s.pairs != 1 || s.reused != 0 || v.row("default").Generation != 2 {
				t.Errorf("%d refreshes, %d reuses, generation %d; want 1, 0, 2", s.pairs, s.reused, v.row("default").Generation)
			}
		})
	}
}

// TestRenewOfAnOldToken: a 401 for a token that was replaced meanwhile costs no refresh.
func TestRenewOfAnOldToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := expired()
		l.Tokens = pair("refresh-0", "access-0")
		v, s := newVault(l), newServer()
		if got, err := custody(v, s).Renew(t.Context(), "access-of-yesterday"); err != nil || got != "access-0" {
			t.Errorf("got %q, %v; want access-0", got.Reveal(), err)
		}
		if len(s.sent) != 0 {
			t.Errorf("sent %d tokens, want none", len(s.sent))
		}
	})
}

// TestLostAnswerSchedule: the old token is tried after 10 s, 1 min, 10 min, then hourly, however often anybody asks, and the access
// token serves until it is rejected.
func TestLostAnswerSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := expired()
		l.Tokens = pair("refresh-0", "access-0")
		l.Tokens.ObtainedAt = l.Tokens.ObtainedAt.Add(-25 * time.Hour) // due by age, while the access token is good
		v, s := newVault(l), newServer()
		start := time.Now()
		var tries []time.Duration
		s.at = func(context.Context, string) error {
			tries = append(tries, time.Since(start))
			return errors.New("connection reset by peer")
		}
		c := custody(v, s)
		var lost *askara.LoginError
		if _, err := c.Keep(t.Context()); !errors.As(err, &lost) || lost.State != askara.LoginUncertain {
			t.Fatalf("Keep returned %v, want an uncertain login", err)
		}
		if got, err := c.Token(t.Context()); err != nil || got != "access-0" {
			t.Errorf("while uncertain: got %q, %v; want access-0, as long as it works", got.Reveal(), err)
		}
		_, err := c.Renew(t.Context(), "access-0")
		if !errors.As(err, &lost) || !lost.RetryAt.Equal(start.Add(10*time.Second)) || lost.Fault() != askara.FaultService {
			t.Errorf("the rejected token got %v, want an uncertain login that is tried again after 10 s", err)
		}
		if _, err := c.Token(t.Context()); !errors.As(err, &lost) {
			t.Errorf("after the rejection: %v, want the uncertain login and not the dead token", err)
		}
		for time.Since(start) < 4*time.Hour {
			_, _ = c.Token(t.Context())
			_, _ = custody(v, s).Keep(t.Context()) // another process, which knows only the row
			time.Sleep(time.Second)
		}
		want := []time.Duration{0, 10 * time.Second, 70 * time.Second, 670 * time.Second, 4270 * time.Second, 7870 * time.Second, 11470 * time.Second}
		if !slices.Equal(tries, want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
		s.at = nil
		_ = run(t, c, time.Hour)
		if l := v.row("default"); l.State != askara.LoginOK || l.Reason != "" || !l.LostAt.IsZero() || l.Tries != 0 || !l.RetryAt.IsZero() {
			t.Errorf("after a success the login is %+v, want a clean one", l)
		}
	})
}

// TestReasonNamesTheDay: a loss that is settled on another day says which.
func TestReasonNamesTheDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := expired()
		l.State, l.LostAt, l.RetryAt, l.Tries = askara.LoginUncertain, time.Now().Add(-26*time.Hour), time.Now(), 20
		v, s := newVault(l), newServer()
		s.current = "another"
		_, err := custody(v, s).Token(t.Context())
		day := l.LostAt.Local().Format("2006-01-02 15:04")
		if want := "the answer to the refresh of " + day + " was lost"; v.row("default").Reason != want || !strings.Contains(err.Error(), want) {
			t.Errorf("reason %q, error %v; want %q", v.row("default").Reason, err, want)
		}
		if askara.FaultOf(err) != askara.FaultLogin || !strings.Contains(askara.HintOf(err), "askara-sync login") {
			t.Errorf("fault %v, hint %q", askara.FaultOf(err), askara.HintOf(err))
		}
	})
}

// TestUnsentIsNotLost: without a connection the login stays ok, requests do not try again one by one, and the access token serves.
// TestUncertainThoughTheClockWasSetBack lost an answer while the clock was years ahead.
func TestUncertainThoughTheClockWasSetBack(t *testing.T) {
	for _, use := range []string{"keep", "token"} {
		synctest.Test(t, func(t *testing.T) {
			l := expired()
			ahead := time.Now().AddDate(10, 0, 0)
			l.State, l.LostAt, l.RetryAt = askara.LoginUncertain, ahead, ahead.Add(10*time.Second)
			v := newVault(l)
			c := custody(v, newServer())
			var err error
			if use == "keep" {
				_, err = c.Keep(t.Context())
			} else {
				_, err = c.Token(t.Context())
			}
			if l := v.row("default"); err != nil || l.State != askara.LoginOK {
				t.Errorf("%s: the login is %v, %v: it waits for %v", use, l.State, err, l.RetryAt)
			}
		})
	}
}

func TestUnsentIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(expired()), newServer()
		tries := 0
		s.at = func(context.Context, string) error { tries++; return unsent() }
		c := custody(v, s)
		for range 50 {
			if _, err := c.Token(t.Context()); !errors.Is(err, errNoRoute) || askara.FaultOf(err) != askara.FaultService {
				t.Fatalf("got %v, want the service's trouble", err)
			}
		}
		if l := v.row("default"); tries != 1 || l.State != askara.LoginOK || !l.IntentAt.IsZero() {
			t.Errorf("%d tries, state %s, intent %v; want 1, ok, none", tries, l.State, l.IntentAt)
		}
		l := expired()
		l.Tokens.AccessExpiresAt = time.Now().Add(time.Minute) // due, but alive
		l.Generation = 2
		_ = v.SaveLogin(t.Context(), l)
		if got, err := c.Token(t.Context()); err != nil || got != "access-0" {
			t.Errorf("a minute before expiry: got %q, %v; want access-0", got.Reveal(), err)
		}
		if tries != 2 {
			t.Errorf("%d tries, want 2: a new generation is tried", tries)
		}
	})
}

// TestLimited waits for as long as Askara says, and no shorter.
func TestLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(expired()), newServer()
		tries := 0
		s.at = func(context.Context, string) error {
			if tries++; tries > 1 {
				return nil
			}
			return &askara.GrantError{Fate: askara.FateKept, Err: &askara.Error{
				Op: "refresh", Status: 429, Kind: askara.FaultLimited, RetryAfter: 5 * time.Minute,
			}}
		}
		c, start := custody(v, s), time.Now()
		for {
			_, err := c.Token(t.Context())
			if err == nil {
				break
			}
			if askara.FaultOf(err) != askara.FaultLimited {
				t.Fatalf("got %v, want the limit", err)
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took != 5*time.Minute {
			t.Errorf("refreshed after %v, want 5m", took)
		}
	})
}

// TestOwedPair: a pair that cannot be saved is not used, keeps every other process from the old token, and is saved before
// anything else happens.
func TestOwedPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(expired()), newServer()
		full := true
		v.at = func(_ context.Context, step string, _ askara.Login) error {
			if full && step == "pair" {
				return errFull
			}
			return nil
		}
		var logged bytes.Buffer
		c := askara.NewCustody(askara.CustodyConfig{
			Account: "default", Vault: v, Refresher: s, Logger: slog.New(slog.NewJSONHandler(&logged, nil)),
		})
		for range 3 {
			if got, err := c.Token(t.Context()); !errors.Is(err, errFull) || askara.HintOf(err) == "" {
				t.Fatalf("got %q, %v; want the full disk and a hint", got.Reveal(), err)
			}
			if next, err := c.Keep(t.Context()); !errors.Is(err, errFull) || time.Until(next) > 10*time.Second {
				t.Fatalf("Keep: %v, again in %v; want the full disk and a try soon", err, time.Until(next))
			}
		}
		if n := strings.Count(logged.String(), `"ERROR"`); n != 1 || strings.Contains(logged.String(), "refresh-1") {
			t.Errorf("said so %d times, want once and without the token:\n%s", n, &logged)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := custody(v, s).Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("another process got %v, want it to wait", err)
		}
		full = false
		if got, err := c.Token(t.Context()); err != nil || got != "access-1" {
			t.Errorf("with room again: got %q, %v; want access-1", got.Reveal(), err)
		}
		if got, err := custody(v, s).Token(t.Context()); err != nil || got != "access-1" {
			t.Errorf("another process then: got %q, %v; want access-1", got.Reveal(), err)
		}
		if s.pairs != 1 || s.sent["refresh-0"] != 1 {
			t.Errorf("%d pairs, sent %v; want one of each", s.pairs, s.sent["refresh-0"])
		}
	})
}

// TestOwedPairOfAnIdleLogin: the old access token, though it is good by the clock, died with the refresh and is not used.
func TestOwedPairOfAnIdleLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := expired()
		l.Tokens = pair("refresh-0", "access-0")
		l.Tokens.ObtainedAt = l.Tokens.ObtainedAt.Add(-25 * time.Hour)
		v, s := newVault(l), newServer()
		v.at = func(_ context.Context, step string, _ askara.Login) error {
			if step == "pair" {
				return errFull
			}
			return nil
		}
		c := custody(v, s)
		if _, err := c.Keep(t.Context()); !errors.Is(err, errFull) {
			t.Fatalf("Keep returned %v, want the full disk", err)
		}
		if got, err := c.Token(t.Context()); !errors.Is(err, errFull) {
			t.Errorf("got %q, %v; want the full disk", got.Reveal(), err)
		}
	})
}

// TestFoundIntent: an intent that a dead process left is tried ten seconds after it was begun, not sooner, and at once where that is over.
func TestFoundIntent(t *testing.T) {
	for age, want := range map[time.Duration]time.Duration{3 * time.Second: 7 * time.Second, time.Hour: 0, -time.Hour: 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l := expired()
			l.IntentAt = time.Now().Add(-age)
			v, s := newVault(l), newServer()
			c, start := custody(v, s), time.Now()
			for s.pairs == 0 && time.Since(start) < time.Minute {
				if _, err := c.Keep(t.Context()); err != nil && v.row("default").LostAt != l.IntentAt {
					t.Errorf("lost at %v, want %v", v.row("default").LostAt, l.IntentAt)
				}
				time.Sleep(time.Second)
			}
			if took := time.Since(start) - time.Second; took != want || s.reused != 0 {
				t.Errorf("an intent that is %v old was tried after %v, want %v", age, took, want)
			}
		})
	}
}

// TestVoidIntent: an intent that was saved although saving failed is not taken for a lost answer by the process that knows better.
func TestVoidIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(expired()), newServer()
		failed := false
		v.at = func(_ context.Context, step string, l askara.Login) error {
			if l.State == askara.LoginUncertain {
				t.Error("the login was taken for uncertain")
			}
			if step == "intent+" && !failed {
				failed = true
				return errStep
			}
			return nil
		}
		c := custody(v, s)
		if _, err := c.Token(t.Context()); !errors.Is(err, errStep) || len(s.sent) != 0 {
			t.Fatalf("got %v and %d tokens sent, want the failed step and none", err, len(s.sent))
		}
		time.Sleep(10 * time.Second)
		if got, err := c.Token(t.Context()); err != nil || got != "access-1" {
			t.Errorf("got %q, %v; want access-1", got.Reveal(), err)
		}
	})
}

// TestYoungTokens: an API that rejects whatever was just granted is not asked for pair after pair.
func TestYoungTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(expired()), newServer()
		c := custody(v, s)
		var last error
		for range 200 { // each is a request that gets 401 and is repeated once
			token, err := c.Token(t.Context())
			if err == nil {
				_, err = c.Renew(t.Context(), token)
			}
			last = err
		}
		if s.pairs > 6 || askara.FaultOf(last) != askara.FaultService {
			t.Errorf("%d pairs in no time, last error %v; want a few and Askara's trouble", s.pairs, last)
		}
		time.Sleep(2 * time.Minute)
		if _, err := c.Token(t.Context()); err != nil {
			t.Errorf("two minutes later: %v, want another try", err)
		}
	})
}

// TestAccessTokenAlone: an answer without a refresh token leaves the login uncertain, and its access token in use.
func TestAccessTokenAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(expired()), newServer()
		c := custody(v, alone{s})
		if _, err := c.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l := v.row("default"); l.State != askara.LoginUncertain || l.Tokens.Access != "only-access" || l.Tokens.Refresh != "refresh-0" {
			t.Errorf("the login is %s with access token %q", l.State, l.Tokens.Access.Reveal())
		}
		if got, err := c.Token(t.Context()); err != nil || got != "only-access" {
			t.Errorf("got %q, %v; want only-access", got.Reveal(), err)
		}
	})
}

// alone grants an access token without a refresh token.
type alone struct{ *server }

func (alone) Refresh(context.Context, askara.Secret) (askara.Tokens, error) {
	t := pair("", "only-access")
	return t, &askara.GrantError{Fate: askara.FateUnknown, Err: &askara.Error{Op: "refresh", Status: 200, Kind: askara.FaultService}}
}

// admitted is a server with a budget that is spent.
type admitted struct{ *server }

func (admitted) Admit(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// TestBudgetIsAskedFirst: who waits for the budget has begun nothing.
func TestBudgetIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(expired()), newServer()
		v.at = func(_ context.Context, step string, _ askara.Login) error {
			if step == "intent" {
				t.Error("the intent is saved before the budget allows a request")
			}
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := custody(v, admitted{s}).Token(ctx); !errors.Is(err, context.DeadlineExceeded) || len(s.sent) != 0 {
			t.Errorf("got %v and %d tokens sent", err, len(s.sent))
		}
	})
}
