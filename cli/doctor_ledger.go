package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"askara-sync/store"
)

// ledger reports on the database, who uses it and its backups, and opens it; nil where there is none, or none that can be used.
func (d *doctor) ledger(ctx context.Context) *store.Store {
	c := store.Config{Dir: d.cfg.StateDir, KeyFile: d.cfg.StateKeyFile, ReadOnly: true, Logger: d.Logger, Decode: decoder(d.cfg)}
	s, err := store.Open(ctx, c) // first as one who changes nothing, not even what is damaged
	if errors.Is(err, fs.ErrNotExist) {
		d.report.warn("database", "there is none yet", "the first login makes it")
		d.daemon(0, false)
		return nil
	}
	if err != nil {
		d.report.failed("database", err, "")
		return nil
	}
	err = s.Check(ctx)
	pid, running, daemonErr := s.Daemon()
	s.Close()
	if err != nil {
		d.report.failed("database", err, "")
		return nil
	}
	c.ReadOnly = false
	if s, err = store.Open(ctx, c); err != nil {
		d.report.failed("database", err, "")
		return nil
	}
	file := filepath.Join(d.cfg.StateDir, ledgerFile)
	size := int64(0)
	if info, err := os.Stat(file); err == nil {
		size = info.Size()
	}
	d.report.ok("database", "%s, %s, sound", file, humanBytes(size))
	d.sealKey(ctx, s)
	if daemonErr != nil {
		d.report.failed("daemon", daemonErr, "")
	} else {
		d.daemon(pid, running)
	}
	d.backups(time.Now())
	return s
}

// sealKey reports which key seals the logins, and what that is worth.
func (d *doctor) sealKey(ctx context.Context, s *store.Store) {
	for _, a := range d.cfg.Accounts {
		if _, err := s.LoadLogin(ctx, a.Name); err != nil {
			d.report.failed("seal key", err, "")
			return
		}
	}
	if file := d.cfg.StateKeyFile; file != "" {
		d.report.ok("seal key", "the credential state_key (%s): a copy of the state directory or of a backup opens no login", file)
		return
	}
	d.report.ok("seal key", "%s: a copy of the database or of a backup alone opens no login; a copy of the whole directory does, unless the"+
		" key is a systemd credential", filepath.Join(d.cfg.StateDir, "state.key"))
}

func (d *doctor) daemon(pid int, running bool) {
	switch {
	case !running:
		d.report.warn("daemon", "it is not running", "sudo systemctl enable --now askara-sync")
	case pid > 0:
		d.report.ok("daemon", "running, pid %d", pid)
	default:
		d.report.ok("daemon", "running")
	}
}

// backupAge is how old the newest backup may be: the daemon makes one a day.
const backupAge = 3 * day

func (d *doctor) backups(now time.Time) {
	files, _ := filepath.Glob(filepath.Join(d.cfg.StateDir, "backup", "askara-sync-*.db"))
	var newest time.Time
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	switch {
	case newest.IsZero():
		d.report.warn("backups", "there is none of the database yet", "the daemon makes one a day; let it run")
	case now.Sub(newest) > backupAge:
		d.report.warn("backups", "the newest is of "+newest.In(d.cfg.Location).Format(time.DateOnly), "the daemon makes one a day; let it run")
	default:
		d.report.ok("backups", "%d, the newest of %s", len(files), newest.In(d.cfg.Location).Format("2006-01-02 15:04"))
	}
}
