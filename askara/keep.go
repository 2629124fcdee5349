package askara

import (
	"context"
	"fmt"
	"time"
)

// Keep does what is due for the login apart from any request: it refreshes one that was not used for a day, tries an uncertain one
// again on its schedule, settles what an interrupted refresh left, and warns of a login that will die of age. It returns when to
// call again, always later than now; a new login may come sooner, and is taken up by every call. The error says why the login cannot be
// used or was not refreshed; it is the same until something changes, so say it once.
func (c *Custody) Keep(ctx context.Context) (next time.Time, err error) {
	l, err := c.Login(ctx)
	if err != nil {
		return time.Now().Add(retryOwed), err
	}
	c.warn(l)
	if c.owing.Load() || !l.IntentAt.IsZero() || c.due(l, time.Now()) {
		var leave func()
		if l, leave, err = c.enter(ctx); err != nil {
			return time.Now().Add(retryOwed), err
		}
		defer leave()
		if now := time.Now(); c.due(l, now) && !c.paused(l, now) {
			l, err = c.refresh(ctx, l)
		}
		if now := time.Now(); c.paused(l, now) && c.due(l, now) {
			return c.pause.until, c.pause.err
		}
	}
	if err == nil && l.State != LoginOK {
		err = loginError(l)
	}
	return c.next(l, time.Now()), err
}

// due says whether the login wants a refresh that nobody asked for.
func (c *Custody) due(l Login, now time.Time) bool {
	switch l.State {
	case LoginUncertain:
		return !l.waits(now)
	case LoginOK:
		return now.Sub(l.Tokens.ObtainedAt) >= idleRefresh
	}
	return false
}

// next is when Keep is to be called again.
func (c *Custody) next(l Login, now time.Time) time.Time {
	at := now.Add(keepAtMost)
	sooner := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	switch l.State {
	case LoginRequired:
		sooner(now.Add(awaitLogin))
	case LoginUncertain:
		sooner(l.RetryAt)
	case LoginOK:
		sooner(l.Tokens.ObtainedAt.Add(idleRefresh))
	}
	if c.owing.Load() {
		sooner(now.Add(retryOwed))
	}
	if soonest := now.Add(time.Second); at.Before(soonest) {
		return soonest
	}
	return at
}

// warn says once a day that the login dies of age.
func (c *Custody) warn(l Login) {
	now := time.Now()
	warned := c.warnedAt.Load()
	if !l.ExpiringAt(c.cfg.ReloginBefore, now) || warned != nil && now.Sub(*warned) < 24*time.Hour {
		return
	}
	c.warnedAt.Store(&now)
	c.log.Warn("login dies of age unless it can be refreshed or a person logs in", "refresh_expires_at", l.Tokens.RefreshExpiresAt)
}

// PendingSuffix ends the name under which the vault keeps a new login that nobody has agreed to yet. No account's name may end so.
const PendingSuffix = "~pending"

// Hold keeps a newly granted pair durably and sealed, beside the account's login, which it leaves alone. So the pair may be used to find
// out whose it is before it replaces the login of, perhaps, another person. Adopt or Discard ends that; so does the next Hold.
func (c *Custody) Hold(ctx context.Context, t Tokens) error {
	l := Login{Account: c.cfg.Account + PendingSuffix, State: LoginOK, Tokens: t, Generation: 1}
	if err := c.save(context.WithoutCancel(ctx), l); err != nil {
		return c.unkept("keep the new login", err)
	}
	return nil
}

// Discard forgets the pair that Hold kept.
func (c *Custody) Discard(ctx context.Context) error {
	l := Login{Account: c.cfg.Account + PendingSuffix, State: LoginRequired}
	if err := c.save(context.WithoutCancel(ctx), l); err != nil {
		return c.unkept("forget the login that was not adopted", err)
	}
	return nil
}

// Adopt makes a newly granted pair the account's login, whatever that was before, and ends a Hold. person is the uuid that /me gave for it,
// "" where unknown. On return it is durable, and every process that shares the vault uses it from its next request on. It waits
// for a refresh in flight.
func (c *Custody) Adopt(ctx context.Context, t Tokens, person string) error {
	return c.replace(ctx, "keep the new login", func(l *Login) {
		*l = Login{Account: c.cfg.Account, State: LoginOK, Tokens: t, Generation: l.Generation + 1, Person: person}
	})
}

// Forget removes the login. Whose it was stays known, since what was delivered stays too. Askara is not told: it documents no way to.
func (c *Custody) Forget(ctx context.Context) error {
	return c.replace(ctx, "forget the login", func(l *Login) {
		*l = Login{
			Account: c.cfg.Account, State: LoginRequired, Reason: "logged out at " + time.Now().Format("15:04 on 2006-01-02"),
			Generation: l.Generation + 1, Person: l.Person,
		}
	})
}

// replace changes the login regardless of its state.
func (c *Custody) replace(ctx context.Context, op string, change func(*Login)) error {
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.leave()
	// It is read first, so that a vault with the wrong key is an error and not an overwritten login.
	l, err := c.Login(ctx)
	if err != nil {
		return err
	}
	change(&l)
	if err := c.save(context.WithoutCancel(ctx), l); err != nil {
		return c.unkept(op, err) // what is owed stays owed
	}
	c.settled()
	c.pause = pause{}
	pending, err := c.cfg.Vault.LoadLogin(ctx, c.cfg.Account+PendingSuffix)
	if err == nil && pending.Tokens.Refresh == "" {
		return nil
	}
	if err := c.Discard(ctx); err != nil {
		c.log.Warn("a copy of the new login stays behind in the vault until the next one", "error", err)
	}
	return nil
}

// unkept wraps an error of the vault.
func (c *Custody) unkept(op string, err error) error {
	return &vaultError{
		op: fmt.Sprintf("account %q: %s", c.cfg.Account, op), err: err,
		hint: `make the state directory writable and free some space there; "askara-sync doctor" looks at both`,
	}
}
