package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"askara-sync/askara"
)

// Notebook keeps small facts durably; the store is one.
type Notebook interface {
	Note(ctx context.Context, key string) (value string, found bool, err error)
	SetNote(ctx context.Context, key, value string) error
}

// NotifierConfig configures a Notifier.
type NotifierConfig struct {
	// Notify says who is told; where it names nobody, the Notifier does nothing.
	Notify Notify
	// ReloginBefore is how long before its end a login is a trouble; zero never.
	ReloginBefore time.Duration
	// Paths are where disk space is watched.
	Paths    []string
	Notebook Notebook
	// Transport nil means http.DefaultTransport.
	Transport http.RoundTripper
	// CommandTimeout is how long the command may take; zero means 30 seconds.
	CommandTimeout time.Duration
	Logger         *slog.Logger
}

// Notifier tells people of trouble: one notice when a trouble starts, one when it ends, remembered durably, so that a restart repeats
// nothing. A notice that could not be given is tried again after the next pass. It never holds a pass up: Begun and Observe only
// leave word for Run.
type Notifier struct {
	config NotifierConfig
	policy notifyPolicy
	client *http.Client

	mu      sync.Mutex
	seen    map[string]Health // the latest of each account that is not taken in yet
	failing map[string]bool
	pings   []ping
	wake    chan struct{}

	// Of Run alone.
	broken map[string]bool // ways of telling that failed and whose failure is logged
}

// ping is one call of the ping address.
type ping struct{ suffix, body string }

const (
	pingTimeout    = 10 * time.Second
	commandTimeout = 30 * time.Second
	// lastWords is how long the command may still take when the program ends: a notice that was cut off would be given again.
	lastWords = 3 * time.Second
	// maxPings is how many pings wait at most; the oldest are dropped, since later ones say more.
	maxPings = 8
)

// NewNotifier returns a Notifier; Run does its work.
func NewNotifier(c NotifierConfig) *Notifier {
	n := c.Notify
	if c.CommandTimeout <= 0 {
		c.CommandTimeout = commandTimeout
	}
	return &Notifier{
		config: c,
		policy: notifyPolicy{failingAfter: n.FailingAfter, quietAfter: n.QuietAfter, reloginBefore: c.ReloginBefore, diskLow: int64(n.DiskLow)},
		client: &http.Client{Transport: c.Transport, Timeout: pingTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the address is a secret of its own
		}},
		seen: map[string]Health{}, failing: map[string]bool{}, broken: map[string]bool{}, wake: make(chan struct{}, 1),
	}
}

// silent says that nobody is to be told.
func (n *Notifier) silent() bool {
	return n.config.Notify.PingURL == "" && len(n.config.Notify.Command) == 0
}

// Begun leaves word that a pass has begun. It does not block.
func (n *Notifier) Begun() {
	n.mu.Lock()
	n.ping("start", "")
	n.mu.Unlock()
	n.poke()
}

// Observe leaves word of an account's health at the end of a pass. It does not block.
func (n *Notifier) Observe(h Health) {
	if n.silent() {
		return
	}
	n.mu.Lock()
	if before, ok := n.seen[h.Account]; ok {
		h.New += before.New
	}
	n.seen[h.Account] = h
	n.failing[h.Account] = h.Failure != nil
	var body []string
	for account, failing := range n.failing {
		if failing {
			body = append(body, "account "+account+": pass failed")
		}
	}
	if len(body) == 0 {
		n.ping("", "")
	} else { // one address for all: it is well when all are well
		slices.Sort(body)
		n.ping("fail", strings.Join(body, "\n"))
	}
	n.mu.Unlock()
	n.poke()
}

// ping queues a ping; the caller holds the lock.
func (n *Notifier) ping(suffix, body string) {
	if n.config.Notify.PingURL == "" {
		return
	}
	if len(n.pings) >= maxPings {
		n.pings = slices.Delete(n.pings, 0, 1)
	}
	n.pings = append(n.pings, ping{suffix, body})
}

func (n *Notifier) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run gives notices until ctx ends; a notice under way then has a moment left.
func (n *Notifier) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		n.mu.Lock()
		pings, seen := n.pings, n.seen
		n.pings, n.seen = nil, map[string]Health{}
		n.mu.Unlock()
		for _, p := range pings {
			n.report(ctx, "ping", n.send(ctx, p))
		}
		if len(n.config.Notify.Command) == 0 || len(seen) == 0 {
			continue
		}
		for _, h := range seen {
			n.settle(ctx, h.Account, h.At, func(t troubles) troubles { return n.policy.observe(t, h) })
		}
		if n.policy.diskLow > 0 {
			now, disks := time.Now(), n.measure()
			n.settle(ctx, "", now, func(t troubles) troubles { return n.policy.disks(t, disks, now) })
		}
	}
}

// settle brings what is remembered of an account up to date and gives the notices that follow. What is remembered is durable before
// anybody is told, and again after.
func (n *Notifier) settle(ctx context.Context, account string, at time.Time, change func(troubles) troubles) {
	key := "notify/" + account
	text, _, err := n.config.Notebook.Note(ctx, key)
	if err != nil {
		n.report(ctx, "memory", err)
		return
	}
	var t troubles
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		t = troubles{} // none yet, or not ours: at worst a notice is repeated
	}
	t = change(t)
	notices := t.due(account, at)
	if err := n.keep(ctx, key, text, t); err != nil {
		n.report(ctx, "memory", err)
		return
	}
	for _, notice := range notices {
		if ctx.Err() != nil {
			return
		}
		err := n.run(ctx, notice)
		n.report(ctx, "command", err)
		if err != nil {
			return
		}
		t.told(notice)
		n.report(ctx, "memory", n.keep(context.WithoutCancel(ctx), key, "", t))
	}
}

// keep writes what is remembered unless it is what was kept before.
func (n *Notifier) keep(ctx context.Context, key, before string, t troubles) error {
	raw, err := json.Marshal(t)
	if err != nil || string(raw) == before {
		return err
	}
	return n.config.Notebook.SetNote(ctx, key, string(raw))
}

// report logs the first failure of a way of telling, and the first success after it.
func (n *Notifier) report(ctx context.Context, way string, err error) {
	switch {
	case err != nil && !n.broken[way] && ctx.Err() == nil:
		n.broken[way] = true
		n.config.Logger.Warn("notice not given", "way", way, "error", err)
	case err == nil && n.broken[way]:
		delete(n.broken, way)
		n.config.Logger.Info("notices are given again", "way", way)
	}
}

// send calls the ping address. Its error does not hold the address.
func (n *Notifier) send(ctx context.Context, p ping) error {
	u, err := url.Parse(n.config.Notify.PingURL)
	if err != nil {
		return errors.New("parse ping_url")
	}
	if p.suffix != "" {
		u = u.JoinPath(p.suffix)
	}
	method := http.MethodGet
	if p.body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(p.body))
	if err != nil {
		return errors.New("make ping request")
	}
	req.Header.Set("User-Agent", userAgent())
	resp, err := n.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return fmt.Errorf("call ping_url: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // for the connection's sake
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("call ping_url: answered %d", resp.StatusCode)
	}
	return nil
}

// run runs the command with the notice on its standard input. What outlasts the timeout is killed with all that it started.
func (n *Notifier) run(ctx context.Context, notice Notice) error {
	raw, err := json.Marshal(notice)
	if err != nil {
		return fmt.Errorf("encode notice: %w", err)
	}
	stop := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.config.CommandTimeout)
	defer cancel()
	defer context.AfterFunc(stop, func() { time.AfterFunc(lastWords, cancel) })()
	argv := n.config.Notify.Command
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(string(raw) + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			return fmt.Errorf("run notify.command: killed after %v", n.config.CommandTimeout)
		}
		return fmt.Errorf("run notify.command: %w", err)
	}
	return nil
}

// measure returns the free space at each path that can be measured.
func (n *Notifier) measure() []disk {
	var list []disk
	for _, path := range n.config.Paths {
		var s syscall.Statfs_t
		if err := syscall.Statfs(path, &s); err == nil {
			list = append(list, disk{path, int64(s.Bavail) * s.Bsize})
		}
	}
	return list
}

// notifier returns the Notifier that the configuration asks for. It watches the disks of the ledger and of the destinations.
func (a *App) notifier() *Notifier {
	paths := []string{a.Config.StateDir}
	for _, acc := range a.accounts {
		switch s := acc.Sink; {
		case s.Directory() != "":
			paths = append(paths, s.Directory())
		case s.Path != "":
			paths = append(paths, filepath.Dir(s.Path))
		}
	}
	slices.Sort(paths)
	return NewNotifier(NotifierConfig{
		Notify: a.Config.Notify, ReloginBefore: a.Config.ReloginBefore, Paths: slices.Compact(paths), Notebook: a.Store,
		Transport: a.transport, Logger: a.Logger,
	})
}

// health is what the ledger tells of an account after a pass that delivered so many documents and ended with failure.
func (a *App) health(ctx context.Context, acc *account, delivered int, failure error) Health {
	h := Health{Account: acc.Name, At: time.Now(), Failure: failure, New: delivered}
	st, err := a.Store.Status(ctx, acc.Name)
	if err != nil { // what the ledger cannot tell is not worse than that
		h.Failure = cmp.Or(failure, err)
		return h
	}
	h.Parked, h.Login = st.Counts[askara.Parked]+st.Counts[askara.Reported], st.Login
	return h
}
