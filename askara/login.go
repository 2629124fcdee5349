package askara

import (
	"context"
	"time"
)

// Tokens is what the token endpoint grants.
type Tokens struct {
	Access          Secret
	Refresh         Secret
	AccessExpiresAt time.Time
	// RefreshExpiresAt is ObtainedAt plus the documented 30 days; the answer does not say it.
	RefreshExpiresAt time.Time
	ObtainedAt       time.Time
}

// LoginState is what is known of an account's login. The strings are part of the output of status --json.
type LoginState string

const (
	// LoginOK: the refresh token that we hold has never been sent.
	LoginOK LoginState = "ok"
	// LoginUncertain: the answer to a refresh was lost; the token that we hold may be spent.
	LoginUncertain LoginState = "uncertain"
	// LoginRequired: there is no usable refresh token; a person must log in.
	LoginRequired LoginState = "required"
)

// Login is what is kept of one account's login. The zero value but for Account, with State LoginRequired, is an account
// that has never logged in.
type Login struct {
	Account string
	State   LoginState
	// Reason says in plain words why State is not ok; no secret, no personal data.
	Reason string
	Tokens Tokens
	// Generation rises by one with every pair that is saved.
	Generation int64

	// IntentAt is when a refresh was begun whose outcome is not recorded yet; zero where none is open.
	IntentAt time.Time
	// LostAt is when the answer was lost that made State uncertain; zero otherwise.
	LostAt time.Time
	// Tries counts how often the old token was tried since LostAt; RetryAt is when it is tried next.
	Tries   int
	RetryAt time.Time

	// Person is the uuid that /me gave for this login, to notice a login as somebody else; "" where unknown.
	Person string
}

// ExpiringAt says whether at now the login dies of age within before, unless it is refreshed until then. It is for warnings: what
// Askara accepts is Askara's to say. A before of 0 or less never warns.
func (l Login) ExpiringAt(before time.Duration, now time.Time) bool {
	end := l.Tokens.RefreshExpiresAt
	return before > 0 && l.State != LoginRequired && !end.IsZero() && !now.Before(end.Add(-before))
}

// Vault keeps logins durably and sealed. The store implements it.
type Vault interface {
	// LoadLogin returns the account's login, State LoginRequired where there is none yet.
	LoadLogin(ctx context.Context, account string) (Login, error)
	// SaveLogin replaces it. On return it survives a power cut. It keeps room in reserve: on a full disk it gives the
	// reserve up and succeeds; while the reserve cannot be rebuilt, saving an intent fails, so that no token is spent whose
	// successor could not be kept.
	SaveLogin(ctx context.Context, l Login) error
	// LockLogin makes the caller the only one, among all goroutines and processes, who refreshes this account. It blocks
	// until then or until ctx ends.
	LockLogin(ctx context.Context, account string) (unlock func(), err error)
}

// waits says whether it is too early to try an uncertain login again. Nothing waits for longer than maxRetryAfter: where RetryAt is
// further away, the clock has been set back since.
func (l Login) waits(now time.Time) bool {
	wait := l.RetryAt.Sub(now)
	return l.State == LoginUncertain && wait > 0 && wait <= 2*maxRetryAfter
}
