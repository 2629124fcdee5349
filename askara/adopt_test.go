package askara_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// TestShortLives: however long an access token lives, it is refreshed a little before it ends and not much earlier.
func TestShortLives(t *testing.T) {
	for _, life := range []time.Duration{time.Second, 30 * time.Second, 5 * time.Minute, time.Hour, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			l := expired()
			l.Tokens = pair("refresh-0", "access-0")
			l.Tokens.AccessExpiresAt = l.Tokens.ObtainedAt.Add(life)
			v, s := newVault(l), newServer()
			c, start := custody(v, s), time.Now()
			for s.pairs == 0 && time.Since(start) < life {
				if _, err := c.Token(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(life / 100)
			}
			at := time.Since(start)
			if at > life || at < life-min(life/4, 4*time.Minute) {
				t.Errorf("a token that lives %v was refreshed after %v", life, at)
			}
		})
	}
}

// TestDaily: an idle login is refreshed once a day, for months.
func TestDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := expired()
		l.Tokens = pair("refresh-0", "access-0")
		v, s := newVault(l), newServer()
		c, end := custody(v, s), time.Now().Add(90*24*time.Hour+time.Hour)
		for time.Now().Before(end) {
			next, err := c.Keep(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(next))
		}
		if s.pairs != 90 || s.reused != 0 {
			t.Errorf("%d refreshes in 90 days, %d reuses; want 90, 0", s.pairs, s.reused)
		}
	})
}

// TestOldAge: a login that is too old by our clock is tried all the same, and a refusal says what it died of.
func TestOldAge(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := expired()
			l.Tokens.ObtainedAt = l.Tokens.ObtainedAt.Add(-40 * 24 * time.Hour)
			l.Tokens.RefreshExpiresAt = l.Tokens.ObtainedAt.Add(30 * 24 * time.Hour)
			v, s := newVault(l), newServer()
			if !accepted {
				s.current = "another"
			}
			_, err := custody(v, s).Token(t.Context())
			switch {
			case accepted && err != nil:
				t.Errorf("got %v, though Askara accepts it", err)
			case !accepted && !strings.Contains(v.row("default").Reason, "died of age"):
				t.Errorf("reason %q, want old age", v.row("default").Reason)
			}
		})
	}
}

// TestWarning: in time, once a day, with the date.
func TestWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := expired()
		v, s := newVault(l), newServer()
		s.at = func(context.Context, string) error { return unsent() }
		var logged bytes.Buffer
		c := askara.NewCustody(askara.CustodyConfig{
			Account: "default", Vault: v, Refresher: s, ReloginBefore: 5 * 24 * time.Hour, Logger: slog.New(slog.NewJSONHandler(&logged, nil)),
		})
		end := l.Tokens.RefreshExpiresAt
		keep := func(until time.Time) {
			for ; time.Now().Before(until); time.Sleep(time.Hour) {
				_, _ = c.Keep(t.Context())
			}
		}
		keep(end.Add(-5*24*time.Hour - time.Hour))
		if strings.Contains(logged.String(), "dies of age") {
			t.Errorf("warned too early:\n%s", &logged)
		}
		keep(end.Add(-2*24*time.Hour + 2*time.Hour))
		if n := strings.Count(logged.String(), "dies of age"); n != 4 || !strings.Contains(logged.String(), end.Format("2006-01-02")) {
			t.Errorf("warned %d times in three days and two hours, want 4 times, with the date %s", n, end.Format("2006-01-02"))
		}
	})
}

// TestWithoutLogin: nobody has logged in; then somebody does, in another process, and the daemon goes on.
func TestWithoutLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, s := newVault(askara.Login{Account: "default", State: askara.LoginRequired}), newServer()
		daemon := custody(v, s)
		next, err := daemon.Keep(t.Context())
		if askara.FaultOf(err) != askara.FaultLogin || time.Until(next) > 5*time.Second {
			t.Errorf("Keep: %v, again in %v; want a login soon looked for", err, time.Until(next))
		}
		if _, err := daemon.Token(t.Context()); askara.FaultOf(err) != askara.FaultLogin || !strings.Contains(err.Error(), "nobody has logged in") {
			t.Errorf("Token: %v", err)
		}
		if err := custody(v, s).Adopt(t.Context(), pair("refresh-0", "access-0"), "p"); err != nil {
			t.Fatal(err)
		}
		if got, err := daemon.Token(t.Context()); err != nil || got != "access-0" {
			t.Errorf("after the login: got %q, %v; want access-0", got.Reveal(), err)
		}
		if _, err := daemon.Keep(t.Context()); err != nil {
			t.Errorf("Keep after the login: %v", err)
		}
		if err := custody(v, s).Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := daemon.Token(t.Context()); askara.FaultOf(err) != askara.FaultLogin || !strings.Contains(err.Error(), "logged out") {
			t.Errorf("after the logout: %v", err)
		}
		if l := v.row("default"); l.Person != "p" || l.Tokens != (askara.Tokens{}) || l.Generation != 2 {
			t.Errorf("after the logout the vault holds %+v", l)
		}
	})
}

// TestHold: a held pair is durable and touches nothing; adopting or discarding it leaves no copy.
func TestHold(t *testing.T) {
	for _, adopt := range []bool{true, false} {
		v, s := newVault(expired()), newServer()
		c, before := custody(v, s), v.row("default")
		if err := c.Hold(t.Context(), pair("refresh-9", "access-9")); err != nil {
			t.Fatal(err)
		}
		if got := v.restart().row("default" + askara.PendingSuffix).Tokens.Refresh; got != "refresh-9" {
			t.Errorf("the vault holds %q, want refresh-9", got.Reveal())
		}
		if v.row("default") != before {
			t.Error("holding a pair changed the login")
		}
		want := before.Tokens.Refresh
		if adopt {
			want = "refresh-9"
			if err := c.Adopt(t.Context(), pair("refresh-9", "access-9"), "q"); err != nil {
				t.Fatal(err)
			}
		} else if err := c.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := v.row("default").Tokens.Refresh; got != want {
			t.Errorf("the login is %q, want %q", got.Reveal(), want.Reveal())
		}
		if got := v.row("default" + askara.PendingSuffix).Tokens.Refresh; got != "" {
			t.Errorf("a copy stays: %q", got.Reveal())
		}
	}
}

// TestUnreadableVault: a wrong key is an error everywhere, and nothing is written over what cannot be read.
func TestUnreadableVault(t *testing.T) {
	v, s := newVault(expired()), newServer()
	errKey := errors.New("wrong key")
	v.at = func(_ context.Context, step string, _ askara.Login) error {
		switch step {
		case "look", "read":
			return errKey
		case "pair", "intent":
			t.Error("the vault was written to")
		}
		return nil
	}
	c := custody(v, s)
	_, tokenErr := c.Token(t.Context())
	_, keepErr := c.Keep(t.Context())
	for what, err := range map[string]error{
		"Token": tokenErr, "Keep": keepErr, "Adopt": c.Adopt(t.Context(), pair("r", "a"), ""), "Forget": c.Forget(t.Context()),
	} {
		if !errors.Is(err, errKey) {
			t.Errorf("%s returned %v, want the vault's error", what, err)
		}
	}
}
