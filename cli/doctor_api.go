package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
)

// inquiry asks Askara, as one account, how its API really works.
type inquiry struct {
	*doctor
	transport *http.Transport
	witness   *witness
	ration    *ration
	tokens    askara.TokenSource
	// contract is the configured one, with what was found out since.
	contract askara.Contract

	page        askara.Page
	document    *askara.Document // a document that should have a PDF
	detail      []byte           // the same, as its own address shows it; patient data
	allow       http.Header      // of that answer
	description *description     // nil until asked for
}

// api examines the API as the first account that can. Without any it tells at least whether Askara answers.
func (d *doctor) api(ctx context.Context, ledger *store.Store, logins []string) {
	q := &inquiry{doctor: d, contract: d.cfg.API.Contract, ration: &ration{left: mostRequests}, tokens: nobody{}}
	q.transport = askara.NewTransport(d.cfg.API.Roots)
	defer q.transport.CloseIdleConnections()
	q.witness = &witness{base: q.transport, host: d.cfg.API.Base.Host}
	defer func() { d.report.requests = q.ration.used() }()
	if ledger != nil {
		l := d.cfg.Limits
		budget := askara.NewBudget(askara.BudgetConfig{
			Burst: l.Burst, Refill: l.Refill, RefillEvery: l.RefillEvery, Reserve: l.Reserve, Store: ledger, Logger: d.Logger,
		})
		q.ration.limiter = budget
		defer func() {
			if err := budget.Return(context.WithoutCancel(ctx)); err != nil {
				d.Logger.Debug("budget not returned", "error", err)
			}
		}()
	}
	if len(logins) == 0 {
		q.knock(ctx)
		return
	}
	endpoint := askara.NewTokenEndpoint(askara.TokenConfig{
		BaseURL: d.cfg.API.Base, Contract: q.contract, ClientID: d.cfg.API.ClientID, ClientSecret: d.cfg.API.ClientSecret,
		Transport: q.transport, Timeout: d.cfg.API.Timeout, Limiter: q.ration, UserAgent: userAgent(),
	})
	q.tokens = askara.NewCustody(askara.CustodyConfig{Account: logins[0], Vault: ledger, Refresher: endpoint, Logger: d.Logger})
	if !q.me(ctx, logins[0]) {
		return
	}
	q.clock(q.witness.seen())
	q.rate(q.witness.seen().header)
	q.contractChecks(ctx)
}

// nobody asks without a token.
type nobody struct{}

func (nobody) Token(context.Context) (askara.Secret, error) { return "", nil }
func (nobody) Renew(context.Context, askara.Secret) (askara.Secret, error) {
	return "", errors.New("nobody is logged in")
}

// client returns a client that keeps to the contract as it is known by now.
func (q *inquiry) client() *askara.Client { return q.with(q.contract) }

func (q *inquiry) with(c askara.Contract) *askara.Client {
	return askara.NewClient(askara.Config{
		BaseURL: q.cfg.API.Base, Contract: c, Transport: q.witness, Tokens: q.tokens, Limiter: q.ration, Timeout: q.cfg.API.Timeout,
		MaxDocumentSize: int64(q.cfg.Limits.MaxDocumentSize), UserAgent: userAgent(), Logger: q.Logger,
	})
}

// knock asks without a login, which is refused, and looks at how.
func (q *inquiry) knock(ctx context.Context) {
	s, err := q.client().Look(ctx, askara.Look{Method: http.MethodGet, Path: "/me"})
	if err != nil {
		q.unreachable(err)
		return
	}
	q.clock(q.witness.seen())
	switch {
	case s.Status == http.StatusUnauthorized:
		q.report.ok("server", "it answers, and wants a login")
	case s.Status >= 500:
		q.report.fail("server", askara.FaultService, answered(s.Status), "wait: Askara is in trouble")
	default:
		q.report.warn("server", answered(s.Status)+" where a login should be asked for", "check api.base_url")
	}
	q.report.warn("api", "not looked at, since nobody is logged in", "run doctor again after the login")
}

func answered(status int) string {
	return strings.TrimSpace(fmt.Sprintf("it answered %d %s", status, http.StatusText(status)))
}

// unreachable reports a request that got no answer.
func (q *inquiry) unreachable(err error) {
	if _, remedy := tlsTrouble(err); askara.HintOf(err) == "" {
		q.report.failed("server", err, remedy)
		return
	}
	q.report.failed("server", err, "")
}

// unasked reports that the request limit is in the way, which says nothing of what was to be looked at.
func (q *inquiry) unasked(name string, err error) bool {
	if err == nil || askara.FaultOf(err) != askara.FaultLimited {
		return false
	}
	remedy := askara.HintOf(err)
	if remedy == "" {
		remedy = "run doctor again when there is more: askara-sync status shows when"
	}
	q.report.warn(name, "not looked at: "+err.Error(), remedy)
	return true
}

// me asks whose login it is, and says whether there is any point in asking more.
func (q *inquiry) me(ctx context.Context, account string) bool {
	me, err := q.client().Me(ctx)
	if q.unasked("api", err) {
		return false
	}
	if err != nil {
		q.clock(q.witness.seen())
		remedy := askara.HintOf(err)
		if askara.FaultOf(err) == askara.FaultConfiguration && q.witness.seen().status == http.StatusNotFound {
			remedy = "check api.base_url"
		}
		q.report.failed("me", err, remedy)
		return false
	}
	if me.UUID == "" {
		q.report.warn("me", "the answer names nobody", "check api.base_url")
		return true
	}
	n := len(me.Organizations)
	q.report.ok("me", "account %s is user %s, with %d %s", account, me.UUID, n, plural(n, "organization", "organizations"))
	return true
}

const (
	// clockOff is more than a clock that is kept by NTP is ever off, clockWrong more than tokens and certificates put up with.
	clockOff   = time.Minute
	clockWrong = 10 * time.Minute
)

// clock compares this machine's clock with the answer's Date.
func (q *inquiry) clock(t testimony) {
	there, err := http.ParseTime(t.header.Get("Date"))
	if t.status == 0 {
		return
	}
	if err != nil {
		q.report.warn("clock", "the server does not tell its time", "check with: timedatectl")
		return
	}
	off := t.at.Sub(there).Round(time.Second)
	way := "ahead of"
	if off < 0 {
		off, way = -off, "behind"
	}
	text := fmt.Sprintf("%s %s Askara's", off, way)
	remedy := "sudo timedatectl set-ntp true"
	switch {
	case off > clockWrong:
		q.report.fail("clock", askara.FaultConfiguration, text, remedy)
	case off > clockOff:
		q.report.warn("clock", text, remedy)
	default:
		q.report.ok("clock", "within %s of Askara's", max(off, time.Second))
	}
}

// rate looks at the headers of the request limit.
func (q *inquiry) rate(h http.Header) {
	limit, err := strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	remaining, err2 := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	_, err3 := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	l := q.cfg.Limits
	own := fmt.Sprintf("limits.burst, refill and refill_every, now %d and %d every %s, must be what Askara grants", l.Burst, l.Refill,
		FormatDuration(l.RefillEvery))
	switch {
	case h.Get("X-Ratelimit-Limit") == "" && h.Get("X-Ratelimit-Remaining") == "":
		q.report.warn("rate limit", "Askara's answers do not tell it", own)
	case errors.Join(err, err2) != nil || limit <= 0 || remaining < 0 || remaining > limit:
		q.report.warn("rate limit", "what Askara's answers tell of it makes no sense", own)
	case err3 != nil:
		q.report.warn("rate limit", fmt.Sprintf("%d of %d requests are left; when more come is not told", remaining, limit), own)
	case remaining <= l.Reserve:
		q.report.warn("rate limit", fmt.Sprintf("%d of %d requests are left, no more than limits.reserve", remaining, limit),
			"wait; where it is always so, another program uses them up, or Askara has to raise the limit")
	default:
		q.report.ok("rate limit", "%d of %d requests are left", remaining, limit)
	}
}

// shapeOf tells how a list is wrapped.
func shapeOf(t testimony) string {
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(t.head), []byte("[")):
		return "a bare array"
	case bytes.Contains(t.head, []byte(`"hydra:`)):
		return "JSON-LD with hydra: keys"
	}
	return "JSON-LD"
}
