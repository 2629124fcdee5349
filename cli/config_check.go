package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"askara-sync/askara"
	"askara-sync/sync"
)

// check finds what is wrong with the values of c, together and alone, and fills in what follows from them. It touches no
// file; Load reads the files that the configuration names.
func check(c *Config, f *faults) {
	checkTop(c, f)
	checkAPI(&c.API, f)
	checkLimits(&c.Limits, f)
	checkNotify(&c.Notify, f)
	checkAccounts(c, f)
}

func checkTop(c *Config, f *faults) {
	checkAbsolute(f, "state_dir", c.StateDir)
	c.Location = time.Local
	if c.TimeZone != "" {
		loc, err := time.LoadLocation(c.TimeZone)
		if err != nil {
			f.add("time_zone", `must be a name such as "Europe/Paris"`, quote(c.TimeZone))
		} else {
			c.Location = loc
		}
	}
	if _, err := sync.ParseSchedule(c.Schedule, c.Location); err != nil {
		problem := err.Error()
		if bad, ok := errors.AsType[*sync.ScheduleError](err); ok {
			problem = bad.Problem
		}
		f.add("schedule", problem, quote(c.Schedule))
	}
	checkDuration(f, "jitter", c.Jitter, 0, time.Hour)
	checkDuration(f, "relogin_before", c.ReloginBefore, 0, 29*day) // a login lives for 30 days
	if _, err := parseLevel(c.LogLevel); err != nil {
		f.add("log_level", err.Error(), quote(c.LogLevel))
	}
}

func checkAPI(a *API, f *faults) {
	a.Base = checkURL(f, "api.base_url", a.BaseURL)
	checkURL(f, "api.authorize_url", a.AuthorizeURL)
	if a.RedirectURI != "" {
		u, err := url.Parse(a.RedirectURI)
		if err != nil || u.Scheme == "" || u.Fragment != "" || u.User != nil {
			f.add("api.redirect_uri", "must be the address that is registered with Askara, without a fragment", quote(redactURL(a.RedirectURI)))
		}
	}
	switch {
	case a.ClientID == "":
		f.add("api.client_id", "is missing; Askara gives one on request, with the client secret", "")
	case strings.ContainsFunc(a.ClientID, notPrintable):
		f.add("api.client_id", "must be printable, without spaces", quote(a.ClientID))
	}
	if a.ClientSecretFile != "" && !filepath.IsAbs(a.ClientSecretFile) {
		f.add("api.client_secret_file", "must be the absolute path of a file that holds the secret, not the secret itself", "")
	}
	for _, s := range a.Scopes {
		if s == "" || strings.ContainsFunc(s, notPrintable) {
			f.add("api.scopes", "must be words without spaces, one scope each", quote(s))
		}
	}
	checkDuration(f, "api.timeout", a.Timeout, time.Second, time.Hour)
	if a.CAFile != "" {
		checkAbsolute(f, "api.ca_file", a.CAFile)
	}
	checkContract(&a.Contract, f)
}

// checkContract passes on what package askara finds, each beginning with the key.
func checkContract(k *askara.Contract, f *faults) {
	for _, err := range k.Validate() {
		key, problem, _ := strings.Cut(err.Error(), ": ")
		f.add(key, problem, "")
	}
}

func checkLimits(l *Limits, f *faults) {
	checkNumber(f, "limits.burst", l.Burst, 1, 1e9)
	checkNumber(f, "limits.refill", l.Refill, 1, 1e9)
	checkDuration(f, "limits.refill_every", l.RefillEvery, time.Second, 30*day)
	checkNumber(f, "limits.reserve", l.Reserve, 0, 1e9)
	if l.Reserve >= l.Burst {
		f.add("limits.reserve", fmt.Sprintf("must be less than limits.burst, %d, or nothing is left to use", l.Burst), fmt.Sprint(l.Reserve))
	}
	checkNumber(f, "limits.workers", l.Workers, 1, 64)
	checkDuration(f, "limits.overlap", l.Overlap, 0, 30*day)
	checkSize(f, "limits.max_document_size", l.MaxDocumentSize, 1<<10, 4<<30)
	checkNumber(f, "limits.max_attempts", l.MaxAttempts, 1, 1000)
}

func checkNotify(n *Notify, f *faults) {
	if n.PingURL != "" {
		u, err := url.Parse(n.PingURL)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || !safeScheme(u) {
			f.add("notify.ping_url", "must be an https:// address (http:// on this machine only) without a user name", "")
		}
	}
	if len(n.Command) > 0 && !filepath.IsAbs(n.Command[0]) {
		f.add("notify.command", `must begin with the absolute path of a program, ["/usr/local/bin/tell", "argument"]`, quote(n.Command[0]))
	}
	checkDuration(f, "notify.failing_after", n.FailingAfter, 0, 30*day)
	checkDuration(f, "notify.quiet_after", n.QuietAfter, 0, 3650*day)
	checkSize(f, "notify.disk_low", n.DiskLow, 0, 1<<50)
}

// accountName keeps account names usable in file names, logs and shells, and short in a table.
var accountName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

func checkAccounts(c *Config, f *faults) {
	if len(c.Accounts) == 0 {
		c.Accounts = []Account{{Name: DefaultAccount, Sink: c.Sink}}
		checkSink(&c.Accounts[0].Sink, "sink", c.StateDir, f)
		return
	}
	seen := map[string]string{}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		path := fmt.Sprintf("account[%d]", i+1)
		if a.Name == "" && len(c.Accounts) == 1 {
			a.Name = DefaultAccount
		}
		folded := strings.ToLower(a.Name)
		switch other, double := seen[folded]; {
		case !accountName.MatchString(a.Name):
			f.add(path+".name", "must be at most 40 letters, digits, dots, dashes and underscores, and begin with a letter or digit", quote(a.Name))
		case double:
			f.add(path+".name", "is the name of "+other+" too; names differ in more than case", quote(a.Name))
		default:
			seen[folded] = path
		}
		checkSink(&a.Sink, path+".sink", c.StateDir, f)
	}
}

// checkURL accepts the address of a server: https, or http on this machine, with nothing but a host and a path.
func checkURL(f *faults, key, text string) *url.URL {
	u, err := url.Parse(text)
	problem := ""
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		problem = "must be an address such as https://api.askara.ai"
	case u.User != nil:
		problem = "must not hold a user name or password"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		problem = "must not have a query or a fragment"
	case !safeScheme(u):
		problem = "must begin with https:// (http:// is for this machine's own addresses only)"
	}
	if problem == "" {
		return u
	}
	f.add(key, problem, quote(redactURL(text)))
	return &url.URL{}
}

// safeScheme says that what is sent to u cannot be read on the way.
func safeScheme(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback())
}

// redactURL leaves out what may be a secret: user name, password and query, also of what is no URL.
func redactURL(text string) string {
	text, _, _ = strings.Cut(text, "?")
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		scheme, _, ok := strings.Cut(text, "://")
		if !ok {
			return "REDACTED" + text[i:]
		}
		return scheme + "://REDACTED" + text[i:]
	}
	return text
}

func checkAbsolute(f *faults, key, path string) bool {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		f.add(key, "must be an absolute path", quote(path))
		return false
	}
	return true
}

func checkNumber(f *faults, key string, n, least, most int) {
	if n < least || n > most {
		f.add(key, fmt.Sprintf("must be from %d to %d", least, most), fmt.Sprint(n))
	}
}

func checkDuration(f *faults, key string, d, least, most time.Duration) {
	if d < least || d > most {
		f.add(key, fmt.Sprintf("must be from %s to %s", FormatDuration(least), FormatDuration(most)), FormatDuration(d))
	}
}

func checkSize(f *faults, key string, s, least, most Size) {
	if s < least || s > most {
		f.add(key, fmt.Sprintf("must be from %s to %s", least, most), s.String())
	}
}

func notPrintable(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xfffd }

// inside says that path is dir or lies below it, going by names alone.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(filepath.Clean(dir), filepath.Clean(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
