package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"askara-sync/askara"
	"askara-sync/sink"
	"askara-sync/store"
	"askara-sync/sync"
)

// ledgerFile is the name of the ledger in the state directory.
const ledgerFile = "askara-sync.db"

// App is the program wired from one configuration: the identical parts serve the daemon, the verbs and the tests.
type App struct {
	Config *Config
	Store  *store.Store
	Budget *askara.Budget
	Tokens *askara.TokenEndpoint
	Logger *slog.Logger

	transport *http.Transport
	accounts  []*account
	recall    *recall // nil unless the ledger was repaired
}

// account is one login, where its documents go, and the runner between them.
type account struct {
	Account
	custody *askara.Custody
	client  *askara.Client
	pulse   *sync.Pulse
	sink    destination  // nil until openSinks
	runner  *sync.Runner // nil until openSinks
	turn    chan struct{}

	recalled bool        // after a repair: the ledger knows what the folder's sidecars name; guarded by the pass lock
	complete atomic.Bool // after a repair: a pass came to its end
}

// destination is a sink as the program needs it; the pass sees the first two parts.
type destination interface {
	sync.Staging
	sync.Destination
	Verify(ctx context.Context, d askara.Delivery) (sink.Verdict, error)
	Probe(ctx context.Context) []sink.Finding
	Close() error
}

// AppConfig says how to wire an App.
type AppConfig struct {
	Config *Config
	Logger *slog.Logger
	// OnWait is told when requests begin and end to wait for the budget; nil tells nobody.
	OnWait func(askara.BudgetWait)
}

// OpenApp opens the ledger and wires everything but the destinations, which OpenSinks adds. The caller closes it.
func OpenApp(ctx context.Context, c AppConfig) (*App, error) {
	cfg := c.Config
	ledger, err := store.Open(ctx, store.Config{
		Dir: cfg.StateDir, KeyFile: cfg.StateKeyFile, Logger: c.Logger, Decode: decoder(cfg),
	})
	if err != nil {
		return nil, err
	}
	a := &App{Config: cfg, Store: ledger, Logger: c.Logger, transport: askara.NewTransport(cfg.API.Roots)}
	if err := a.remember(ctx); err != nil {
		return nil, errors.Join(err, ledger.Close())
	}
	a.Budget = askara.NewBudget(askara.BudgetConfig{
		Burst: cfg.Limits.Burst, Refill: cfg.Limits.Refill, RefillEvery: cfg.Limits.RefillEvery, Reserve: cfg.Limits.Reserve,
		Store: ledger, OnWait: c.OnWait, Logger: c.Logger,
	})
	a.Tokens = askara.NewTokenEndpoint(askara.TokenConfig{
		BaseURL: cfg.API.Base, Contract: cfg.API.Contract, ClientID: cfg.API.ClientID, ClientSecret: cfg.API.ClientSecret,
		Transport: a.transport, Timeout: cfg.API.Timeout, Limiter: a.Budget, UserAgent: userAgent(),
	})
	for _, acc := range cfg.Accounts {
		a.accounts = append(a.accounts, a.wire(acc))
	}
	return a, nil
}

// decoder reads documents as the configured contract says.
func decoder(cfg *Config) func([]byte) (askara.Document, error) {
	contract := cfg.API.Contract
	return func(raw []byte) (askara.Document, error) { return askara.DecodeDocument(raw, contract) }
}

func userAgent() string { return "askara-sync/" + Version() }

// wire connects one account's login and client.
func (a *App) wire(acc Account) *account {
	cfg := a.Config
	w := &account{Account: acc, pulse: sync.NewPulse(), turn: make(chan struct{}, 1)}
	w.custody = askara.NewCustody(askara.CustodyConfig{
		Account: acc.Name, Vault: a.Store, Refresher: a.Tokens, Logger: a.Logger, ReloginBefore: cfg.ReloginBefore,
	})
	w.client = a.client(w.custody)
	return w
}

// client returns a client that asks with the given tokens.
func (a *App) client(tokens askara.TokenSource) *askara.Client {
	cfg := a.Config
	return askara.NewClient(askara.Config{
		BaseURL: cfg.API.Base, Contract: cfg.API.Contract, Transport: a.transport, Tokens: tokens, Limiter: a.Budget,
		Timeout: cfg.API.Timeout, MaxDocumentSize: int64(cfg.Limits.MaxDocumentSize), UserAgent: userAgent(), Logger: a.Logger,
	})
}

// OpenSinks opens every account's destination. Errors that a setting causes are returned, all of them; a destination that is
// merely not there now is each pass's to report.
func (a *App) OpenSinks(ctx context.Context) error {
	var errs []error
	for _, acc := range a.accounts {
		if acc.sink != nil {
			continue
		}
		s, err := a.openSink(ctx, acc.Account)
		if err != nil {
			errs = append(errs, fmt.Errorf("account %s: %w", acc.Name, err))
			continue
		}
		acc.sink = s
		acc.runner = sync.New(sync.Config{
			Account: acc.Name, Source: acc.client, Catalog: a.Store, Queue: a.Store, Requests: a.Store, Staging: s, Destination: s,
			Workers: a.Config.Limits.Workers, Overlap: a.Config.Limits.Overlap, MaxAttempts: a.Config.Limits.MaxAttempts,
			Confirm: a.Config.API.Contract.Confirm, Sent: acc.client.Requests, Pulse: acc.pulse, Logger: a.Logger,
			Siblings: siblings(a.Config, acc.Account),
		})
	}
	return errors.Join(errs...)
}

// siblings names the other accounts that deliver to the same place: what one of them has delivered is there already.
func siblings(cfg *Config, of Account) []string {
	var names []string
	for _, acc := range cfg.Accounts {
		if acc.Name != of.Name && samePlace(acc.Sink, of.Sink) {
			names = append(names, acc.Name)
		}
	}
	return names
}

// samePlace says whether two destinations are one, as far as the configuration shows.
func samePlace(a, b Sink) bool {
	if a.Type != b.Type {
		return false
	}
	switch a.Type {
	case "folder":
		return sameFile(a.Path, b.Path)
	case "sqlite":
		return sameFile(a.Path, b.Path) && sameRows(a, b)
	}
	return a.DSN == b.DSN && sameRows(a, b)
}

// sameRows says whether two destinations in one database write and look for the same rows, and the same files beside them.
func sameRows(a, b Sink) bool {
	return a.Table == b.Table && a.Insert == b.Insert && a.Exists == b.Exists && a.Content == b.Content &&
		sameFile(a.Directory(), b.Directory())
}

// sameFile compares two paths as far as links can be followed.
func sameFile(a, b string) bool { return resolved(a) == resolved(b) }

func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

// openSink opens the destination of one account.
func (a *App) openSink(ctx context.Context, acc Account) (destination, error) {
	s, cfg := acc.Sink, a.Config
	var folder *sink.Folder
	if s.Type == "folder" || s.Content == sink.ContentFile {
		var err error
		if folder, err = a.openFolder(ctx, a.folderConfig(s)); err != nil || s.Type == "folder" {
			return recallingFolder{folderSink{folder}, a.recall}, err
		}
	}
	return sink.OpenDatabase(ctx, sink.DatabaseConfig{
		Type: s.Type, Path: s.Path, FileMode: s.FileMode, Group: s.Group, DSN: s.DSN, Table: s.Table, Insert: s.Insert,
		Exists: s.Exists, Content: s.Content, Folder: folder, Spool: filepath.Join(cfg.StateDir, "spool", escaped(acc.Name)),
		Ledger: filepath.Join(cfg.StateDir, ledgerFile), LedgerID: a.Store.ID(),
		MaxSize: int64(cfg.Limits.MaxDocumentSize), Logger: a.Logger,
	})
}

func (a *App) folderConfig(s Sink) sink.FolderConfig {
	return sink.FolderConfig{
		Path: s.Directory(), Staging: s.Staging, Name: s.Name, Sidecar: s.Sidecar, FileMode: s.FileMode, Group: s.Group,
		LedgerID: a.Store.ID(), Notebook: a.Store, MaxSize: int64(a.Config.Limits.MaxDocumentSize), MinFree: int64(s.MinFree),
		Location: a.Config.Location, Logger: a.Logger,
	}
}

// escaped makes an account's name fit for a directory: it may hold anything that a person calls an account.
func escaped(name string) string { return fmt.Sprintf("%x", name) }

// folderSink is a Folder with nothing to close.
type folderSink struct{ *sink.Folder }

func (folderSink) Close() error { return nil }

// Close closes the destinations and the ledger.
func (a *App) Close() error {
	var errs []error
	for _, acc := range a.accounts {
		if acc.sink != nil {
			errs = append(errs, acc.sink.Close())
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // the program's own has often ended by now
	defer cancel()
	errs = append(errs, a.Budget.Return(ctx))
	a.transport.CloseIdleConnections()
	return errors.Join(append(errs, a.Store.Close())...)
}

// chosen returns the account of that name, or all of them for "".
func (a *App) chosen(name string) ([]*account, error) {
	if name == "" {
		return a.accounts, nil
	}
	if _, err := a.Config.Account(name); err != nil {
		return nil, err
	}
	for _, acc := range a.accounts {
		if acc.Name == name {
			return []*account{acc}, nil
		}
	}
	return nil, fmt.Errorf("account %q is not wired", name)
}

// Outcome is what one pass of one account came to.
type Outcome struct {
	Pass askara.Pass
	Err  error
}

// Pass runs one pass over the accounts, side by side, and returns what each came to, in their order. It waits for passes of
// other processes.
func (a *App) Pass(ctx context.Context, accounts []*account, q sync.Request) []Outcome {
	outcomes := make([]Outcome, len(accounts))
	var group errgroup.Group
	for i, acc := range accounts {
		group.Go(func() error {
			outcomes[i] = a.passOne(ctx, acc, q)
			return nil
		})
	}
	_ = group.Wait() // each outcome has its own error
	return outcomes
}

// patience is how long a pass waits for another process's without a word.
const patience = 2 * time.Second

// passOne runs a pass of one account once nobody else does.
func (a *App) passOne(ctx context.Context, acc *account, q sync.Request) Outcome {
	said := time.AfterFunc(patience, func() {
		a.Logger.Info("waiting for another pass of the account to end", "account", acc.Name)
	})
	defer said.Stop()
	unlock, err := lockPass(ctx, a.Store, acc.Name, acc.pulse)
	if err != nil {
		return Outcome{Pass: askara.Pass{Account: acc.Name, Error: err.Error()}, Err: err}
	}
	defer unlock()
	said.Stop()
	if err := a.recallInto(ctx, acc); err != nil {
		return Outcome{Pass: askara.Pass{Account: acc.Name, Error: err.Error()}, Err: err}
	}
	sum, err := acc.runner.Run(ctx, q)
	if err == nil {
		err = a.recallDone(ctx, acc)
	}
	return Outcome{Pass: sum, Err: err}
}

// lockPass waits for the account's pass lock. Another process's pass may take hours: meanwhile the pulse goes on beating, or systemd
// would take the wait for a stuck loop.
func lockPass(ctx context.Context, ledger *store.Store, account string, pulse *sync.Pulse) (unlock func(), err error) {
	const look = 30 * time.Second
	for {
		pulse.Beat()
		wait, cancel := context.WithTimeout(ctx, look)
		unlock, err = ledger.LockPass(wait, account)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return unlock, err
		}
	}
}

// worst returns the error that decides the exit code: a configuration fault before a missing login before a bug before what will
// succeed later. nil where all is well.
func worst(outcomes []Outcome) error {
	rank := map[int]int{ExitConfiguration: 4, ExitLogin: 3, ExitUnexpected: 2, ExitUnfinished: 1}
	var worst error
	for _, o := range outcomes {
		if o.Err != nil && (worst == nil || rank[exitCode(o.Err)] > rank[exitCode(worst)]) {
			worst = o.Err
		}
	}
	return worst
}
