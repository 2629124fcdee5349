// Package store is the ledger of askara-sync: one embedded SQLite file that holds what is known of every document, how far the
// lists are read, the sealed logins, the budget and the record of passes.
//
// It promises that what a method has written survives a power cut once the method has returned (the budget and nothing else
// is exempt, and says so), that a batch is written whole or not at all, that a token is never on disk in clear, and that a
// document once recorded is recognised for ever. Nothing that is done per pass grows with the history: what is on its way is
// in one table, what is finished in another that is only looked up by key, and the counts are kept beside them.
//
// Several processes may have the same ledger open. It knows nothing of Askara's protocol, of destinations or of the pass.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"askara-sync/askara"
)

// fileName is the ledger's file in Config.Dir.
const fileName = "askara-sync.db"

// Config says where the ledger is.
type Config struct {
	// Dir is the state directory. It is made, 0700, if it is missing.
	Dir string
	// KeyFile holds the key that seals tokens, as a systemd credential; "" keeps a key file of its own in Dir.
	KeyFile string
	// ReadOnly opens beside a running daemon, makes and changes no file and fails where there is no ledger yet.
	ReadOnly bool
	// Logger gets what a person should know of the ledger itself; nil discards.
	Logger *slog.Logger
	// Decode reads a document as it came from Askara; nil leaves deliveries with the document's uuid and dates alone.
	Decode func(raw []byte) (askara.Document, error)
}

// Store is an open ledger. Its methods are safe for concurrent use.
type Store struct {
	cfg    Config
	log    *slog.Logger
	id     string
	keys   keyring
	hard   *writer // commits survive a power cut
	soft   *writer // commits survive a kill; never waits for the disk
	read   *reader
	watch  *watch
	opened openedLogins
	unlock func() // gives up the shared hold on the ledger that keeps others from repairing it
}

// Open opens the ledger, makes it where there is none and brings its schema up to date. It blocks while another process does the
// same. It refuses a ledger written by a newer version and a file that is not a ledger, and leaves both as they are.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{cfg: cfg, log: cfg.Logger, keys: keyring{dir: cfg.Dir, credential: cfg.KeyFile}}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	// Open file description locks survive it when other code in this process opens and closes the same file; fdatasync halves
	// the cost of a commit. Both are the process's choice to make once and are only better where they are to be had.
	_, _ = sqlite.OFDLocking(true)
	_, _ = sqlite.Fdatasync(true)
	var err error
	if cfg.ReadOnly {
		err = s.openReadOnly(ctx)
	} else {
		err = s.openWritable(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openWritable(ctx context.Context) error {
	if err := checkDir(s.cfg.Dir, s.log); err != nil {
		return err
	}
	opened, err := lockFile(ctx, s.path("open.lock"), exclusive)
	if err != nil {
		return wrap("open ledger", err)
	}
	defer opened()
	if err := s.ensureSound(ctx); err != nil {
		return err
	}
	if s.unlock, err = lockFile(ctx, s.path("store.lock"), shared); err != nil {
		return wrap("open ledger", err)
	}
	if err := createFile(s.path(fileName)); err != nil {
		return wrap("create ledger", err)
	}
	if err := probe(ctx, s.path(fileName)); err != nil {
		return err
	}
	if s.hard, s.soft, err = openWriters(s.path(fileName), s.fail); err != nil {
		return wrap("open ledger", err)
	}
	if s.read, err = openReader(s.path(fileName)); err != nil {
		return wrap("open ledger", err)
	}
	if s.watch, err = openWatch(s.path(fileName)); err != nil {
		return wrap("open ledger", err)
	}
	version, err := schemaVersion(ctx, s.read)
	if err != nil {
		return wrap("open ledger", err)
	}
	if err := migrate(ctx, s.hard, version); err != nil {
		return err
	}
	if err := s.keys.settle(ctx, s.read); err != nil {
		return err
	}
	return s.loadID(ctx)
}

func (s *Store) openReadOnly(ctx context.Context) error {
	path := s.path(fileName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return &Error{Op: "open ledger", Kind: askara.FaultConfiguration, Err: fmt.Errorf("there is no ledger in %s: %w", s.cfg.Dir, os.ErrNotExist),
			Remedy: "run `askara-sync login` first, or set state_dir"}
	}
	if err := probe(ctx, path); err != nil {
		return err
	}
	db, err := openQuiet(path)
	if err != nil {
		return wrap("open ledger", err)
	}
	s.read = newReader(db)
	version, err := schemaVersion(ctx, s.read)
	if err != nil {
		return wrap("open ledger", err)
	}
	if version < len(migrations) {
		return &Error{Op: "open ledger", Kind: askara.FaultConfiguration, Err: errors.New("the ledger was written by an older version"),
			Remedy: "start the daemon once, it brings the ledger up to date"}
	}
	return s.loadID(ctx)
}

func (s *Store) loadID(ctx context.Context) error {
	if err := s.read.QueryRowContext(ctx, `select uuid from ledger`).Scan(&s.id); err != nil {
		return wrap("read ledger id", err)
	}
	return nil
}

// Close waits for the write in progress and closes the ledger.
func (s *Store) Close() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.watch != nil {
		errs = append(errs, s.watch.close())
	}
	if s.soft != nil {
		errs = append(errs, s.soft.close())
	}
	if s.hard != nil {
		errs = append(errs, s.hard.close())
	}
	if s.unlock != nil {
		s.unlock()
		s.unlock = nil
	}
	return wrap("close ledger", errors.Join(errs...))
}

// ID is the random name that this ledger was given when it was made. It survives repairs.
func (s *Store) ID() string { return s.id }

func (s *Store) path(name string) string { return filepath.Join(s.cfg.Dir, name) }
