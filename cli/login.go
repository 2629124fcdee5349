package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"askara-sync/askara"
)

// loginEndpoint is where a login comes from: askara.TokenEndpoint.
type loginEndpoint interface {
	StartDevice(ctx context.Context, scopes []string) (askara.DeviceGrant, error)
	PollDevice(ctx context.Context, g askara.DeviceGrant) (askara.Tokens, error)
	ExchangeCode(ctx context.Context, code, redirectURI, verifier string) (askara.Tokens, error)
}

// loginFlow is one run of the verb login.
//
// The order matters: the granted pair is kept, durably and beside the account's login; then /me is asked whose it is, which is the
// pair's first use; then, where it is another person's than before, somebody agrees; only then does it become the account's login.
// Whatever ends the flow before that leaves the login as it was.
type loginFlow struct {
	// Out gets the result, Screen what a person reads on the way to it.
	Out, Screen io.Writer
	// In is where answers and pasted addresses come from. A goroutine may still be reading it when the flow has ended.
	In io.Reader
	// Terminal says that Screen is a terminal: there is a QR code and a countdown.
	Terminal bool
	// Interactive says that In is a terminal, so that somebody can answer a question.
	Interactive bool

	Account   string
	Endpoint  loginEndpoint
	Custody   *askara.Custody
	Me        func(ctx context.Context, access askara.Secret) (askara.Me, error)
	Authorize askara.AuthorizeConfig // its RedirectURI "" means defaultRedirectURI
	Browser   bool                   // with a browser instead of a device code
	Force     bool                   // another person may take the account over without a question

	lines <-chan string // of In, once reading has begun
}

// loginCancelled is a login that was interrupted.
type loginCancelled struct{ cause error }

func (e *loginCancelled) Error() string { return "login cancelled; nothing was changed" }

func (e *loginCancelled) Unwrap() error { return e.cause }

// run logs in. An interrupt through ctx is clean.
func (f *loginFlow) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := f.Custody.Login(ctx) // an unreadable ledger shows now, and not after somebody has been sent to a browser
	if err != nil {
		return err
	}
	tokens, err := f.grant(ctx)
	if err != nil {
		return f.cancelled(ctx, err)
	}
	if err := f.Custody.Hold(ctx, tokens); err != nil {
		return err
	}
	me, meErr := f.Me(ctx, tokens.Access)
	if err := f.agree(ctx, before, me, meErr); err != nil {
		return f.cancelled(ctx, errors.Join(err, f.Custody.Discard(ctx)))
	}
	if err := f.Custody.Adopt(ctx, tokens, me.UUID); err != nil {
		return f.cancelled(ctx, errors.Join(err, f.Custody.Discard(ctx)))
	}
	f.report(me, meErr)
	return nil
}

// grant asks Askara for a pair, one way or the other.
func (f *loginFlow) grant(ctx context.Context) (askara.Tokens, error) {
	if f.Browser {
		return f.browse(ctx)
	}
	return f.device(ctx)
}

// cancelled returns err, or, where the person has interrupted the flow, that.
func (f *loginFlow) cancelled(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if f.Terminal {
		fmt.Fprintln(f.Screen) // behind the ^C
	}
	return &loginCancelled{cause: context.Cause(ctx)}
}

// agree returns nil where the new login may replace the one before. Whose that was is known by uuid alone.
func (f *loginFlow) agree(ctx context.Context, before askara.Login, me askara.Me, meErr error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.Force || before.Person == "" || before.Person == me.UUID {
		return nil
	}
	problem := fmt.Sprintf("account %q was logged in as somebody else before", f.Account)
	if meErr != nil || me.UUID == "" {
		problem = fmt.Sprintf("Askara does not say whether this is the person who was logged in to account %q before", f.Account)
	}
	if !f.Interactive {
		return &UsageError{Problem: problem + "; the login stays as it was", Remedy: "askara-sync login --account " + f.Account + " --force"}
	}
	fmt.Fprintf(f.Screen, "\nThis login is that of %s, and %s.\n", name(me), problem)
	fmt.Fprintf(f.Screen, "From now on this account's folder or database would get the new person's documents. Go on? [y/N] ")
	answer, err := f.line(ctx)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "o", "oui":
		return nil
	}
	return &askara.NoLoginError{Reason: "the login stays as it was"}
}

// report says who has logged in.
func (f *loginFlow) report(me askara.Me, meErr error) {
	if meErr != nil {
		fmt.Fprintf(f.Out, "Account %s is logged in.\n", f.Account)
		fmt.Fprintf(f.Screen, "askara-sync: Askara did not say as whom: %v\n", meErr)
		if hint := askara.HintOf(meErr); hint != "" {
			fmt.Fprintf(f.Screen, "hint: %s\n", hint)
		}
		return
	}
	fmt.Fprintf(f.Out, "Account %s is logged in as %s.\n", f.Account, name(me))
	for _, o := range me.Organizations {
		fmt.Fprintf(f.Out, "Organization: %s\n", shown(o.Name, o.UUID))
	}
	if len(me.Organizations) == 0 {
		fmt.Fprintf(f.Out, "Askara names no organization for this login.\n")
	}
}

// name is how a person is called on the person's own screen.
func name(me askara.Me) string {
	full := strings.TrimSpace(me.FirstName + " " + me.LastName)
	switch {
	case full != "" && me.Email != "":
		return shown(full+" <"+me.Email+">", "")
	case full != "" || me.Email != "" || me.UUID != "":
		return shown(full+me.Email, me.UUID)
	}
	return "somebody whom Askara does not name"
}

// shown makes foreign text safe for a terminal, and short; other stands in for nothing.
func shown(s, other string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
	if runes := []rune(s); len(runes) > 120 {
		s = string(runes[:119]) + "…"
	}
	if s == "" && other != "" {
		return shown(other, "")
	}
	return s
}

// device logs in with a code that the person types into any browser.
func (f *loginFlow) device(ctx context.Context) (askara.Tokens, error) {
	g, err := f.Endpoint.StartDevice(ctx, f.Authorize.Scopes)
	if err != nil {
		return askara.Tokens{}, err
	}
	f.showDevice(g)
	stop := f.countdown(ctx, g.ExpiresAt)
	defer stop()
	return f.Endpoint.PollDevice(ctx, g)
}

// countdown shows on a terminal how much time is left, and says it once elsewhere. stop ends it and clears its line.
func (f *loginFlow) countdown(ctx context.Context, end time.Time) (stop func()) {
	if !f.Terminal {
		fmt.Fprintf(f.Screen, "Waiting until %s for the login to be approved.\n", end.Local().Format("15:04"))
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			left := max(time.Until(end), 0).Round(time.Second)
			fmt.Fprintf(f.Screen, "\rWaiting for the login to be approved, %d:%02d left \x1b[K", int(left.Minutes()), int(left.Seconds())%60)
			select {
			case <-tick.C:
			case <-ctx.Done():
				fmt.Fprint(f.Screen, "\r\x1b[K")
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
