package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"askara-sync/askara"
)

// salvage is a repair's filling of the new ledger, in one transaction.
type salvage struct {
	t        *tx
	report   *Salvage
	now      time.Time
	names    map[int64]string        // accounts by their number in the old ledger
	accounts map[int64]int64         // and their number in the new one
	logins   map[int64]bool          // accounts that have one in the new ledger
	cursors  map[int64]askara.Cursor // of the newest source that was taken; a backup's are the older ones
	strays   bool                    // only pages that no table led to are read
	bad      int                     // rows that were read and cannot be true
}

// fillSalvage reads the damaged ledger and, where that has lost something, the newest backup that can be read.
func (s *Store) fillSalvage(ctx context.Context, w *writer, report *Salvage) error {
	if err := migrate(ctx, w, 0); err != nil {
		return err
	}
	damaged, err := s.openSource(s.path(fileName))
	if err != nil {
		return err
	}
	defer damaged.close()
	backup, path := s.openBackup(ctx)
	if backup != nil {
		defer backup.close()
	}
	report.NewID = true
	return w.update(ctx, "save what can be read", func(ctx context.Context, t *tx) error {
		v := &salvage{t: t, report: report, now: time.Now(), names: map[int64]string{}, accounts: map[int64]int64{}, logins: map[int64]bool{}}
		if err := v.takeAccounts(ctx, damaged); err != nil {
			return err
		}
		if backup != nil { // knows the names that the damaged ledger may have lost
			if err := v.takeAccounts(ctx, backup); err != nil {
				return err
			}
		}
		expected := expectedRows(ctx, damaged)
		if err := v.takeAll(ctx, damaged, false); err != nil {
			return err
		}
		whole := len(damaged.damaged) == 0 && !damaged.damagedLog && v.bad == 0 && expected >= 0 && v.rows() >= expected
		if !whole && backup != nil {
			report.Backup = path
			if err := v.takeAll(ctx, backup, true); err != nil {
				return err
			}
		}
		report.Doubt = !whole
		if !whole && backup == nil {
			clear(v.cursors) // what is forgotten may be anywhere
		}
		if err := v.saveCursors(ctx); err != nil {
			return err
		}
		report.Lost = max(expected-v.rows(), 0)
		return v.finish(ctx)
	})
}

// openBackup opens the newest backup that can be read, nil where there is none. A backup has no log.
func (s *Store) openBackup(ctx context.Context) (*source, string) {
	for _, path := range s.backups() {
		if probe(ctx, path) != nil {
			continue
		}
		src, err := newSource(path, false)
		if err != nil {
			continue
		}
		if version, err := schemaVersion(ctx, src.db); err == nil && version <= len(migrations) && quickCheck(ctx, src.db) == nil {
			return src, strings.TrimPrefix(path, s.cfg.Dir+"/")
		}
		_ = src.close()
	}
	return nil, ""
}

// expectedRows is how many revisions the ledger held by its own count, -1 where that cannot be read.
func expectedRows(ctx context.Context, src *source) int {
	var n sql.NullInt64
	if err := src.db.QueryRowContext(ctx, `select sum(count) from tally`).Scan(&n); err != nil {
		return -1
	}
	return int(n.Int64)
}

func (v *salvage) rows() int { return v.report.Finished + v.report.Waiting }

// account returns the number that an account has in the new ledger. One whose name is lost keeps its rows under a name that tells so.
func (v *salvage) account(ctx context.Context, old any) (int64, error) {
	id, ok := old.(int64)
	if !ok {
		return 0, errImplausible
	}
	if n, ok := v.accounts[id]; ok {
		return n, nil
	}
	name, ok := v.names[id]
	if !ok {
		if id < 1 || id > 1000 {
			return 0, errImplausible
		}
		name = fmt.Sprintf("lost-%d", id)
	}
	n, err := v.t.account(ctx, name)
	v.accounts[id] = n
	return n, err
}

// errImplausible says that a row holds what no ledger ever held.
var errImplausible = errors.New("implausible row")

// take copies the rows of a table by store, which is given the named columns, and leaves out those that cannot be true.
func (v *salvage) take(ctx context.Context, src *source, name, columns string, store func(rowid int64, values []any) error) error {
	tab, err := v.t.describeTable(ctx, name)
	if err != nil {
		return err
	}
	names := strings.FieldsFunc(columns, func(r rune) bool { return r == ',' || r <= ' ' })
	read := src.rows
	if v.strays {
		read = src.strays
	}
	return read(tab, func(rowid int64, values []any) error {
		err := store(rowid, tab.pick(rowid, values, names))
		if errors.Is(err, errImplausible) || code(err) == sqlite3.SQLITE_CONSTRAINT {
			v.bad++
			return nil
		}
		return err
	})
}

// takeAll copies what the new ledger does not have yet, the logins first. Where not every page was reached, it looks at the others.
func (v *salvage) takeAll(ctx context.Context, src *source, backup bool) error {
	logins := func(ctx context.Context, src *source) error { return v.takeLogins(ctx, src, backup) }
	takes := []func(context.Context, *source) error{logins, v.takeIdentity, v.takeArchive, v.takeDeliveries,
		v.takeCursors, v.takeDays, v.takePlain}
	v.cursors = map[int64]askara.Cursor{}
	if err := each(ctx, src, takes); err != nil || len(src.damaged) == 0 {
		return err
	}
	v.strays = true
	defer func() { v.strays = false }()
	return each(ctx, src, []func(context.Context, *source) error{logins, v.takeArchive, v.takeDeliveries})
}

func each(ctx context.Context, src *source, takes []func(context.Context, *source) error) error {
	for _, take := range takes {
		if err := take(ctx, src); err != nil {
			return err
		}
	}
	return nil
}

// takeIdentity gives the new ledger the id of the old one, which staging areas are bound to.
func (v *salvage) takeIdentity(ctx context.Context, src *source) error {
	return v.take(ctx, src, "ledger", "uuid", func(_ int64, values []any) error {
		id, _ := values[0].(string)
		if len(id) != 36 || !v.report.NewID {
			return nil
		}
		v.report.NewID = false
		_, err := v.t.exec(ctx, `update ledger set uuid = ?`, id)
		return err
	})
}

// takeAccounts learns the accounts' names, from the index as well, which may be readable where the table is not.
func (v *salvage) takeAccounts(ctx context.Context, src *source) error {
	rows, err := src.db.QueryContext(ctx, `select id, name from account indexed by sqlite_autoindex_account_1`)
	if err == nil {
		for rows.Next() {
			var id int64
			var name string
			if rows.Scan(&id, &name) == nil {
				v.learn(id, name)
			}
		}
		_ = rows.Close()
	}
	learn := func(id int64, values []any) error {
		if name, ok := values[0].(string); ok && !strings.HasPrefix(name, "{") { // a stray budget looks alike
			v.learn(id, name)
		}
		return nil
	}
	if err := v.take(ctx, src, "account", "name", learn); err != nil || !src.damaged["account"] {
		return err
	}
	v.strays = true
	defer func() { v.strays = false }()
	return v.take(ctx, src, "account", "name", learn)
}

func (v *salvage) learn(id int64, name string) {
	if _, known := v.names[id]; !known && name != "" && len(name) <= 200 {
		v.names[id] = name
	}
}

// finish counts what there is now and leaves the report in the ledger.
func (v *salvage) finish(ctx context.Context) error {
	if _, err := v.t.exec(ctx, `insert into tally (account, state, count) select account, state, count(*) from
		(select account, state from delivery union all select account, state from archive) group by account, state`); err != nil {
		return err
	}
	report, err := json.Marshal(v.report)
	if err != nil {
		return err
	}
	_, err = v.t.exec(ctx, `insert or replace into note (key, value) values (?, ?)`, salvageNote, string(report))
	return err
}

// takeCursors reads how far lists were read.
func (v *salvage) takeCursors(ctx context.Context, src *source) error {
	return v.take(ctx, src, "cursor", "account, at_us, pages, unordered, page_size", func(_ int64, values []any) error {
		account, err := v.account(ctx, values[0])
		if err != nil {
			return err
		}
		at, dated := values[1].(int64)
		pages, _ := values[2].(int64)
		size, _ := values[4].(int64)
		c := askara.Cursor{PageSize: int(size), At: fromMicros(sql.NullInt64{Int64: at, Valid: dated}), Pages: int(pages), Unordered: values[3] == int64(1)}
		if c.At.After(v.now.AddDate(0, 0, 2)) {
			return errImplausible // it would hide everything before it
		}
		v.cursors[account] = c
		return nil
	})
}

// saveCursors sets each cursor so that nothing is missed: a day back, since listing something twice costs little, and everything behind
// it is to be looked at. An account of which no cursor can be trusted is read from the beginning.
func (v *salvage) saveCursors(ctx context.Context) error {
	for account, c := range v.cursors {
		if !c.At.IsZero() {
			c.At = c.At.AddDate(0, 0, -1)
		}
		if err := v.t.saveCursor(ctx, account, c); err != nil {
			return err
		}
	}
	return nil
}
