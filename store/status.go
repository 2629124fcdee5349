package store

import (
	"context"
	"database/sql"
	"time"

	"askara-sync/askara"
)

// AccountStatus is what the ledger tells of an account.
type AccountStatus struct {
	Account string
	// Known is false where the ledger has never heard of the account.
	Known bool
	// Login is without tokens. It is read even where the key is missing.
	Login  askara.Login
	Cursor askara.Cursor
	// Counts holds the number of rows in each state that has any.
	Counts map[askara.DeliveryState]int
	// Today and Week count deliveries of this local day, and of it and the six before; All counts every delivered revision.
	Today, Week, All int
	// PutOff says why rows wait for another attempt: the commonest reasons first.
	PutOff []PutOff
	// Backfills are those that are not walked to their end.
	Backfills []askara.Backfill
	// LastPass is nil before the first.
	LastPass *askara.Pass
}

// PutOff is a reason why rows wait for another attempt.
type PutOff struct {
	Reason string
	Rows   int
	// Next is when the first of them is due.
	Next time.Time
}

// Status reads what the ledger tells of an account. Its cost does not grow with the history.
func (s *Store) Status(ctx context.Context, account string) (st AccountStatus, err error) {
	st = AccountStatus{Account: account, Counts: map[askara.DeliveryState]int{}}
	err = s.view(ctx, "read status", func(q querier) error {
		id, err := accountOf(ctx, q, account)
		if err != nil {
			return err
		}
		login, err := scanLogin(account, q.QueryRowContext(ctx, selectLogin, account).Scan)
		if err != nil || id == 0 {
			st.Login = login.Login
			return err
		}
		st.Known, st.Login = true, login.Login
		if st.Cursor, err = loadCursor(ctx, q, account); err != nil {
			return err
		}
		if st.Backfills, err = loadBackfills(ctx, q, account); err != nil {
			return err
		}
		if st.LastPass, err = lastPass(ctx, q, account); err != nil {
			return err
		}
		if err := st.count(ctx, q, id); err != nil {
			return err
		}
		return st.putOff(ctx, q, id)
	})
	return st, err
}

// count reads the tallies.
func (st *AccountStatus) count(ctx context.Context, q querier, account int64) error {
	type entry struct{ key, n int }
	scan := func(rows *sql.Rows) (e entry, err error) {
		err = rows.Scan(&e.key, &e.n)
		return e, err
	}
	states, err := rowsOf(ctx, q, scan, `select state, count from tally where account = ? and count > 0`, account)
	if err != nil {
		return err
	}
	for _, e := range states {
		state := askara.DeliveryState(e.key)
		st.Counts[state] = e.n
		if isDelivered(state) {
			st.All += e.n
		}
	}
	today := time.Now()
	days, err := rowsOf(ctx, q, scan, `select day, delivered from day where account = ? and day between ? and ?`,
		account, dayNumber(today.AddDate(0, 0, -6)), dayNumber(today))
	if err != nil {
		return err
	}
	for _, e := range days {
		st.Week += e.n
		if e.key == dayNumber(today) {
			st.Today = e.n
		}
	}
	return nil
}

// maxPutOff bounds how many rows are looked at to say why rows wait.
const maxPutOff = 1000

func (st *AccountStatus) putOff(ctx context.Context, q querier, account int64) error {
	scan := func(rows *sql.Rows) (p PutOff, err error) {
		var next sql.NullInt64
		err = rows.Scan(&p.Reason, &p.Rows, &next)
		p.Next = fromMillis(next)
		return p, err
	}
	list, err := rowsOf(ctx, q, scan, `select coalesce(reason, ''), count(*), min(next_attempt_at) from (
			select reason, next_attempt_at from delivery
			where account = ? and state in (1, 2, 3) and backfill in (0, 1) and next_attempt_at > 0 limit ?)
		group by reason order by 2 desc`, account, maxPutOff)
	st.PutOff = list
	return err
}
