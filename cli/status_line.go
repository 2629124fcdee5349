package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"askara-sync/askara"
)

// statusLine is the daemon's one line in `systemctl status`. Its methods are safe for concurrent use.
type statusLine struct {
	mu       sync.Mutex
	accounts map[string]*accountLine
	limit    string // what it waits for, "" for nothing
	sent     string
}

// accountLine is one account's part of it.
type accountLine struct {
	doing   string
	next    time.Time
	missing bool      // the login
	known   bool      // missing has been set
	dying   time.Time // when the login dies of age, where that is near
}

func newStatusLine() *statusLine { return &statusLine{accounts: map[string]*accountLine{}} }

// change changes one account's part and sends the line where it differs.
func (s *statusLine) change(account string, f func(*accountLine)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[account]
	if a == nil {
		a = &accountLine{}
		s.accounts[account] = a
	}
	f(a)
	s.send()
}

func (s *statusLine) set(account, doing string) {
	s.change(account, func(a *accountLine) { a.doing, a.next = doing, time.Time{} })
}

func (s *statusLine) next(account string, t time.Time) {
	s.change(account, func(a *accountLine) { a.next = t })
}

// login takes whether the login is missing, and when it dies of age where that is near. It returns true where one has come or gone
// since it was last told.
func (s *statusLine) login(account string, missing bool, dying time.Time) (changed bool) {
	s.change(account, func(a *accountLine) {
		changed = a.known && a.missing != missing
		a.missing, a.known, a.dying = missing, true, dying
	})
	return changed
}

// pass takes what a pass came to.
func (s *statusLine) pass(account string, p askara.Pass, err error) {
	s.change(account, func(a *accountLine) {
		switch {
		case err == nil:
			a.doing = fmt.Sprintf("last pass %s, %d delivered", p.StartedAt.Local().Format("15:04"), p.Delivered)
		case askara.FaultOf(err) == askara.FaultLogin:
			a.doing = "waiting for a login: askara-sync login"
		default:
			a.doing = "last pass failed: " + err.Error()
		}
	})
}

func (s *statusLine) budget(limit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.send()
}

// send sends the line. The caller holds mu.
func (s *statusLine) send() {
	names := make([]string, 0, len(s.accounts))
	for name := range s.accounts {
		names = append(names, name)
	}
	slices.Sort(names)
	var parts []string
	for _, name := range names {
		a := s.accounts[name]
		text := a.doing
		if !a.next.IsZero() {
			text += ", next " + a.next.Local().Format("15:04")
		}
		if !a.dying.IsZero() {
			text += ", log in again before " + a.dying.Local().Format("2 January")
		}
		if len(names) > 1 {
			text = name + ": " + text
		}
		parts = append(parts, text)
	}
	if s.limit != "" {
		parts = append(parts, s.limit)
	}
	line := strings.ReplaceAll(strings.Join(parts, " · "), "\n", " ")
	if line != s.sent {
		s.sent = line
		_, _ = daemon.SdNotify(false, "STATUS="+line)
	}
}

// busy takes how far a pass has come.
func (s *statusLine) busy(account string, delivered, total int) {
	if total == 0 {
		return
	}
	s.change(account, func(a *accountLine) {
		a.doing, a.next = fmt.Sprintf("delivering, %s of %s", number(delivered), number(total)), time.Time{}
	})
}
