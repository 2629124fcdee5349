package askara

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// refreshTimeout bounds a Refresher that does not bound itself. Nothing else ends a refresh that was begun.
	refreshTimeout = time.Minute
	// saveTimeout bounds one attempt to save.
	saveTimeout = 15 * time.Second
	// savePatience is for how long a new pair is tried to be saved before the caller is told. It goes on being tried afterwards.
	savePatience = 8 * time.Second
	// refreshPauseUnsent and refreshPauseAnswered are how long a refresh that left the token as it was is not repeated: a moment after a lost connection, longer where a
	// server answered.
	refreshPauseUnsent   = 10 * time.Second
	refreshPauseAnswered = time.Minute
)

// retryLost is after how long a token whose answer was lost is tried again, and again; the last one repeats.
var retryLost = [...]time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}

// lostDelay is the wait after the given number of tries.
func lostDelay(tries int) time.Duration { return retryLost[min(max(tries, 0), len(retryLost)-1)] }

// admitter is a Refresher with a budget.
type admitter interface {
	Admit(ctx context.Context) error
}

// takeTurn waits for the turn among goroutines and the lock among processes. On success the caller must leave.
func (c *Custody) takeTurn(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("account %q: wait for a refresh: %w", c.cfg.Account, context.Cause(ctx))
	}
	if c.unlock != nil {
		return nil // kept, since an outcome is owed
	}
	unlock, err := c.cfg.Vault.LockLogin(ctx, c.cfg.Account)
	if err != nil {
		<-c.turn
		return fmt.Errorf("account %q: wait for another process to refresh: %w", c.cfg.Account, err)
	}
	c.unlock = unlock
	return nil
}

// leave gives back what takeTurn took. While an outcome is owed the lock stays: another process would find the intent
// open, take us for dead, and send the old token again.
func (c *Custody) leave() {
	if c.owed == nil {
		c.unlock()
		c.unlock = nil
	}
	<-c.turn
}

// enter takes the turn, saves what is owed, reads the login again, since another process may have refreshed it, and settles an intent
// that was left open. On success the caller must leave.
func (c *Custody) enter(ctx context.Context) (l Login, leave func(), err error) {
	if err := c.takeTurn(ctx); err != nil {
		return Login{}, nil, err
	}
	defer func() {
		if err != nil {
			c.leave()
		}
	}()
	if c.owed != nil {
		if err := c.keep(ctx, *c.owed, 0); err != nil {
			return Login{}, nil, err
		}
	}
	if l, err = c.Login(ctx); err != nil {
		return Login{}, nil, err
	}
	if l.IntentAt.IsZero() {
		return l, c.leave, nil
	}
	if l.IntentAt.Equal(c.void) {
		l.IntentAt = time.Time{} // ours, and nothing was sent; the next save mends the row
		return l, c.leave, nil
	}
	// We have the lock, so whoever began this refresh is dead. The time of the next try counts from then.
	now := time.Now()
	began := l.IntentAt
	l = lost(l, began, now)
	if at := began.Add(lostDelay(l.Tries)); at.Before(l.RetryAt) {
		l.RetryAt = at
	}
	if err = c.save(context.WithoutCancel(ctx), l); err != nil {
		return Login{}, nil, c.unkept("record that a refresh was interrupted", err)
	}
	c.log.Warn("refresh found interrupted, the login is uncertain", "began_at", began, "retry_at", l.RetryAt)
	return l, c.leave, nil
}

// refresh trades the pair of l for a new one and returns the login as it is then. Its error says why there is no new pair.
func (c *Custody) refresh(ctx context.Context, l Login) (Login, error) {
	if a, ok := c.cfg.Refresher.(admitter); ok {
		if err := a.Admit(ctx); err != nil {
			return l, fmt.Errorf("account %q: wait for the budget to refresh the login: %w", c.cfg.Account, err)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return l, fmt.Errorf("account %q: refresh the login: %w", c.cfg.Account, err) // the last moment to give up
	}
	ctx = context.WithoutCancel(ctx)
	intent := l
	intent.IntentAt = stamp(time.Now())
	if err := c.save(ctx, intent); err != nil {
		// Not proven that a new pair could be kept, so the old one stays unspent. The intent may have been written all the same.
		c.void = intent.IntentAt
		err = c.unkept("make sure that a new login can be kept", err)
		c.hold(l, time.Now().Add(refreshPauseUnsent), err)
		return l, err
	}
	t, err := c.send(ctx, l.Tokens.Refresh)
	after, err := c.outcome(l, intent.IntentAt, t, err)
	return after, c.record(ctx, after, intent.IntentAt, err)
}

// send lets the Refresher send the token.
func (c *Custody) send(ctx context.Context, token Secret) (Tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	t, err := c.cfg.Refresher.Refresh(ctx, token)
	if err == nil && (t.Access == "" || t.Refresh == "") {
		err = errors.New("the answer holds no pair of tokens")
	}
	return t, err
}

// outcome is the login after a refresh of l that was begun at began and brought t or err, and the error that says so.
func (c *Custody) outcome(l Login, began time.Time, t Tokens, err error) (Login, error) {
	now := time.Now()
	if err == nil {
		return Login{Account: l.Account, State: LoginOK, Tokens: t, Generation: l.Generation + 1, Person: l.Person}, nil
	}
	switch FateOf(err) {
	case FateRefused:
		after := Login{Account: l.Account, State: LoginRequired, Reason: refusedReason(l, err, now), Generation: l.Generation, Person: l.Person}
		return after, loginError(after)
	case FateKept:
		return c.kept(l, err, now), err
	}
	after := lost(l, began, now)
	if t.Access != "" {
		// An answer with an access token alone: it serves while it lasts.
		after.Tokens.Access, after.Tokens.AccessExpiresAt, after.Tokens.ObtainedAt = t.Access, t.AccessExpiresAt, t.ObtainedAt
	}
	c.log.Warn("answer to the refresh lost, the login is uncertain", "tries", after.Tries, "retry_at", after.RetryAt, "error", err)
	return after, loginError(after)
}

// record saves an outcome and returns err, or why it could not be saved.
func (c *Custody) record(ctx context.Context, after Login, began time.Time, err error) error {
	switch {
	case err == nil:
		// The only copy of the new pair is in memory: everything is done to get it onto the disk.
		if err := c.keep(ctx, after, savePatience); err != nil {
			return err
		}
		if c.failing {
			c.log.Info("login recovered", "generation", after.Generation)
		}
		c.failing, c.pause = false, pause{}
		return nil
	case after.State == LoginRequired:
		c.log.Error("login refused, a person must log in", "reason", after.Reason)
		if err := c.keep(ctx, after, 0); err != nil {
			return err // or the refused token might be sent again
		}
		return err
	}
	// The old token stays. Should this not be saved, the intent stays open in the vault; whoever finds it there takes the answer for
	// lost, which it is, or which finds itself out.
	if saveErr := c.save(ctx, after); saveErr != nil {
		c.log.Warn("outcome of the refresh not recorded", "error", saveErr)
		if after.State == LoginOK {
			c.void = began
		}
	}
	c.failing = true
	return err
}

// keep saves an outcome that must not be lost, trying for as long as patience says, at least once. On failure it is owed: kept
// in memory, together with the lock.
func (c *Custody) keep(ctx context.Context, l Login, patience time.Duration) error {
	ctx = context.WithoutCancel(ctx)
	giveUp := time.Now().Add(patience)
	err := c.save(ctx, l)
	for wait := 50 * time.Millisecond; err != nil && time.Now().Add(wait).Before(giveUp); wait = min(2*wait, time.Second) {
		<-time.After(wait) // deaf to the caller's context on purpose
		err = c.save(ctx, l)
	}
	if err == nil {
		if c.owed != nil {
			c.log.Info("login kept at last", "generation", l.Generation)
		}
		c.settled()
		return nil
	}
	wrapped := c.unkept("keep the outcome of the refresh, which is in memory alone: do not stop the program", err)
	if c.owed == nil {
		c.log.Error("login not kept, its only copy is in memory: do not stop the program", "generation", l.Generation, "error", err,
			"hint", HintOf(wrapped))
	}
	c.owed = &l
	c.owing.Store(true)
	return wrapped
}

// settled: nothing is owed any more.
func (c *Custody) settled() {
	c.owed = nil
	c.owing.Store(false)
}

// save makes one attempt.
func (c *Custody) save(ctx context.Context, l Login) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	return c.cfg.Vault.SaveLogin(ctx, l)
}

// lost is l after the answer to the refresh begun at began was lost, found out at now.
func lost(l Login, began, now time.Time) Login {
	l.IntentAt = time.Time{}
	if l.State == LoginUncertain {
		l.Tries++
	} else {
		l.State, l.LostAt, l.Tries = LoginUncertain, began, 0
	}
	l.Reason = lostReason(l.LostAt, now)
	l.RetryAt = stamp(now.Add(lostDelay(l.Tries)))
	return l
}

// kept is l after a refresh that left the token as it was; such a one is not repeated at once.
func (c *Custody) kept(l Login, err error, now time.Time) Login {
	wait, answered := refreshPauseUnsent, false
	if e, ok := errors.AsType[*Error](err); ok && e.Status != 0 {
		wait, answered = max(refreshPauseUnsent, e.RetryAfter), true
		if e.RetryAfter == 0 {
			wait = refreshPauseAnswered
		}
	}
	l.IntentAt = time.Time{}
	if l.State != LoginUncertain {
		c.hold(l, now.Add(wait), err)
		return l
	}
	if answered {
		l.Tries++
	}
	l.RetryAt = stamp(now.Add(max(wait, lostDelay(l.Tries))))
	return l
}

// hold keeps refreshes of this pair off until then; meanwhile they fail with err.
func (c *Custody) hold(l Login, until time.Time, err error) {
	c.pause = pause{generation: l.Generation, until: until, err: err}
}

// lostReason is what status and log say of a lost answer.
func lostReason(at, now time.Time) string {
	return "the answer to the refresh of " + clock(at, now) + " was lost"
}

// refusedReason says why a login is gone.
func refusedReason(l Login, err error, now time.Time) string {
	if !l.LostAt.IsZero() {
		return lostReason(l.LostAt, now)
	}
	if end := l.Tokens.RefreshExpiresAt; !end.IsZero() && now.After(end) {
		return "it died of age, since it could not be refreshed after " + clock(l.Tokens.ObtainedAt, now)
	}
	if e, ok := errors.AsType[*GrantError](err); ok && e.Code != "" {
		return "Askara refused to refresh it (" + e.Code + ")"
	}
	return "Askara refused to refresh it"
}
