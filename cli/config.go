// Package cli is the program that people and systemd run: its verbs, its configuration, and the wiring of the other packages.
//
// Results go to standard output and diagnostics to standard error. Every verb ends in one of the exit codes of exit.go, and
// every error that a person can do something about is followed by a hint that says what to type.
package cli

import (
	"crypto/x509"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"askara-sync/askara"
)

// Config is the configuration file, checked and resolved. A field with a toml tag is a key of the file; config.example.toml
// says what each means. The others are made from them by Load.
type Config struct {
	StateDir      string        `toml:"state_dir"`
	Schedule      string        `toml:"schedule"`
	TimeZone      string        `toml:"time_zone"`
	Jitter        time.Duration `toml:"jitter"`
	LogLevel      string        `toml:"log_level"`
	ReloginBefore time.Duration `toml:"relogin_before"`

	API    API    `toml:"api"`
	Limits Limits `toml:"limits"`
	Sink   Sink   `toml:"sink"`
	Notify Notify `toml:"notify"`
	// Accounts is never empty, and each has its own resolved Sink.
	Accounts []Account `toml:"account"`

	// File is where the configuration was read from.
	File string
	// Location is what TimeZone names.
	Location *time.Location
	// StateKeyFile is the credential that seals tokens at rest; "" leaves it to a key file beside the database.
	StateKeyFile string
	// Warnings says what is not wrong enough to refuse, one sentence each, without a secret.
	Warnings []string
}

// API says where Askara is and who asks.
type API struct {
	BaseURL          string        `toml:"base_url"`
	AuthorizeURL     string        `toml:"authorize_url"`
	RedirectURI      string        `toml:"redirect_uri"`
	ClientID         string        `toml:"client_id"`
	ClientSecretFile string        `toml:"client_secret_file"`
	Scopes           []string      `toml:"scopes"`
	Timeout          time.Duration `toml:"timeout"`
	CAFile           string        `toml:"ca_file"`
	// Contract is what is inferred or unknown about the API.
	Contract askara.Contract `toml:"contract"`

	// Base is BaseURL, parsed.
	Base *url.URL
	// ClientSecret is "" for a client that has none.
	ClientSecret askara.Secret
	// Roots holds the system's certificates and those of CAFile; nil without a CAFile.
	Roots *x509.CertPool
}

// Limits bounds what is asked of Askara and of this machine.
type Limits struct {
	Burst           int           `toml:"burst"`
	Refill          int           `toml:"refill"`
	RefillEvery     time.Duration `toml:"refill_every"`
	Reserve         int           `toml:"reserve"`
	Workers         int           `toml:"workers"`
	Overlap         time.Duration `toml:"overlap"`
	MaxDocumentSize Size          `toml:"max_document_size"`
	MaxAttempts     int           `toml:"max_attempts"`
}

// Sink says where documents go.
type Sink struct {
	Type     string      `toml:"type"`
	Path     string      `toml:"path"`
	Staging  string      `toml:"staging"`
	Name     string      `toml:"name"`
	Sidecar  string      `toml:"sidecar"`
	FileMode fs.FileMode `toml:"file_mode"`
	Group    string      `toml:"group"`
	MinFree  Size        `toml:"min_free"`
	DSNFile  string      `toml:"dsn_file"`
	Table    string      `toml:"table"`
	Content  string      `toml:"content"`
	Folder   string      `toml:"folder"`
	Insert   string      `toml:"insert"`
	Exists   string      `toml:"exists"`

	// DSN is the connection string of a database server.
	DSN askara.Secret
}

// Directory is the folder that files are put into; "" for a destination without files.
func (s Sink) Directory() string {
	switch {
	case s.Type == "folder":
		return s.Path
	case s.Content != "file":
		return ""
	case s.Folder == "" && s.Type != "sqlite":
		return s.Path
	default:
		return s.Folder
	}
}

// Notify says who is told of trouble, and when.
type Notify struct {
	PingURL      string        `toml:"ping_url"`
	Command      []string      `toml:"command"`
	FailingAfter time.Duration `toml:"failing_after"`
	QuietAfter   time.Duration `toml:"quiet_after"`
	DiskLow      Size          `toml:"disk_low"`
}

// Account is one Askara login and where its documents go.
type Account struct {
	Name string `toml:"name"`
	Sink Sink   `toml:"sink"`
}

// DefaultAccount is the name of the only account where the configuration names none.
const DefaultAccount = "default"

// defaults is the configuration of an empty file. getenv is asked for systemd's state directory.
func defaults(getenv func(string) string) Config {
	// systemd separates several state directories by colons; the unit asks for one.
	state, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":")
	if state == "" {
		state = "/var/lib/askara-sync"
	}
	return Config{
		StateDir:      state,
		Schedule:      "*/5 * * * *",
		Jitter:        20 * time.Second,
		LogLevel:      "info",
		ReloginBefore: 5 * day,
		API: API{
			BaseURL:      "https://api.askara.ai",
			AuthorizeURL: "https://app.askara.ai/authorize",
			Scopes:       []string{"profile", "organization"},
			Timeout:      30 * time.Second,
			Contract:     askara.DefaultContract(),
		},
		Limits: Limits{
			Burst:           5000,
			Refill:          500,
			RefillEvery:     15 * time.Minute,
			Reserve:         50,
			Workers:         4,
			Overlap:         10 * time.Minute,
			MaxDocumentSize: 100 << 20,
			MaxAttempts:     10,
		},
		Sink: Sink{
			Type:     "folder",
			Path:     "/srv/askara/inbox",
			Name:     `{{.Date.Format "2006-01-02"}}_{{.Patient.LastName}}_{{.Title}}_{{.ShortID}}.pdf`,
			Sidecar:  "none",
			FileMode: 0o640,
			MinFree:  200 << 20,
			Table:    "askara_documents",
			Content:  "inline",
		},
		Notify: Notify{
			Command:      []string{},
			FailingAfter: 30 * time.Minute,
			DiskLow:      1 << 30,
		},
	}
}

// Account returns the account of that name; an error that names those that exist where there is none.
func (c *Config) Account(name string) (Account, error) {
	names := make([]string, 0, len(c.Accounts))
	for _, a := range c.Accounts {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return Account{}, &UsageError{
		Problem: fmt.Sprintf("no account %q in %s", name, c.File),
		Remedy:  "the accounts are: " + strings.Join(names, ", "),
	}
}

// Groups returns the groups that files are given to, each once.
func (c *Config) Groups() []string {
	var groups []string
	for _, a := range c.Accounts {
		if a.Sink.Group != "" && !slices.Contains(groups, a.Sink.Group) {
			groups = append(groups, a.Sink.Group)
		}
	}
	return groups
}
