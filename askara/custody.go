package askara

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Refresher trades a refresh token for a new pair: TokenEndpoint. It sends the token at most once a call and says with a
// GrantError what an error means for it. It may also have a method Admit(context.Context) error that waits for its budget.
type Refresher interface {
	Refresh(ctx context.Context, token Secret) (Tokens, error)
}

// CustodyConfig says whose login is kept, and where.
type CustodyConfig struct {
	Account   string
	Vault     Vault
	Refresher Refresher
	// Logger nil is silent.
	Logger *slog.Logger
	// ReloginBefore is how long before a login dies of age it is warned about; 0 never warns.
	ReloginBefore time.Duration
}

// Custody keeps one account's login alive. Its promises:
//   - A new pair is durable before its first use.
//   - A refresh token whose answer arrived is never sent again, by any goroutine or process that shares the vault.
//   - Where an answer was lost, it finds out by itself what became of the token. A person is asked only after a refusal.
//   - From the moment the token is sent until its successor is durable, nothing but the end of the process interrupts it: neither
//     the caller's context nor an error.
//
// The order of a refresh, of which every step may be the last: take the turn among goroutines, then the lock among processes; read the
// login again; settle what an earlier owner left; decide; save the intent, which proves that the vault can be written; send the token
// once; save the outcome; let go of the lock. An outcome that cannot be saved stays in memory, and the lock stays ours: the next call
// saves it before anything else.
//
// It is safe for concurrent use and starts no goroutine.
type Custody struct {
	cfg    CustodyConfig
	log    *slog.Logger
	jitter time.Duration // of the refresh before expiry, so that several programs do not refresh in step

	turn  chan struct{} // holds a value while a goroutine has its turn
	owing atomic.Bool   // owed is not nil

	// The access token that was rejected though its time was not over: known to be dead.
	rejected atomic.Pointer[Secret]
	warnedAt atomic.Pointer[time.Time]

	// The rest belongs to whoever has the turn.
	unlock  func()    // of the vault's lock; kept beyond a turn while an outcome is owed
	owed    *Login    // what the vault still has to be told
	void    time.Time // an intent of ours that may be in the vault, and after which nothing was sent
	pause   pause
	young   int // how many access tokens in a row were rejected right after they were granted
	failing bool
}

// pause holds off what has just failed.
type pause struct {
	generation int64
	until      time.Time
	err        error
}

const (
	// refreshMargin is how long before its expiry an access token is replaced: longer than a request and a slow refresh take.
	refreshMargin = 2 * time.Minute
	// refreshJitter is spread over refreshMargin.
	refreshJitter = time.Minute
	// idleRefresh is how old a pair may become unused: a refresh token lives 30 days, a machine may be off for most of them.
	idleRefresh = 24 * time.Hour
	// keepAtMost is how far away Keep's next call may be: another process may have changed the login meanwhile.
	keepAtMost = 15 * time.Minute
	// awaitLogin is how often a missing login is looked for. It costs a read of one row.
	awaitLogin = 2 * time.Second
	// retryOwed is how often an outcome that could not be saved is tried again.
	retryOwed = 5 * time.Second
)

// NewCustody returns the custody of one account. It touches nothing.
func NewCustody(c CustodyConfig) *Custody {
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Custody{
		cfg: c, log: log.With("account", c.Account), jitter: rand.N(refreshJitter),
		turn: make(chan struct{}, 1),
	}
}

// Token returns an access token that is good by this machine's clock, refreshing the login where it is due. It blocks while anyone
// refreshes it. Errors: a *LoginError, or what went wrong with the vault or the refresh. It implements TokenSource.
func (c *Custody) Token(ctx context.Context) (Secret, error) { return c.token(ctx, "") }

// Renew returns an access token other than rejected, which Askara answered with 401. Where the login was refreshed meanwhile, by
// anyone, it does not refresh it again.
func (c *Custody) Renew(ctx context.Context, rejected Secret) (Secret, error) {
	return c.token(ctx, rejected)
}

func (c *Custody) token(ctx context.Context, rejected Secret) (Secret, error) {
	if !c.owing.Load() {
		// Mostly the login is fine, and reading it needs no lock. It is read each time: a person may have logged in or out meanwhile.
		l, err := c.Login(ctx)
		if err != nil {
			return "", err
		}
		switch v := c.view(l, rejected, time.Now()); {
		case l.State == LoginRequired:
			return "", loginError(l)
		case v == viewFresh, v == viewAlive && l.waits(time.Now()):
			return l.Tokens.Access, nil
		}
	}
	l, leave, err := c.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	c.reject(l, rejected)
	return c.decide(ctx, l)
}

// view is what an access token looks like from here.
type view int

const (
	viewDead  view = iota // expired, rejected or absent
	viewAlive             // not expired yet, but due
	viewFresh
)

// view judges l's access token at now. It knows nothing of State.
func (c *Custody) view(l Login, rejected Secret, now time.Time) view {
	t := l.Tokens
	dead := c.rejected.Load()
	switch {
	case t.Access == "", t.Access == rejected, dead != nil && t.Access == *dead, !now.Before(t.AccessExpiresAt):
		return viewDead
	case now.Before(t.AccessExpiresAt.Add(-c.margin(t))):
		if l.State == LoginOK {
			return viewFresh
		}
	}
	return viewAlive
}

// margin is how long before its expiry a token is due; for one that lives only a short time, a fifth of that.
func (c *Custody) margin(t Tokens) time.Duration {
	return max(0, min(refreshMargin+c.jitter, t.AccessExpiresAt.Sub(t.ObtainedAt)/5))
}

// decide returns l's access token, or refreshes first. The caller has the turn and the lock.
func (c *Custody) decide(ctx context.Context, l Login) (Secret, error) {
	now := time.Now()
	v := c.view(l, "", now)
	var err error
	switch {
	case l.State == LoginRequired:
		return "", loginError(l)
	case v == viewFresh:
		return l.Tokens.Access, nil
	case l.waits(now):
		err = loginError(l)
	case c.paused(l, now):
		err = c.pause.err
	default:
		if l, err = c.refresh(ctx, l); err == nil {
			return l.Tokens.Access, nil
		}
		v = c.view(l, "", time.Now())
	}
	if v == viewDead || c.owed != nil || l.State == LoginRequired {
		return "", err
	}
	if !c.failing {
		c.failing = true // said once, not with every request
		c.log.Warn("login not refreshed, using the access token until it expires", "expires_at", l.Tokens.AccessExpiresAt, "error", err)
	}
	return l.Tokens.Access, nil
}

// paused says whether the same pair has failed a moment ago.
func (c *Custody) paused(l Login, now time.Time) bool {
	return c.pause.err != nil && c.pause.generation == l.Generation && now.Before(c.pause.until)
}

const (
	// youngToken: an access token that is rejected at this age was never good.
	youngToken = 10 * time.Second
	// maxYoung is how many of these in a row are replaced before it is called Askara's trouble.
	maxYoung = 3
)

// reject notes that Askara refused an access token, where it is still the one in use. Should Askara refuse what it has just granted,
// again and again, refreshing does not help, and a pause does.
func (c *Custody) reject(l Login, rejected Secret) {
	if rejected == "" || l.Tokens.Access != rejected {
		return
	}
	if dead := c.rejected.Load(); dead != nil && *dead == rejected {
		return
	}
	c.rejected.Store(&rejected)
	now := time.Now()
	if now.Sub(l.Tokens.ObtainedAt).Abs() > youngToken {
		c.young = 0
		return
	}
	if c.young++; c.young > maxYoung {
		c.young = 0
		c.hold(l, now.Add(time.Minute), &Error{
			Op: opRefresh, Kind: FaultService, Err: errors.New("Askara refuses access tokens that it has just granted"), hint: hintDoctor,
		})
	}
}

// Login returns what the vault knows of the login, without a refresh.
func (c *Custody) Login(ctx context.Context) (Login, error) {
	l, err := c.cfg.Vault.LoadLogin(ctx, c.cfg.Account)
	if err != nil {
		return Login{}, &vaultError{op: fmt.Sprintf("account %q: read the login", c.cfg.Account), err: err}
	}
	if l.State != LoginRequired && l.Tokens.Refresh == "" {
		l.State = LoginRequired
	}
	return l, nil
}
