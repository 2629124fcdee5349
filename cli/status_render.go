package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"askara-sync/askara"
)

// statusPage writes a StatusView for a person.
type statusPage struct {
	w        io.Writer
	now      time.Time
	location *time.Location
	// reloginBefore is how long before its end a login is a reason to worry.
	reloginBefore time.Duration
	colour        bool
	err           error // the first of writing
}

// maxParkedShown is how many documents a page names; --json names all.
const maxParkedShown = 20

// Colours of the terminal; what they say is said in words too.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	bold   = "1"
)

// wantsColour says that w is a terminal that shows colours to somebody who wants them.
func wantsColour(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(*os.File)
	return ok && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

func (p *statusPage) paint(colour, text string) string {
	if !p.colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p *statusPage) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// row writes a line with a name at its beginning; continued lines have none.
func (p *statusPage) row(name, colour, format string, args ...any) {
	p.printf("  %-10s %s\n", name, p.paint(colour, fmt.Sprintf(format, args...)))
}

// render writes the whole page.
func (p *statusPage) render(v StatusView) error {
	switch {
	case !v.Daemon.Running:
		p.printf("%s\n", p.paint(red, "The daemon is not running."))
		p.printf("  start it with: sudo systemctl start askara-sync\n")
	case v.Daemon.PID != nil:
		p.printf("The daemon is %s (pid %d).\n", p.paint(green, "running"), *v.Daemon.PID)
	default:
		p.printf("The daemon is %s.\n", p.paint(green, "running"))
	}
	for _, a := range v.Accounts {
		p.printf("\n%s\n", p.paint(bold, a.Name))
		p.login(a)
		p.passes(a)
		p.documents(a)
		p.waiting(a)
		p.parked(a)
	}
	p.budget(v.Budget)
	return p.err
}

func (p *statusPage) login(a AccountView) {
	command := "sudo askara-sync login"
	if a.Name != DefaultAccount {
		command += " --account " + a.Name
	}
	reason := ""
	if a.Login.Reason != nil {
		reason = ": " + *a.Login.Reason
	}
	switch askara.LoginState(a.Login.State) {
	case askara.LoginOK:
		if a.Login.RefreshExpiresAt == nil {
			p.row("login", green, "ok")
			return
		}
		until := *a.Login.RefreshExpiresAt
		if until.Sub(p.now) >= p.reloginBefore {
			p.row("login", green, "ok until %s (%s)", p.at(until), p.relative(until))
			return
		}
		p.row("login", yellow, "ends %s (%s)", p.at(until), p.relative(until))
		p.row("", "", "log in again before then: %s", command)
	case askara.LoginUncertain:
		p.row("login", yellow, "uncertain%s", reason)
		if a.Login.RetryAt != nil {
			p.row("", "", "tried again by itself %s; nothing to do", p.relative(*a.Login.RetryAt))
		}
	default:
		p.row("login", red, "required%s", reason)
		p.row("", "", "log in with: %s", command)
	}
}

func (p *statusPage) passes(a AccountView) {
	if l := a.LastPass; l == nil {
		p.row("last pass", "", "none yet")
	} else {
		took := (time.Duration(l.DurationMS) * time.Millisecond).Round(100 * time.Millisecond)
		colour, failed := "", ""
		if l.Failed > 0 {
			colour, failed = yellow, fmt.Sprintf(", %s failed", number(l.Failed))
		}
		if l.Error != nil {
			colour = red
		}
		p.row("last pass", colour, "%s, took %s: %s listed, %s delivered%s", p.at(l.StartedAt), took, number(l.Listed), number(l.Delivered), failed)
		if l.Error != nil {
			p.row("", red, "%s", *l.Error)
		}
	}
	if a.NextPassAt != nil {
		p.row("next pass", "", "%s (%s)", p.at(*a.NextPassAt), p.relative(*a.NextPassAt))
	}
}

func (p *statusPage) documents(a AccountView) {
	d := a.Documents
	p.row("documents", "", "%s today · %s in 7 days · %s in all", number(d.Today), number(d.Week), number(d.Delivered))
	if d.Unconfirmed > 0 {
		p.row("", "", "%s not yet confirmed to Askara", number(d.Unconfirmed))
	}
}

func (p *statusPage) waiting(a AccountView) {
	if a.Documents.Pending == 0 {
		p.row("waiting", "", "none")
		return
	}
	p.row("waiting", "", "%s", number(a.Documents.Pending))
	for _, w := range a.Waiting {
		if w.Reason == nil {
			p.row("", "", "%s for the next pass", number(w.Count))
			continue
		}
		again := ""
		if w.NextAttemptAt != nil && w.NextAttemptAt.After(p.now) {
			again = "; tried again " + p.relative(*w.NextAttemptAt)
		}
		p.row("", yellow, "%s: %s%s", number(w.Count), *w.Reason, again)
	}
}

func (p *statusPage) parked(a AccountView) {
	if a.Documents.Parked == 0 {
		return
	}
	p.row("parked", red, "%s, given up until you act", number(a.Documents.Parked))
	shown := a.Parked[:min(len(a.Parked), maxParkedShown)]
	for _, d := range shown {
		p.row("", "", "%s  %s", d.UUID, d.Reason)
	}
	if more := a.Documents.Parked - len(shown); more > 0 {
		p.row("", "", "and %s more; --json lists them all", number(more))
	}
	p.row("", "", "try again with: sudo askara-sync retry UUID, or retry --all")
}

func (p *statusPage) budget(b BudgetView) {
	if b.Limit == nil || b.Remaining == nil {
		return
	}
	colour, resets := "", ""
	if *b.Remaining*10 < *b.Limit {
		colour = yellow
	}
	if b.ResetsAt != nil && b.ResetsAt.After(p.now) {
		resets = ", more " + p.relative(*b.ResetsAt)
	}
	p.printf("\n")
	p.row("requests", colour, "%s of %s left%s", number(*b.Remaining), number(*b.Limit), resets)
}

// at writes a time as shortly as it is clear today.
func (p *statusPage) at(t time.Time) string {
	t, now := t.In(p.location), p.now.In(p.location)
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return "today " + t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// relative writes how far a time is from now.
func (p *statusPage) relative(t time.Time) string {
	d := t.Sub(p.now)
	if d <= 0 {
		return "now"
	}
	return "in " + span(d)
}

// span writes a duration in its largest unit.
func span(d time.Duration) string {
	count := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch {
	case d >= 2*day:
		return count(int64(d/day), "day")
	case d >= 2*time.Hour:
		return count(int64(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return count(int64(d/time.Minute), "minute")
	default:
		return count(int64(max(d/time.Second, 1)), "second")
	}
}

// number writes 12345 as 12,345.
func number(n int) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, r := range s {
		if left := len(s) - i; i > 0 && left%3 == 0 && s[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}
