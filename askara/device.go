package askara

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DeviceGrant is a device login that waits for a person: RFC 8628. Everything in it but DeviceCode is for showing, and safe to show on a
// terminal.
type DeviceGrant struct {
	DeviceCode Secret
	// UserCode is what the person types at VerificationURI.
	UserCode        string
	VerificationURI string
	// VerificationURIComplete holds the code already; "" where Askara gave none.
	VerificationURIComplete string
	ExpiresAt               time.Time
	// Interval is the least time between two polls.
	Interval time.Duration
}

const (
	opDevice = "start the device login"
	opPoll   = "wait for the device login"

	deviceGrantType = "urn:ietf:params:oauth:grant-type:device_code"

	// defaultDeviceLifetime [I] and defaultInterval (RFC 8628, section 3.2) stand in for what the answer does not say.
	defaultDeviceLifetime = 10 * time.Minute
	defaultInterval       = 5 * time.Second
	maxDeviceLifetime     = 24 * time.Hour
	maxInterval           = 2 * time.Minute
	// slowDown is what a slow_down adds to the interval, for good (RFC 8628, section 3.5).
	slowDown = 5 * time.Second
)

// StartDevice asks for a device login [I]. Errors are a *GrantError, or an *Error where the answer cannot be used.
func (e *TokenEndpoint) StartDevice(ctx context.Context, scopes []string) (DeviceGrant, error) {
	if err := e.Admit(ctx); err != nil {
		return DeviceGrant{}, err
	}
	r, err := e.post(ctx, opDevice, e.cfg.Contract.DevicePath, map[string]string{"scope": strings.Join(scopes, " ")})
	if err != nil {
		return DeviceGrant{}, err
	}
	if !r.success() {
		refused := r.refusal(opDevice)
		if refused.Code == "" && r.status/100 == 4 && r.status != http.StatusTooManyRequests {
			refused.Err.hint = `Askara may offer device logins elsewhere (api.contract.device_path); "askara-sync login --browser" does without`
		}
		return DeviceGrant{}, refused
	}
	g, err := decodeDevice(r.body, time.Now())
	if err = cmp.Or(r.err, err); err != nil {
		return DeviceGrant{}, &Error{Op: opDevice, Status: r.status, Kind: FaultService, Err: err, hint: hintDoctor}
	}
	return g, nil
}

// decodeDevice reads the answer to StartDevice, received at now. What is shown on a terminal must not control it.
func decodeDevice(raw []byte, now time.Time) (DeviceGrant, error) {
	var in struct {
		DeviceCode json.RawMessage `json:"device_code"`
		UserCode   string          `json:"user_code"`
		URI        string          `json:"verification_uri"`
		Complete   string          `json:"verification_uri_complete"`
		ExpiresIn  json.RawMessage `json:"expires_in"`
		Interval   json.RawMessage `json:"interval"`
	}
	if json.Unmarshal(raw, &in) != nil {
		return DeviceGrant{}, errors.New("the answer is no JSON object, or not one that starts a device login")
	}
	g := DeviceGrant{Interval: defaultInterval}
	var ok bool
	if g.DeviceCode, ok = decodeToken(in.DeviceCode); !ok {
		return DeviceGrant{}, errors.New("the answer holds no usable device_code")
	}
	if in.UserCode == "" || len(in.UserCode) > 40 || strings.ContainsFunc(in.UserCode, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return DeviceGrant{}, errors.New("the answer holds no usable user_code")
	}
	g.UserCode = in.UserCode
	if g.VerificationURI = shownURL(in.URI); g.VerificationURI == "" {
		return DeviceGrant{}, errors.New("the answer holds no usable verification_uri")
	}
	g.VerificationURIComplete = shownURL(in.Complete)
	lifetime, ok := decodeSeconds(in.ExpiresIn, maxDeviceLifetime)
	if !ok {
		lifetime = defaultDeviceLifetime
	}
	g.ExpiresAt = now.Add(lifetime)
	if interval, ok := decodeSeconds(in.Interval, maxInterval); ok {
		g.Interval = max(interval, time.Second)
	}
	return g, nil
}

// shownURL returns a URL that a person may be sent to, "" where it is none: https, or http on this machine.
func shownURL(raw string) string {
	if len(raw) > 2000 || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return ""
	}
	return raw
}

// NoLoginError is a login that a person began and that came to nothing.
type NoLoginError struct {
	// Reason says why, in plain words.
	Reason string
	Err    error // nil where the time ran out here
}

// Error implements error.
func (e *NoLoginError) Error() string { return e.Reason }

// Unwrap returns the refusal.
func (e *NoLoginError) Unwrap() error { return e.Err }

// Fault implements the interface that the command acts on.
func (e *NoLoginError) Fault() Fault { return FaultLogin }

// Hint says what to type.
func (e *NoLoginError) Hint() string { return hintLogin + " again" }

// PollDevice waits until the person has decided, the code has expired, or ctx has ended. Lost connections, failing servers and spent
// budgets are waited out. Errors: a *NoLoginError, a *GrantError with FaultConfiguration, or ctx's.
func (e *TokenEndpoint) PollDevice(ctx context.Context, g DeviceGrant) (Tokens, error) {
	interval := max(g.Interval, time.Second)
	wait := interval
	var trouble error
	for {
		left := time.Until(g.ExpiresAt)
		wait = max(interval, min(wait, left-time.Second)) // however long the trouble lasts, one last poll
		if left <= wait {
			// Another poll would come too late. The wait goes on to the end all the same: what is shown says how much time is left.
			if err := sleep(ctx, left); err != nil {
				return Tokens{}, err
			}
			return Tokens{}, &NoLoginError{Reason: "the code has expired before anybody approved the login", Err: trouble}
		}
		if err := sleep(ctx, wait); err != nil {
			return Tokens{}, err
		}
		t, err := e.poll(ctx, g)
		if err == nil {
			return t, nil
		}
		if ctx.Err() != nil {
			return Tokens{}, fmt.Errorf("%s: %w", opPoll, context.Cause(ctx))
		}
		refused, ok := errors.AsType[*GrantError](err)
		if !ok {
			return Tokens{}, err // the Limiter's
		}
		switch step, reason := classifyPoll(refused); step {
		case pollEnd:
			return Tokens{}, &NoLoginError{Reason: reason, Err: err}
		case pollBroken:
			return Tokens{}, err
		case pollSlower:
			interval += slowDown
			wait, trouble = interval, nil
		case pollAgain:
			wait, trouble = interval, nil
		case pollTrouble:
			// RFC 8628, section 3.5, asks for a growing distance after lost connections.
			wait, trouble = max(min(2*wait, max(time.Minute, interval)), refused.Err.RetryAfter), err
		}
	}
}

// poll asks once.
func (e *TokenEndpoint) poll(ctx context.Context, g DeviceGrant) (Tokens, error) {
	if err := e.Admit(ctx); err != nil {
		return Tokens{}, err
	}
	return e.grant(ctx, opPoll, map[string]string{"grant_type": deviceGrantType, "device_code": g.DeviceCode.Reveal()})
}

// pollStep is what an answer to a poll asks for.
type pollStep int

const (
	pollAgain   pollStep = iota // nobody has decided yet
	pollSlower                  // the same, and we asked too often
	pollTrouble                 // no answer, or one that says nothing about the login
	pollBroken                  // a setting is wrong
	pollEnd                     // there will be no login from this code
)

// classifyPoll sorts the refusals of section 2 of the API's description; reason is for pollEnd.
func classifyPoll(e *GrantError) (step pollStep, reason string) {
	switch e.Code {
	case "authorization_pending":
		return pollAgain, ""
	case "slow_down":
		return pollSlower, ""
	case "access_denied":
		return pollEnd, "the login was refused in the browser"
	case "expired_token":
		return pollEnd, "the code has expired before anybody approved the login"
	case "invalid_grant":
		return pollEnd, "Askara does not know the code any more"
	case "invalid_request":
		// Also what a missing secret looks like; but then StartDevice would hardly have been answered.
		return pollEnd, "Askara says that the code was used already"
	}
	if e.Err.Kind == FaultConfiguration {
		return pollBroken, ""
	}
	return pollTrouble, ""
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
