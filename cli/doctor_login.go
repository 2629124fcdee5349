package cli

import (
	"context"
	"fmt"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
)

// logins reports the state and age of each login and returns the names of those that can be used.
func (d *doctor) logins(ctx context.Context, ledger *store.Store) []string {
	var usable []string
	for _, a := range d.cfg.Accounts {
		if d.flags.account != "" && a.Name != d.flags.account {
			continue
		}
		l := askara.Login{Account: a.Name, State: askara.LoginRequired}
		if ledger != nil {
			st, err := ledger.Status(ctx, a.Name)
			if err != nil {
				d.report.failed("login", err, "")
				continue
			}
			l = st.Login
			l.Account = a.Name
		}
		if d.login(l, time.Now()) {
			usable = append(usable, a.Name)
		}
	}
	return usable
}

// login reports one login and says whether it can be used.
func (d *doctor) login(l askara.Login, now time.Time) bool {
	login := "askara-sync login"
	if l.Account != DefaultAccount || len(d.cfg.Accounts) > 1 {
		login += " --account " + l.Account
	}
	name := fmt.Sprintf("account %s", l.Account)
	end := l.Tokens.RefreshExpiresAt.In(d.cfg.Location).Format("2006-01-02 15:04")
	switch {
	case l.State == askara.LoginUncertain:
		d.report.warn("login", name+": uncertain: "+l.Reason, "nothing to do yet: what became of it is found out by itself")
	case l.State != askara.LoginOK && l.Reason == "":
		d.report.fail("login", askara.FaultLogin, name+": nobody has logged in yet", login)
		return false
	case l.State != askara.LoginOK:
		d.report.fail("login", askara.FaultLogin, name+": a person must log in again: "+l.Reason, login)
		return false
	case l.ExpiringAt(d.cfg.ReloginBefore, now):
		d.report.warn("login", fmt.Sprintf("%s: renewed %s ago, it dies on %s unless it is renewed until then", name, age(now.Sub(l.Tokens.ObtainedAt)), end),
			"let the daemon run, which renews it daily; or: "+login)
	default:
		d.report.ok("login", "%s: renewed %s ago, good until %s", name, age(now.Sub(l.Tokens.ObtainedAt)), end)
	}
	return true
}

// age writes how long ago something was, coarsely.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d/day))
}
