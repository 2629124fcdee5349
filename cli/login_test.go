package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
)

// memoryVault is an askara.Vault that keeps logins in memory.
type memoryVault struct {
	mu   sync.Mutex
	rows map[string]askara.Login
	log  *[]string // what was saved, in order
}

func (v *memoryVault) LoadLogin(_ context.Context, account string) (askara.Login, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if l, ok := v.rows[account]; ok {
		return l, nil
	}
	return askara.Login{Account: account, State: askara.LoginRequired}, nil
}

func (v *memoryVault) SaveLogin(_ context.Context, l askara.Login) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rows[l.Account] = l
	*v.log = append(*v.log, "save "+l.Account+" "+l.Tokens.Refresh.Reveal())
	return nil
}

func (v *memoryVault) LockLogin(context.Context, string) (func(), error) { return func() {}, nil }

// fakeAskara grants what the test says.
type fakeAskara struct {
	grant askara.DeviceGrant
	poll  func(ctx context.Context) error
	code  chan []string // code, redirect URI, verifier
}

func (f *fakeAskara) StartDevice(context.Context, []string) (askara.DeviceGrant, error) {
	return f.grant, nil
}

func (f *fakeAskara) PollDevice(ctx context.Context, _ askara.DeviceGrant) (askara.Tokens, error) {
	if f.poll != nil {
		if err := f.poll(ctx); err != nil {
			return askara.Tokens{}, err
		}
	}
	return newTokens(), nil
}

func (f *fakeAskara) ExchangeCode(_ context.Context, code, redirect, verifier string) (askara.Tokens, error) {
	f.code <- []string{code, redirect, verifier}
	return newTokens(), nil
}

func newTokens() askara.Tokens {
	return askara.Tokens{Access: "access-new", Refresh: "refresh-new", AccessExpiresAt: time.Now().Add(time.Hour), ObtainedAt: time.Now()}
}

// loginTest is a flow over fakes; before is whose login the account has, "" for none.
type loginTest struct {
	loginFlow
	vault       *memoryVault
	askara      *fakeAskara
	out, screen bytes.Buffer
	events      []string
}

func newLoginTest(t *testing.T, before string) *loginTest {
	t.Helper()
	lt := &loginTest{vault: &memoryVault{rows: map[string]askara.Login{}}}
	lt.vault.log = &lt.events
	if before != "" {
		lt.vault.rows["default"] = askara.Login{
			Account: "default", State: askara.LoginOK, Tokens: askara.Tokens{Access: "access-old", Refresh: "refresh-old"}, Person: before, Generation: 7,
		}
	}
	lt.askara = &fakeAskara{code: make(chan []string, 1), grant: askara.DeviceGrant{
		DeviceCode: "dev", UserCode: "WDJBMJHT", VerificationURI: "https://app.askara.ai/device",
		VerificationURIComplete: "https://app.askara.ai/device?c=WDJBMJHT", ExpiresAt: time.Now().Add(10 * time.Minute), Interval: 5 * time.Second,
	}}
	page, err := url.Parse("https://app.askara.ai/authorize")
	if err != nil {
		t.Fatal(err)
	}
	lt.loginFlow = loginFlow{
		Out: &lt.out, Screen: &lt.screen, In: strings.NewReader(""), Account: "default", Endpoint: lt.askara,
		Custody:   askara.NewCustody(askara.CustodyConfig{Account: "default", Vault: lt.vault}),
		Authorize: askara.AuthorizeConfig{Page: page, ClientID: "clinic", Scopes: []string{"profile"}, PKCE: true},
		Me: func(_ context.Context, access askara.Secret) (askara.Me, error) {
			lt.events = append(lt.events, "me "+access.Reveal())
			return askara.Me{UUID: "anna", FirstName: "Anna", LastName: "Weber\x1b[2J", Organizations: []askara.Organization{{Name: "Clinique du Parc"}}}, nil
		},
	}
	return lt
}

// refresh is the token that the account has now.
func (lt *loginTest) refresh() string { return lt.vault.rows["default"].Tokens.Refresh.Reveal() }

func (lt *loginTest) pending() string {
	return lt.vault.rows["default"+askara.PendingSuffix].Tokens.Refresh.Reveal()
}

// TestLoginOrder: the pair is kept before it is used, and replaces the old one after somebody may object.
func TestLoginOrder(t *testing.T) {
	lt := newLoginTest(t, "anna")
	if err := lt.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "save default~pending refresh-new; me access-new; save default refresh-new; save default~pending "
	if got := strings.Join(lt.events, "; "); got != want {
		t.Errorf("order\n got %s\nwant %s", got, want)
	}
	if l := lt.vault.rows["default"]; l.Person != "anna" || l.State != askara.LoginOK || l.Generation != 8 {
		t.Errorf("the login is %+v", l)
	}
	if out := lt.out.String(); !strings.Contains(out, "Anna Weber") || !strings.Contains(out, "Clinique du Parc") || strings.Contains(out, "\x1b") {
		t.Errorf("the result is %q", out)
	}
	screen := lt.screen.String()
	if !strings.Contains(screen, "WDJB-MJHT") || !strings.Contains(screen, "https://app.askara.ai/device\n") || strings.ContainsAny(screen, "\x1b█") {
		t.Errorf("off a terminal the screen shows\n%s", screen)
	}
	if strings.Contains(screen+lt.out.String(), "-new") {
		t.Error("a token is shown")
	}
}

// TestLoginAsSomebodyElse asks first, and whoever says no keeps the old login.
func TestLoginAsSomebodyElse(t *testing.T) {
	silent := func(context.Context, askara.Secret) (askara.Me, error) { return askara.Me{}, errors.New("down") }
	tests := []struct {
		name        string
		before      string
		answer      string
		interactive bool
		force, mute bool
		exit        int
	}{
		{"first login", "", "", false, false, false, ExitDone},
		{"first login, Askara mute", "", "", false, false, true, ExitDone},
		{"same person", "anna", "", false, false, false, ExitDone},
		{"somebody else, no terminal", "ben", "y\n", false, false, false, ExitConfiguration},
		{"somebody else, forced", "ben", "", false, true, false, ExitDone},
		{"somebody else, yes", "ben", "y\n", true, false, false, ExitDone},
		{"somebody else, oui", "ben", " OUI \n", true, false, false, ExitDone},
		{"somebody else, no", "ben", "n\n", true, false, false, ExitLogin},
		{"somebody else, Enter", "ben", "\n", true, false, false, ExitLogin},
		{"somebody else, end of input", "ben", "", true, false, false, ExitLogin},
		{"unknown whether somebody else", "anna", "", false, false, true, ExitConfiguration},
		{"unknown whether somebody else, yes", "anna", "yes\n", true, false, true, ExitDone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lt := newLoginTest(t, tt.before)
			lt.In, lt.Interactive, lt.Force = strings.NewReader(tt.answer), tt.interactive, tt.force
			if tt.mute {
				lt.Me = silent
			}
			err := lt.run(t.Context())
			if exitCode(err) != tt.exit || tt.exit != ExitDone && askara.HintOf(err) == "" {
				t.Errorf("exit %d (%v, hint %q), want %d", exitCode(err), err, askara.HintOf(err), tt.exit)
			}
			want := "refresh-new"
			if tt.exit != ExitDone {
				want = "refresh-old"
			}
			if lt.refresh() != want || lt.pending() != "" {
				t.Errorf("the account has %q and %q beside it, want %q and nothing", lt.refresh(), lt.pending(), want)
			}
		})
	}
}

// TestLoginInterrupted: wherever Ctrl-C comes, the login stays as it was and nothing stays behind.
func TestLoginInterrupted(t *testing.T) {
	for _, where := range []string{"poll", "me", "question", "browser"} {
		t.Run(where, func(t *testing.T) {
			lt := newLoginTest(t, "ben")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, w := io.Pipe()
			defer w.Close()
			lt.In, lt.Interactive, lt.Browser = r, true, where == "browser"
			me := lt.Me
			switch where {
			case "poll":
				lt.askara.poll = func(ctx context.Context) error { cancel(); return ctx.Err() }
			case "me":
				lt.Me = func(ctx context.Context, access askara.Secret) (askara.Me, error) {
					cancel()
					return askara.Me{}, ctx.Err()
				}
			case "question", "browser":
				lt.Screen = &watch{w: &lt.screen, word: map[string]string{"question": "[y/N]", "browser": "paste"}[where], then: cancel}
				lt.Me = me
			}
			err := lt.run(ctx)
			if err == nil || err.Error() != "login cancelled; nothing was changed" || exitCode(err) != ExitUnfinished {
				t.Errorf("got %v, exit %d", err, exitCode(err))
			}
			if lt.refresh() != "refresh-old" || lt.pending() != "" {
				t.Errorf("the account has %q and %q beside it", lt.refresh(), lt.pending())
			}
		})
	}
}

// watch calls then once a word is written.
type watch struct {
	w    io.Writer
	word string
	then func()
}

func (w *watch) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.word)) {
		w.then()
	}
	return w.w.Write(p)
}

// TestTerminal: a QR code, and a countdown that is gone afterwards.
func TestTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lt := newLoginTest(t, "")
		lt.Terminal = true
		lt.askara.poll = func(context.Context) error { time.Sleep(90 * time.Second); return nil }
		if err := lt.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		screen := lt.screen.String()
		for _, want := range []string{"█", "10:00 left", "9:00 left", "8:31 left"} {
			if !strings.Contains(screen, want) {
				t.Errorf("the screen does not show %q", want)
			}
		}
		if !strings.HasSuffix(screen, "\r\x1b[K") {
			t.Error("the countdown stays on the screen")
		}
		for line := range strings.Lines(screen) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); strings.Contains(line, "█") && n > 80 {
				t.Errorf("the QR code is %d columns wide", n)
			}
		}
	})
}

// TestWideQR: what would not fit is left out.
func TestWideQR(t *testing.T) {
	var b bytes.Buffer
	if !drawQR(&b, "https://a/"+strings.Repeat("x", maxQR-10)) {
		t.Error("the longest allowed link is not drawn")
	}
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(line)) - 1; n > 80 {
			t.Fatalf("it is %d columns wide", n)
		}
	}
	if drawQR(&b, "https://a/"+strings.Repeat("x", maxQR)) {
		t.Error("a longer link is drawn")
	}
}

// shownURL waits until the flow has shown the URL to open, and returns its query.
func (lt *loginTest) shownURL(t *testing.T, screen *safeBuffer) url.Values {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		for line := range strings.Lines(screen.String()) {
			if strings.HasPrefix(line, "https://app.askara.ai/authorize?") && strings.HasSuffix(line, "\n") {
				u, err := url.Parse(strings.TrimSpace(line))
				if err != nil {
					t.Fatal(err)
				}
				return u.Query()
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("no URL was shown")
	return nil
}

// safeBuffer is a buffer that two goroutines share.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// visit opens an address as a browser does and returns status and page.
func visit(t *testing.T, address string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(page)
}

// TestBrowser: the browser comes back to a port of this machine; strangers change nothing; it works once and is closed afterwards.
func TestBrowser(t *testing.T) {
	lt := newLoginTest(t, "")
	var screen safeBuffer
	lt.Browser, lt.Screen = true, &screen
	result := make(chan error, 1)
	go func() { result <- lt.run(t.Context()) }()
	q := lt.shownURL(t, &screen)
	redirect := q.Get("redirect_uri")
	if u, err := url.Parse(redirect); err != nil || u.Hostname() != "127.0.0.1" || u.Port() == "" || u.Path != "/callback" {
		t.Fatalf("redirect_uri %q", redirect)
	}
	for _, strange := range []string{redirect, redirect + "?code=x&state=wrong", redirect + "?error=access_denied&state=wrong", redirect + "/../x?code=x"} {
		if status, _ := visit(t, strange); status != http.StatusBadRequest && status != http.StatusNotFound {
			t.Errorf("%s got %d", strange, status)
		}
	}
	status, page := visit(t, redirect+"?code=the-code&state="+q.Get("state"))
	if status != 200 || !strings.Contains(page, "fermer cette fenêtre") || !strings.Contains(page, "close this window") {
		t.Errorf("the browser ends on %d %s", status, page)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if got := <-lt.askara.code; got[0] != "the-code" || got[1] != redirect || len(got[2]) < 43 {
		t.Errorf("exchanged %q", got)
	}
	if lt.refresh() != "refresh-new" {
		t.Errorf("the account has %q", lt.refresh())
	}
	if status, _ := visit(t, redirect); status != 0 {
		t.Errorf("the port still answers: %d", status)
	}
}

// TestBrowserPasted: the browser is elsewhere, and its address is pasted; slips are forgiven.
func TestBrowserPasted(t *testing.T) {
	for _, configured := range []string{"", "https://clinic.example/askara", "http://localhost/back"} {
		lt := newLoginTest(t, "")
		var screen safeBuffer
		r, w := io.Pipe()
		lt.Browser, lt.Screen, lt.In, lt.Authorize.RedirectURI = true, &screen, r, configured
		result := make(chan error, 1)
		go func() { result <- lt.run(t.Context()) }()
		q := lt.shownURL(t, &screen)
		fmt.Fprintf(w, "\nhello\n%s?code=x&state=wrong\n%s?code=the-code&state=%s\n", q.Get("redirect_uri"), q.Get("redirect_uri"), q.Get("state"))
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		w.Close()
		if got := <-lt.askara.code; got[0] != "the-code" || got[1] != q.Get("redirect_uri") {
			t.Errorf("exchanged %q", got)
		}
		if strings.Count(screen.String(), "That is not it") != 2 {
			t.Errorf("the screen shows\n%s", &screen)
		}
		if strings.HasPrefix(configured, "https") && q.Get("redirect_uri") != configured {
			t.Errorf("redirect_uri %q, want %q", q.Get("redirect_uri"), configured)
		}
	}
}

// TestBrowserRefused: a refusal ends the login, in the browser and here.
func TestBrowserRefused(t *testing.T) {
	lt := newLoginTest(t, "ben")
	var screen safeBuffer
	lt.Browser, lt.Screen = true, &screen
	result := make(chan error, 1)
	go func() { result <- lt.run(t.Context()) }()
	q := lt.shownURL(t, &screen)
	status, page := visit(t, q.Get("redirect_uri")+"?error=access_denied&error_description=x&hint=y&state="+q.Get("state"))
	if status != 200 || !strings.Contains(page, "refus") {
		t.Errorf("the browser ends on %d %s", status, page)
	}
	if err := <-result; exitCode(err) != ExitLogin || lt.refresh() != "refresh-old" {
		t.Errorf("got %v; the account has %q", err, lt.refresh())
	}
}

// TestBrowserWithoutAnyWayBack ends instead of waiting for nothing.
func TestBrowserWithoutAnyWayBack(t *testing.T) {
	lt := newLoginTest(t, "")
	lt.Browser, lt.Authorize.RedirectURI = true, "https://clinic.example/askara"
	if err := lt.run(t.Context()); exitCode(err) != ExitLogin {
		t.Errorf("got %v", err)
	}
}

// TestLogout forgets the pair and says what Askara may keep.
func TestLogout(t *testing.T) {
	for _, before := range []string{"anna", ""} {
		lt := newLoginTest(t, before)
		f := logoutFlow{Out: &lt.out, Account: "default", Custody: lt.Custody}
		if err := f.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lt.refresh() != "" || lt.vault.rows["default"].State != askara.LoginRequired || strings.Contains(lt.out.String(), "Askara itself") != (before != "") {
			t.Errorf("before %q: the account has %q; said %q", before, lt.refresh(), &lt.out)
		}
	}
}
