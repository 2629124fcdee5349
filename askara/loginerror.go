package askara

import (
	"fmt"
	"time"
)

// LoginError says that an account has no usable login at present.
type LoginError struct {
	Account string
	State   LoginState // LoginRequired or LoginUncertain
	// Reason says why in plain words; "" where the account has never logged in.
	Reason string
	// Since is when the answer was lost; zero where none was.
	Since time.Time
	// RetryAt is when an uncertain login is tried again by itself.
	RetryAt time.Time
}

// loginError makes an error of a login that is not ok.
func loginError(l Login) *LoginError {
	return &LoginError{Account: l.Account, State: l.State, Reason: l.Reason, Since: l.LostAt, RetryAt: l.RetryAt}
}

// Error implements error.
func (e *LoginError) Error() string {
	if e.State == LoginUncertain {
		return fmt.Sprintf("account %q: the login is uncertain: %s", e.Account, e.Reason)
	}
	if e.Reason == "" {
		return fmt.Sprintf("account %q: nobody has logged in yet", e.Account)
	}
	return fmt.Sprintf("account %q: a person must log in again: %s", e.Account, e.Reason)
}

// Fault is FaultLogin where a person must act, FaultService where the program finds out by itself.
func (e *LoginError) Fault() Fault {
	if e.State == LoginUncertain {
		return FaultService
	}
	return FaultLogin
}

// Hint says what to type.
func (e *LoginError) Hint() string {
	if e.State == LoginUncertain {
		return fmt.Sprintf("nothing to do yet: what became of the login is found out by itself, next at %s", clock(e.RetryAt, time.Now()))
	}
	if e.Account == "default" {
		return hintLogin
	}
	return fmt.Sprintf(`run "askara-sync login --account %s"`, e.Account)
}

// clock writes a time as a person in this time zone reads it: with the date where it is not today's.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	return t.Format("2006-01-02 15:04")
}

// vaultError is a login that could not be kept, with what to do.
type vaultError struct {
	op, hint string
	err      error
}

// Error implements error.
func (e *vaultError) Error() string { return e.op + ": " + e.err.Error() }

// Unwrap returns the vault's error, which has the Fault.
func (e *vaultError) Unwrap() error { return e.err }

// Hint says what to do: the vault's own word where it has one.
func (e *vaultError) Hint() string {
	if hint := HintOf(e.err); hint != "" {
		return hint
	}
	return e.hint
}
