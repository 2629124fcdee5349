package store

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	sqlite3 "modernc.org/sqlite/lib"

	"askara-sync/askara"
)

// plausible tells whether the key of a revision can be true: account, uuid, revision and state.
func plausible(uuid, revision, state any, finished bool) bool {
	n, ok := revision.(int64)
	if !ok || n < 1 || n > 1_000_000 {
		return false
	}
	st, ok := state.(int64)
	if !ok || st < int64(askara.Pending) || st > int64(askara.Closed) || isFinished(askara.DeliveryState(st)) != finished {
		return false
	}
	switch uuid := uuid.(type) {
	case []byte:
		return len(uuid) == 16
	case string:
		return uuid != "" && len(uuid) <= 200
	}
	return false
}

// likely tells whether what was delivered can be true: name, size, checksum and this machine's two times. A page that is half there reads
// as zeros.
func likely(now time.Time, name, size, sum, discovered, delivered any) bool {
	if s, ok := name.(string); ok && strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }) {
		return false
	}
	if b, ok := sum.([]byte); ok && (len(b) != len(askara.Checksum{}) || fromChecksum(b) == (askara.Checksum{})) {
		return false
	}
	if n, ok := size.(int64); ok && n <= 0 {
		return false
	}
	for _, at := range []any{discovered, delivered} {
		if n, ok := at.(int64); ok && (n <= 0 || n > now.AddDate(10, 0, 0).UnixMilli()) {
			return false
		}
	}
	return true
}

const archiveColumns = `account, uuid, revision, state, order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us,
	name, size, sha256, discovered_at, delivered_at`

func (v *salvage) takeArchive(ctx context.Context, src *source) error {
	return v.take(ctx, src, "archive", archiveColumns, func(_ int64, values []any) error {
		if !plausible(values[1], values[2], values[3], true) ||
			!likely(v.now, values[9], values[10], values[11], values[12], values[13]) {
			return errImplausible
		}
		account, err := v.account(ctx, values[0])
		if err != nil {
			return err
		}
		values[0] = account
		n, err := v.t.change(ctx, `insert or ignore into archive (`+archiveColumns+`) select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14
			where not exists (select 1 from delivery where account = ?1 and uuid = ?2 and revision = ?3)`, values...)
		v.report.Finished += int(n)
		return err
	})
}

const deliveryColumns = `account, uuid, revision, state, backfill, next_attempt_at, attempts, reason, order_us, updated_us, validated_us,
	confirmed_order_us, confirmed_updated_us, staged, name, size, sha256, discovered_at, delivered_at`

// takeDeliveries copies what is on its way. Its rows get new numbers, which their metadata follows.
func (v *salvage) takeDeliveries(ctx context.Context, src *source) error {
	ids := map[int64]int64{}
	err := v.take(ctx, src, "delivery", deliveryColumns, func(old int64, values []any) error {
		if !plausible(values[1], values[2], values[3], false) ||
			!likely(v.now, values[14], values[15], values[16], values[17], values[18]) {
			return errImplausible
		}
		account, err := v.account(ctx, values[0])
		if err != nil {
			return err
		}
		values[0] = account
		result, err := v.t.exec(ctx, `insert or ignore into delivery (`+deliveryColumns+`)
			select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19
			where not exists (select 1 from archive where account = ?1 and uuid = ?2 and revision = ?3)`, values...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		v.report.Waiting++
		ids[old], err = result.LastInsertId()
		return err
	})
	if err != nil {
		return err
	}
	return v.take(ctx, src, "metadata", "raw", func(old int64, values []any) error {
		id, ok := ids[old]
		if !ok {
			return nil
		}
		_, err := v.t.exec(ctx, `insert or ignore into metadata (id, raw) values (?, ?)`, id, values[0])
		return err
	})
}

// takePlain copies the small tables as they are.
func (v *salvage) takePlain(ctx context.Context, src *source) error {
	for _, table := range [...]struct {
		name, columns string
		account       int // the column that holds it, -1 for none
	}{
		{"note", "key, value", -1},
		{"budget", "id, state", -1},
		{"backfill", "id, account, since_us, until_us, at_us, done", 1},
		{"pass", "id, account, started_at, duration_us, listed, delivered, already, failed, parked, confirmed, unconfirmed, requests, bytes, error", 1},
	} {
		marks := strings.Repeat(", ?", strings.Count(table.columns, ",")+1)[2:]
		insert := `insert or ignore into ` + table.name + ` (` + table.columns + `) values (` + marks + `)`
		err := v.take(ctx, src, table.name, table.columns, func(_ int64, values []any) (err error) {
			if table.account >= 0 {
				if values[table.account], err = v.account(ctx, values[table.account]); err != nil {
					return err
				}
			}
			_, err = v.t.exec(ctx, insert, values...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// takeDays copies the counts of days as far as they can be read; they are for people to look at.
func (v *salvage) takeDays(ctx context.Context, src *source) error {
	rows, err := src.db.QueryContext(ctx, `select account, day, delivered from day`)
	if err != nil {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var old, day, delivered any
		if rows.Scan(&old, &day, &delivered) != nil {
			return nil
		}
		account, err := v.account(ctx, old)
		if err == nil {
			_, err = v.t.exec(ctx, `insert or ignore into day (account, day, delivered) values (?, ?, ?)`, account, day, delivered)
		}
		if err != nil && !errors.Is(err, errImplausible) && code(err) != sqlite3.SQLITE_CONSTRAINT {
			return err
		}
	}
	return nil
}

// Reasons that a repair gives for the state of a login.
const (
	reasonLost   = "the stored login was lost with the damaged ledger"
	reasonMaybes = "the ledger was damaged, and the stored login may not be the newest"
)

const loginColumns = `account, state, reason, generation, person, obtained_at, access_expires_at, refresh_expires_at, intent_at, lost_at, tries,
	retry_at, access, refresh, key`

// takeLogins copies logins. The tokens in a backup are spent, since a login is refreshed more often than the ledger is backed up: to
// send one would look like theft, so of a backup's login only the memory that there was one is kept.
func (v *salvage) takeLogins(ctx context.Context, src *source, backup bool) error {
	return v.take(ctx, src, "login", loginColumns, func(old int64, values []any) error {
		account, err := v.account(ctx, old)
		if err != nil || v.logins[account] {
			return err
		}
		values[0] = account
		state, _ := values[1].(string)
		switch askara.LoginState(state) {
		case askara.LoginOK:
			if src.damagedLog {
				values[1], values[2], values[9], values[10], values[11] = string(askara.LoginUncertain), reasonMaybes, v.now.UnixMilli(), 0, v.now.UnixMilli()
			}
		case askara.LoginUncertain, askara.LoginRequired:
		default:
			return errImplausible
		}
		if backup {
			v.report.LoginsLost = append(v.report.LoginsLost, v.names[old])
			values[1], values[2] = string(askara.LoginRequired), reasonLost
			for i := 5; i < len(values); i++ {
				values[i] = nil
			}
			values[10] = 0
		}
		if _, err := v.t.exec(ctx, `insert into login (`+loginColumns+`) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, values...); err != nil {
			return err
		}
		v.logins[account] = true
		if !backup {
			v.report.Logins++
		}
		return nil
	})
}
