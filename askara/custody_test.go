package askara_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// vault is an askara.Vault in memory. at, where set, is called before and after each step; its error is the step's.
type vault struct {
	mu   sync.Mutex
	rows map[string]askara.Login
	lock chan struct{}
	at   func(ctx context.Context, step string, l askara.Login) error
}

func newVault(l askara.Login) *vault {
	return &vault{rows: map[string]askara.Login{l.Account: l}, lock: make(chan struct{}, 1)}
}

// restart is the vault as the next process finds it: the rows as they are, and no lock, since its owner is dead.
func (v *vault) restart() *vault {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &vault{rows: maps.Clone(v.rows), lock: make(chan struct{}, 1)}
}

func (v *vault) step(ctx context.Context, step string, l askara.Login) error {
	if v.at != nil {
		if err := v.at(ctx, step, l); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (v *vault) row(account string) askara.Login {
	v.mu.Lock()
	defer v.mu.Unlock()
	if l, ok := v.rows[account]; ok {
		return l
	}
	return askara.Login{Account: account, State: askara.LoginRequired}
}

func (v *vault) LoadLogin(ctx context.Context, account string) (askara.Login, error) {
	step := "look"
	if len(v.lock) > 0 {
		step = "read"
	}
	if err := v.step(ctx, step, askara.Login{}); err != nil {
		return askara.Login{}, err
	}
	return v.row(account), nil
}

func (v *vault) SaveLogin(ctx context.Context, l askara.Login) error {
	step := "pair"
	if !l.IntentAt.IsZero() {
		step = "intent"
	}
	if err := v.step(ctx, step, l); err != nil {
		return err
	}
	v.mu.Lock()
	v.rows[l.Account] = l
	v.mu.Unlock()
	return v.step(context.WithoutCancel(ctx), step+"+", l)
}

func (v *vault) LockLogin(ctx context.Context, _ string) (func(), error) {
	if err := v.step(ctx, "lock", askara.Login{}); err != nil {
		return nil, err
	}
	select {
	case v.lock <- struct{}{}:
		return func() { <-v.lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// server grants pairs that burn. at, where set, is called when the token arrives and when the answer leaves.
type server struct {
	mu      sync.Mutex
	current askara.Secret         // the only refresh token that is accepted
	access  askara.Secret         // the only access token that is
	sent    map[askara.Secret]int // how often each refresh token arrived
	pairs   int
	reused  int // how often a spent one did
	at      func(ctx context.Context, step string) error
}

func newServer() *server {
	return &server{current: "refresh-0", access: "access-0", sent: map[askara.Secret]int{}}
}

func (s *server) Refresh(ctx context.Context, token askara.Secret) (askara.Tokens, error) {
	s.mu.Lock()
	s.sent[token]++
	at := s.at
	s.mu.Unlock()
	if at != nil {
		if err := at(ctx, "send"); err != nil {
			return askara.Tokens{}, err
		}
	}
	if ctx.Err() != nil {
		return askara.Tokens{}, ctx.Err()
	}
	s.mu.Lock()
	if token != s.current {
		s.reused++
		s.mu.Unlock()
		return askara.Tokens{}, refused()
	}
	s.pairs++
	s.current, s.access = askara.Secret(fmt.Sprintf("refresh-%d", s.pairs)), askara.Secret(fmt.Sprintf("access-%d", s.pairs))
	t := pair(s.current, s.access)
	s.mu.Unlock()
	if at != nil {
		if err := at(ctx, "answer"); err != nil {
			return askara.Tokens{}, err
		}
	}
	return t, ctx.Err()
}

func refused() error {
	return &askara.GrantError{Fate: askara.FateRefused, Code: "invalid_grant", Err: &askara.Error{
		Op: "refresh", Status: 400, Kind: askara.FaultLogin,
	}}
}

// unsent is a request that found no connection.
func unsent() error {
	return &askara.GrantError{Fate: askara.FateKept, Err: &askara.Error{Op: "refresh", Kind: askara.FaultService, Err: errNoRoute}}
}

var errNoRoute = errors.New("no route to host")

func pair(refresh, access askara.Secret) askara.Tokens {
	now := time.Now().Truncate(time.Millisecond)
	return askara.Tokens{
		Access: access, Refresh: refresh, ObtainedAt: now, AccessExpiresAt: now.Add(time.Hour), RefreshExpiresAt: now.Add(30 * 24 * time.Hour),
	}
}

// expired is a login that was fine an hour and a half ago.
func expired() askara.Login {
	t := pair("refresh-0", "access-0")
	t.ObtainedAt = t.ObtainedAt.Add(-90 * time.Minute)
	t.AccessExpiresAt = t.ObtainedAt.Add(time.Hour)
	return askara.Login{Account: "default", State: askara.LoginOK, Tokens: t, Generation: 1, Person: "p"}
}

func custody(v askara.Vault, r askara.Refresher) *askara.Custody {
	return askara.NewCustody(askara.CustodyConfig{Account: "default", Vault: v, Refresher: r})
}

// run keeps a login for the given time, as the daemon does, and returns the last error.
func run(t *testing.T, c *askara.Custody, d time.Duration) error {
	t.Helper()
	end := time.Now().Add(d)
	for {
		_, tokenErr := c.Token(t.Context())
		next, err := c.Keep(t.Context())
		if !next.After(time.Now()) {
			t.Fatalf("Keep wants to be called at %v, which is not later than now", next)
		}
		if time.Now().After(end) {
			return errors.Join(tokenErr, err)
		}
		time.Sleep(min(time.Until(next), time.Minute))
	}
}

var (
	errStep = errors.New("the step failed")
	errFull = errors.New("no space left on device")
)

// TestOrder takes every step of a refresh through every fault and looks at what the vault holds then, and at what the next start
// makes of it.
func TestOrder(t *testing.T) {
	const lost = "the answer to the refresh of 00:00 was lost"
	type want struct {
		after  string // the vault's state right afterwards: "open" is an intent
		state  askara.LoginState
		reason string
		sent   int // how often the old token was sent in all
		reused int
	}
	ok := want{after: "ok", state: askara.LoginOK, sent: 1}
	healed := want{after: "open", state: askara.LoginOK, sent: 1}
	gone := want{after: "open", state: askara.LoginRequired, reason: lost, sent: 2, reused: 1}
	tests := []struct {
		step, fault string
		want        want
	}{
		{"lock", "kill", ok}, {"lock", "error", ok}, {"lock", "cancel", ok}, {"lock", "slow", ok},
		{"read", "kill", ok}, {"read", "error", ok}, {"read", "cancel", ok}, {"read", "slow", ok},
		{"intent", "kill", ok}, {"intent", "error", ok}, {"intent", "full", ok}, {"intent", "cancel", ok}, {"intent", "slow", ok},
		{"intent+", "kill", healed}, {"intent+", "error", healed}, {"intent+", "cancel", ok}, {"intent+", "slow", ok},
		// The token arrived, and the server did nothing with it: it works the second time.
		{"send", "kill", want{after: "open", state: askara.LoginOK, sent: 2}},
		{"send", "error", want{after: "uncertain", state: askara.LoginOK, sent: 2}},
		{"send", "unsent", want{after: "ok", state: askara.LoginOK, sent: 2}},
		{"send", "cancel", ok}, {"send", "slow", ok},
		// The server answered and the answer did not reach us: no program can know the new pair.
		{"answer", "kill", gone},
		{"answer", "error", want{after: "uncertain", state: askara.LoginRequired, reason: lost, sent: 2, reused: 1}},
		{"answer", "cancel", ok}, {"answer", "slow", ok},
		{"pair", "kill", gone}, {"pair", "error", ok}, {"pair", "full", want{after: "open", state: askara.LoginOK, sent: 1}},
		{"pair", "full and kill", gone}, {"pair", "cancel", ok}, {"pair", "slow", ok},
		{"pair+", "kill", ok}, {"pair+", "error", ok}, {"pair+", "cancel", ok}, {"pair+", "slow", ok},
	}
	for _, tt := range tests {
		t.Run(tt.step+"/"+tt.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				local := time.Local
				time.Local = time.UTC
				defer func() { time.Local = local }()
				v, s := newVault(expired()), newServer()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				next := v // what the next start finds
				hits := 0
				fault := func() error {
					hits++
					switch {
					case tt.fault == "kill" && hits == 1, tt.fault == "full and kill" && hits == 20:
						next = v.restart()
						return errStep // what happens to the old vault from here on is never seen
					case tt.fault == "error" && hits == 1:
						return errStep
					case tt.fault == "unsent" && hits == 1:
						return unsent()
					case tt.fault == "full" && hits <= 14, tt.fault == "full and kill":
						return errFull
					case tt.fault == "cancel":
						cancel()
					case tt.fault == "slow" && hits == 1:
						time.Sleep(12 * time.Second)
					}
					return nil
				}
				v.at = func(_ context.Context, step string, _ askara.Login) error {
					if step == tt.step && (tt.fault != "kill" || hits == 0) {
						return fault()
					}
					return nil
				}
				s.at = func(_ context.Context, step string) error {
					if step == tt.step {
						return fault()
					}
					return nil
				}
				c := custody(v, s)
				token, err := c.Token(ctx)
				for tt.fault == "full and kill" && hits < 20 {
					_, _ = c.Token(t.Context())
				}
				if hits == 0 {
					t.Fatalf("the step %q was never reached (Token returned %v)", tt.step, err)
				}
				row := next.row("default")
				after := string(row.State)
				if !row.IntentAt.IsZero() {
					after = "open"
				}
				if after != tt.want.after {
					t.Errorf("the vault's state afterwards is %s, want %s (Token returned %v)", after, tt.want.after, err)
				}
				if err == nil && tt.fault != "kill" && (token != s.access || row.Tokens.Access != token) {
					t.Error("the new access token was used before it was durable")
				}
				s.at = nil
				if next != v || tt.fault == "error" || tt.fault == "unsent" {
					// The next process. An old one that still owes something goes on in "full".
					next = next.restart()
					c = custody(next, s)
				}
				lastErr := run(t, c, 3*time.Hour)
				row = next.row("default")
				if row.State != tt.want.state || row.Reason != tt.want.reason || !row.IntentAt.IsZero() {
					t.Errorf("at last the login is %s (%q), want %s (%q); last error %v", row.State, row.Reason, tt.want.state, tt.want.reason, lastErr)
				}
				if s.sent["refresh-0"] != tt.want.sent || s.reused != tt.want.reused {
					t.Errorf("the old token was sent %d times, %d of them after it was spent; want %d, %d",
						s.sent["refresh-0"], s.reused, tt.want.sent, tt.want.reused)
				}
				if row.State == askara.LoginOK && row.Tokens.Refresh != s.current {
					t.Error("the vault does not hold the server's refresh token")
				}
				if row.State == askara.LoginRequired {
					if askara.FaultOf(lastErr) != askara.FaultLogin || row.Tokens.Refresh != "" {
						t.Errorf("a refused login ends with %v and keeps its tokens: %t", lastErr, row.Tokens.Refresh != "")
					}
				}
			})
		})
	}
}
