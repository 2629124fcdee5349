package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// A damaged ledger is never deleted and never written to again. What can be read of it is saved into a new one beside it, which takes its
// place in one rename once it is whole; then the old one keeps a dated name. A repair that is cut short is begun again, or finished.

const (
	salvageFile  = fileName + ".salvage"  // the new ledger while it is made
	assembleFile = fileName + ".assembly" // the copy of the damaged one that is read
	repairedFile = fileName + ".repaired" // the new ledger when it is whole
)

// Salvage tells of a repair.
type Salvage struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"` // what was found to be wrong
	// SetAside are the names, in the state directory, that the damaged ledger has now.
	SetAside []string `json:"set_aside"`
	// Backup is the backup that completed what the damaged ledger had lost; "" where none was needed or could be read.
	Backup string `json:"backup"`
	// Finished, Waiting and Logins count what is in the new ledger; Lost is how many documents of the damaged one are not, as far as known.
	Finished int `json:"finished"`
	Waiting  int `json:"waiting"`
	Logins   int `json:"logins"`
	Lost     int `json:"lost"`
	// LoginsLost names the accounts where a person must log in again.
	LoginsLost []string `json:"logins_lost"`
	// NewID says that the ledger's id was lost and is another one now, so that staging areas do not know it.
	NewID bool `json:"new_id"`
	// Doubt says that deliveries may have been forgotten: before the next pass, Adopt what the destination has.
	Doubt bool `json:"doubt"`
}

// salvageNote keeps the report until somebody has acted on it.
const salvageNote = "store.salvage"

// Salvaged returns the report of a repair that nobody has acted on yet, nil where there is none. It is there after every Open until
// SettleSalvage.
func (s *Store) Salvaged(ctx context.Context) (*Salvage, error) {
	value, found, err := s.Note(ctx, salvageNote)
	if err != nil || !found {
		return nil, err
	}
	report := new(Salvage)
	if err := json.Unmarshal([]byte(value), report); err != nil {
		return nil, s.fail("read repair report", err)
	}
	return report, nil
}

// SettleSalvage says that the report was acted on.
func (s *Store) SettleSalvage(ctx context.Context) error { return s.SetNote(ctx, salvageNote, "") }

// ensureSound makes sure that a sound ledger, or none, is where it belongs. The caller holds the lock on opening.
func (s *Store) ensureSound(ctx context.Context) error {
	if _, err := os.Stat(s.path(repairedFile)); err == nil {
		return s.alone(func() error { _, err := s.swap(time.Now()); return err })
	}
	damage, err := s.inspect(ctx)
	if err != nil || damage == nil {
		return err
	}
	return s.alone(func() error { return s.repair(ctx, damage) })
}

// alone runs a repair while no other process has the ledger open, since it would go on writing to the one that was set aside.
func (s *Store) alone(fn func() error) error {
	lock, err := tryLock(s.path("store.lock"), exclusive)
	if errors.Is(err, errHeld) {
		return &CorruptError{Op: "repair ledger", Err: errors.New("another process still has it open")}
	}
	if err != nil {
		return wrap("repair ledger", err)
	}
	defer lock.Close()
	return fn()
}

// smallLedger is the size up to which the whole ledger is checked at every start, in some milliseconds. A larger one is checked by the
// daily backup, so that a start costs the same whatever the history.
const smallLedger = 4 << 20

// inspect looks for damage. It returns an error for what is no business of a repair.
func (s *Store) inspect(ctx context.Context) (damage, err error) {
	info, err := os.Stat(s.path(fileName))
	size := int64(0)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return nil, nil // refused where it is opened
	case err == nil:
		size = info.Size()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, wrap("open ledger", err)
	}
	if size <= emptySize {
		// An empty file, or none, is how a ledger begins, unless something tells that there was one.
		if log, err := os.Stat(s.path(fileName + "-wal")); err == nil && log.Size() > 0 {
			return errors.New("the database is empty and its log is not"), nil
		}
		if len(s.backups()) > 0 {
			return errors.New("the database is gone and its backups are not"), nil
		}
		return nil, nil
	}
	err = probe(ctx, s.path(fileName))
	if err == nil {
		err = s.checkAtStart(ctx, size)
	}
	if _, ok := errors.AsType[*CorruptError](err); ok {
		return err, nil
	}
	return nil, err
}

func (s *Store) checkAtStart(ctx context.Context, size int64) error {
	_, err := os.Stat(s.path(suspectFile))
	if suspect := err == nil; size > smallLedger && !suspect {
		return nil
	}
	db, err := openQuiet(s.path(fileName))
	if err != nil {
		return wrap("check ledger", err)
	}
	defer db.Close()
	if err := quickCheck(ctx, db); err != nil {
		return wrap("check ledger", err)
	}
	if err := checkTables(ctx, db); err != nil {
		return wrap("check ledger", err)
	}
	if err := os.Remove(s.path(suspectFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrap("check ledger", err)
	}
	return nil
}

// checkTables finds a ledger whose tables are gone, which is sound to SQLite. One that is just being made has none.
func checkTables(ctx context.Context, q querier) error {
	var tables, ours int
	err := q.QueryRowContext(ctx, `select count(*), count(case when name in ('ledger', 'account', 'cursor', 'sighting', 'delivery', 'metadata',
		'archive', 'tally', 'day', 'backfill', 'pass', 'login', 'budget', 'note') then 1 end) from sqlite_schema where type = 'table'`).Scan(&tables, &ours)
	if err == nil && tables > 0 && ours < tablesOfSchema1 {
		err = damageError(fmt.Sprintf("%d of its tables are gone", tablesOfSchema1-ours))
	}
	return err
}

const tablesOfSchema1 = 14

// repair makes a new ledger of what can be read and puts it in place.
func (s *Store) repair(ctx context.Context, damage error) error {
	s.log.Error("ledger damaged", "dir", s.cfg.Dir, "error", damage)
	defer s.sweep()
	now := time.Now()
	report := &Salvage{At: now.UTC().Truncate(time.Second), Reason: damage.Error(), SetAside: s.setAsideNames(now)}
	if err := s.salvage(ctx, report); err != nil {
		return wrap("repair ledger", err)
	}
	if err := os.Rename(s.path(salvageFile), s.path(repairedFile)); err != nil {
		return wrap("repair ledger", err)
	}
	if err := syncDir(s.cfg.Dir); err != nil {
		return wrap("repair ledger", err)
	}
	names, err := s.swap(now)
	if err != nil {
		return err
	}
	s.log.Error("ledger repaired", "set_aside", strings.Join(names, " "), "backup", report.Backup, "finished", report.Finished,
		"waiting", report.Waiting, "lost", report.Lost, "logins", report.Logins, "logins_lost", len(report.LoginsLost), "doubt", report.Doubt)
	return nil
}

// swap sets the damaged ledger aside and puts the whole new one in its place. The log goes first: a database that is sound without its
// log would forget what was in it.
func (s *Store) swap(now time.Time) (names []string, err error) {
	suffix := s.asideSuffix(now)
	for _, part := range []string{"-wal", "-shm", ""} {
		name := fileName + suffix + part
		err := os.Rename(s.path(fileName+part), s.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, wrap("set damaged ledger aside", err)
		}
		names = append(names, name)
	}
	if err := os.Rename(s.path(repairedFile), s.path(fileName)); err != nil {
		return nil, wrap("set damaged ledger aside", err)
	}
	if err := os.Remove(s.path(suspectFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, wrap("set damaged ledger aside", err)
	}
	return names, wrap("set damaged ledger aside", syncDir(s.cfg.Dir))
}

// asideSuffix is the first dated suffix that is free.
func (s *Store) asideSuffix(now time.Time) string {
	base := ".corrupt-" + now.UTC().Format("20060102T150405Z")
	suffix := base
	for n := 2; ; n++ {
		_, err := os.Lstat(s.path(fileName + suffix))
		_, errLog := os.Lstat(s.path(fileName + suffix + "-wal"))
		if err != nil && errLog != nil {
			return suffix
		}
		suffix = fmt.Sprintf("%s-%d", base, n)
	}
}

// setAsideNames foretells the names that swap gives.
func (s *Store) setAsideNames(now time.Time) (names []string) {
	suffix := s.asideSuffix(now)
	for _, part := range []string{"", "-wal", "-shm"} {
		if _, err := os.Lstat(s.path(fileName + part)); err == nil {
			names = append(names, fileName+suffix+part)
		}
	}
	return names
}

// sweep removes what a repair works with.
func (s *Store) sweep() {
	for _, name := range []string{salvageFile, salvageFile + "-journal", assembleFile, assembleFile + "-journal"} {
		_ = os.Remove(s.path(name))
	}
}

// salvage writes the new ledger, whole and durable, to its interim name.
func (s *Store) salvage(ctx context.Context, report *Salvage) error {
	s.sweep()
	if err := createFile(s.path(salvageFile)); err != nil {
		return err
	}
	// Until it is whole the new ledger is of no use to anybody, so it is written without a log and synced once.
	db, err := openDB(s.path(salvageFile), 1, "mode=rw&_foreign_keys=1&_txlock=immediate&_synchronous=OFF&_journal_mode=MEMORY")
	if err != nil {
		return err
	}
	w := &writer{db: db, turn: make(chan struct{}, 1), fail: wrap}
	err = s.fillSalvage(ctx, w, report)
	if err = errors.Join(err, w.close()); err != nil {
		return err
	}
	f, err := os.Open(s.path(salvageFile))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openSource opens a copy of a damaged database, with its log applied, for the repair to read.
func (s *Store) openSource(path string) (*source, error) {
	damagedLog, err := assemble(path, s.path(assembleFile))
	if err != nil {
		return nil, err
	}
	return newSource(s.path(assembleFile), damagedLog)
}
