package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	backupDir    = "backup"
	backupPrefix = "askara-sync-"
	backupSuffix = ".db"
	// keptBackups: a damage that nobody notices for a weekend is still outlived by one of them.
	keptBackups = 3
)

// BackupDue tells whether today's backup is still to be made.
func (s *Store) BackupDue() bool {
	_, err := os.Stat(s.backupPath(time.Now()))
	return errors.Is(err, fs.ErrNotExist)
}

func (s *Store) backupPath(t time.Time) string {
	return filepath.Join(s.cfg.Dir, backupDir, backupPrefix+t.Format("20060102")+backupSuffix)
}

// Backup checks the ledger and writes a copy of it to backup/askara-sync-YYYYMMDD.db, in place of an earlier one of the same day. On
// return it survives a power cut. The last three are kept. Other work goes on meanwhile. Tokens in it are sealed as they are.
func (s *Store) Backup(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.backup(ctx, s.backupPath(time.Now())); err != nil {
		return s.fail("back up ledger", err)
	}
	old := s.backups()
	for _, path := range old[min(len(old), keptBackups):] {
		if err := os.Remove(path); err != nil {
			return s.fail("remove old backup", err)
		}
	}
	return nil
}

// Check has SQLite look at every page of the ledger; a *CorruptError says that it is damaged. It changes nothing.
func (s *Store) Check(ctx context.Context) error { return s.check(ctx) }

// check has SQLite look at every page of the ledger.
func (s *Store) check(ctx context.Context) error {
	return s.view(ctx, "check ledger", func(q querier) error { return quickCheck(ctx, q) })
}

// damageError says what SQLite's check found.
type damageError string

func (e damageError) Error() string { return string(e) }

func quickCheck(ctx context.Context, q querier) error {
	var result string
	if err := q.QueryRowContext(ctx, `pragma quick_check(1)`).Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return damageError(result)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string) error {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	temp := path + ".tmp"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(temp)
	f, err := openOwned(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL) // SQLite would make it readable to everybody
	if err != nil {
		return err
	}
	defer f.Close()
	db, err := openDB(s.path(fileName), 1, "mode=rw&_busy_timeout="+busyMillis)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `vacuum into ?`, temp); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeDir makes a directory in the state directory, closed to others and belonging to the state directory's owner.
func makeDir(path string) error {
	err := os.Mkdir(path, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	parent, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	st, ok := parent.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	return os.Chown(path, int(st.Uid), int(st.Gid))
}

// backups returns the paths of the backups, the newest first.
func (s *Store) backups() (paths []string) {
	entries, _ := os.ReadDir(filepath.Join(s.cfg.Dir, backupDir))
	for _, entry := range entries {
		name := entry.Name()
		date, ok := strings.CutPrefix(name, backupPrefix)
		date, ok2 := strings.CutSuffix(date, backupSuffix)
		if ok && ok2 && len(date) == 8 && strings.Trim(date, "0123456789") == "" && entry.Type().IsRegular() {
			paths = append(paths, filepath.Join(s.cfg.Dir, backupDir, name))
		}
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	return paths
}

// suspectFile marks, across a restart, that the ledger was seen to be damaged, so that the next Open looks at all of it.
const suspectFile = "suspect"

// fail is wrap for what was done with the open ledger.
func (s *Store) fail(op string, err error) error {
	err = wrap(op, err)
	if _, ok := errors.AsType[*CorruptError](err); ok && !s.cfg.ReadOnly {
		if f, err := openOwned(s.path(suspectFile), os.O_WRONLY|os.O_CREATE); err == nil {
			_ = f.Close()
		}
	}
	return err
}
