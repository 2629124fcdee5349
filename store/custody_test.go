package store_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/store"
)

// These tests take a login through real processes, the real ledger and a server whose tokens burn.

// The environment of a child process: where its ledger and its server are.
const (
	envCustodyDir = "ASKARA_SYNC_TEST_CUSTODY_DIR"
	envCustodyURL = "ASKARA_SYNC_TEST_CUSTODY_URL"
)

// TestCustodyChild is no test: it is the program of the child processes. For each line that it reads it asks for a token and
// writes a line that says what it got. It reads nothing, and passes, where it was not started as a child.
func TestCustodyChild(t *testing.T) {
	dir := os.Getenv(envCustodyDir)
	if dir == "" {
		return
	}
	c := custodyOf(t, open(t, dir), os.Getenv(envCustodyURL))
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		token, err := c.Token(t.Context())
		if err == nil {
			fmt.Println("token", token.Reveal())
			continue
		}
		fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

func custodyOf(t testing.TB, s *store.Store, base string) *askara.Custody {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return askara.NewCustody(askara.CustodyConfig{Account: account, Vault: s, Refresher: askara.NewTokenEndpoint(askara.TokenConfig{
		BaseURL: u, Contract: askara.DefaultContract(), ClientID: sandbox.DefaultClientID, ClientSecret: sandbox.DefaultClientSecret,
	})})
}

// child is one such process.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// startChild starts a process and waits until it is ready. It is killed when the test ends.
func startChild(t testing.TB, dir, base string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCustodyChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), envCustodyDir+"="+dir, envCustodyURL+"="+base)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, in: in, lines: bufio.NewScanner(out)}
	t.Cleanup(c.kill)
	if line := c.read(); line != "ready" {
		t.Fatalf("a child begins with %q", line)
	}
	return c
}

// kill is SIGKILL; it returns once the process is gone, and with it its locks.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func (c *child) ask() { fmt.Fprintln(c.in, "token") }

// read returns the next line, "" where the process has ended.
func (c *child) read() string {
	if !c.lines.Scan() {
		return ""
	}
	return c.lines.Text()
}

// rounds is how often something is done: often where slow proofs are asked for.
func rounds(few, many int) int {
	if os.Getenv("ASKARA_SYNC_PROOFS") != "" {
		return many
	}
	return few
}

// burning starts a server, and a ledger that is logged in to it.
func burning(t *testing.T) (srv *sandbox.Server, base string, s *store.Store, dir string) {
	t.Helper()
	srv = sandbox.New(sandbox.Config{Burst: -1, Seed: 1})
	h := httptest.NewServer(srv.Handler())
	t.Cleanup(h.Close)
	s, dir = fresh(t)
	logIn(t, srv, s, h.URL)
	return srv, h.URL, s, dir
}

func logIn(t *testing.T, srv *sandbox.Server, s *store.Store, base string) {
	t.Helper()
	access, refresh := srv.Login("")
	now := time.Now().Truncate(time.Millisecond)
	err := custodyOf(t, s, base).Adopt(t.Context(), askara.Tokens{
		Access: askara.Secret(access), Refresh: askara.Secret(refresh), ObtainedAt: now, AccessExpiresAt: now.Add(time.Hour),
		RefreshExpiresAt: now.Add(30 * 24 * time.Hour),
	}, "p")
	if err != nil {
		t.Fatal(err)
	}
}

// pass lets time go by: the access token expires, and whatever waits for its time is due.
func pass(t *testing.T, s *store.Store) askara.Login {
	t.Helper()
	l, err := s.LoadLogin(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	l.Tokens.AccessExpiresAt = time.Now().Add(-time.Second).Truncate(time.Millisecond)
	if !l.IntentAt.IsZero() {
		l.IntentAt = l.IntentAt.Add(-time.Hour)
	}
	if !l.RetryAt.IsZero() {
		l.RetryAt = l.RetryAt.Add(-2 * time.Hour)
	}
	if err := s.SaveLogin(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestFourProcessesOneRefresh: whenever the access token expires, all ask at once and one of them refreshes.
func TestFourProcessesOneRefresh(t *testing.T) {
	srv, base, s, dir := burning(t)
	var children [4]*child
	for i := range children {
		children[i] = startChild(t, dir, base)
	}
	n := rounds(20, 200)
	for round := range n {
		pass(t, s)
		for _, c := range children {
			c.ask()
		}
		lines := map[string]bool{}
		for _, c := range children {
			lines[c.read()] = true
		}
		l, err := s.LoadLogin(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != 1 || !lines["token "+l.Tokens.Access.Reveal()] {
			t.Fatalf("round %d: the four got %d different answers, none or not all the ledger's token", round, len(lines))
		}
		if st := srv.Stats(); st.Refreshes != round+1 || st.Reuses != 0 {
			t.Fatalf("round %d: %d refreshes, %d reuses; want %d, 0", round, st.Refreshes, st.Reuses, round+1)
		}
	}
	t.Logf("four processes, %d rounds: %d refreshes, %d reuses", n, srv.Stats().Refreshes, srv.Stats().Reuses)
}

// TestRotations takes a login through hundreds of refreshes that are killed or cut off at every moment.
func TestRotations(t *testing.T) {
	srv, base, s, dir := burning(t)
	const (
		fine = iota
		killBefore
		killAfter
		killAnytime
		faults // and the rest are the server's
	)
	cut := []sandbox.Fault{sandbox.DropBefore, sandbox.DropAfter, sandbox.ErrorBefore, sandbox.ErrorAfter, sandbox.Truncated, sandbox.Page, sandbox.Garbage}
	rng := rand.New(rand.NewPCG(7, 7))
	c := startChild(t, dir, base)
	var healed, gone, untouched, late int
	n := rounds(3*(faults+len(cut)), 500)
	for round := range n {
		pass(t, s)
		before := srv.Stats()
		what := round % (faults + len(cut))
		var hold *sandbox.Hold
		switch what {
		case fine, killAnytime:
		case killBefore:
			srv.Fail(sandbox.KindToken, 1, sandbox.DropBefore) // once the hold is over, the server does not look at it
			hold = srv.Hold(sandbox.KindToken, 1, sandbox.Before)
		case killAfter:
			hold = srv.Hold(sandbox.KindToken, 1, sandbox.After)
		default:
			srv.Fail(sandbox.KindToken, 1, cut[what-faults])
		}
		c.ask()
		switch {
		case hold != nil:
			<-hold.Arrived()
			c.kill()
			if what == killBefore {
				hold.Release() // now it drops the request
			}
			// The other hold ends as the server sees the connection end; it has to be seen before the token is tried again.
			for end := time.Now().Add(30 * time.Second); what == killAfter && srv.Stats().AnswersLost == before.AnswersLost; {
				if time.Now().After(end) {
					t.Fatal("the server does not notice that its client is gone")
				}
				<-time.After(time.Millisecond)
			}
			c = startChild(t, dir, base)
		case what == killAnytime:
			<-time.After(time.Duration(rng.Int64N(int64(12 * time.Millisecond))))
			c.kill()
			c = startChild(t, dir, base)
		default:
			c.read()
		}
		burned := srv.Stats().Refreshes - before.Refreshes
		l := settle(t, s, c)
		after := srv.Stats()
		reused := after.Reuses - before.Reuses
		switch {
		case l.State == askara.LoginRequired:
			gone++
			if burned != 1 || reused != 1 {
				t.Fatalf("round %d (%d): a person must log in, though the server burned %d tokens and saw %d reuses", round, what, burned, reused)
			}
			if !strings.Contains(l.Reason, "the answer to the refresh of ") || !strings.Contains(l.Reason, "was lost") {
				t.Fatalf("round %d (%d): the reason is %q", round, what, l.Reason)
			}
			if after.ReusesAnswered > before.ReusesAnswered {
				late++
				if what != killAnytime {
					t.Fatalf("round %d (%d): a token whose answer had arrived was sent again", round, what)
				}
			}
			logIn(t, srv, s, base)
		case reused != 0:
			t.Fatalf("round %d (%d): %d reuses, and the login is %s", round, what, reused, l.State)
		case burned == 0 && what != fine:
			healed++
		default:
			untouched++
		}
		if !srv.TokenGood(mustLoad(t, s).Tokens.Refresh.Reveal()) {
			t.Fatalf("round %d (%d): the ledger's refresh token is not the server's", round, what)
		}
	}
	t.Logf("%d rotations: %d whole, %d interrupted before the server's work and healed without a person, %d lost after it and known to be "+
		"(%d of them answered, and killed before the commit)", n, untouched, healed, gone, late)
	if healed == 0 || gone == 0 || untouched == 0 {
		t.Error("not every outcome was seen")
	}
}

// settle lets time go by until the login is ok or a person must log in.
func settle(t *testing.T, s *store.Store, c *child) askara.Login {
	t.Helper()
	for range 10 {
		if l := mustLoad(t, s); l.State == askara.LoginRequired || l.State == askara.LoginOK && l.IntentAt.IsZero() && time.Now().Before(l.Tokens.AccessExpiresAt) {
			return l
		}
		pass(t, s)
		c.ask()
		c.read()
	}
	t.Fatal("the login does not come to rest")
	return askara.Login{}
}

func mustLoad(t *testing.T, s *store.Store) askara.Login {
	t.Helper()
	l, err := s.LoadLogin(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestNoTokenInClear looks for tokens in every file of the state directory, while the ledger is open and afterwards.
func TestNoTokenInClear(t *testing.T) {
	srv, base, s, dir := burning(t)
	c := startChild(t, dir, base)
	srv.Fail(sandbox.KindToken, 3, sandbox.DropBefore)
	var secrets []string
	for range 4 {
		pass(t, s)
		c.ask()
		c.read()
		l := mustLoad(t, s)
		secrets = append(secrets, l.Tokens.Access.Reveal()[300:340], l.Tokens.Refresh.Reveal()[300:340])
	}
	custody := custodyOf(t, s, base)
	if err := custody.Hold(t.Context(), askara.Tokens{Access: "held-access-token", Refresh: "held-refresh-token"}); err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, "held-access-token", "held-refresh-token")
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s holds a token in clear", d.Name())
			}
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d files looked at, %v", files, err)
	}
}
