package proof_test

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite"
)

// The ledger is looked at from outside, through no code of the program's, by connections that last no longer than the look: one that
// stayed would take the recovery after a crash away from the program.

type sqlDB = sql.DB

// inState reads from the ledger in a state directory.
func inState(dir string, fn func(*sqlDB) error) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "askara-sync.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	return errors.Join(fn(db), db.Close())
}

// ledgerRow is one revision of a document as the ledger has it.
type ledgerRow struct {
	revision, state int
	sum             [32]byte
}

func rowsOf(db *sqlDB, uuid string) ([]ledgerRow, error) {
	key, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil {
		return nil, err
	}
	const query = `select revision, state, sha256 from delivery where uuid = ?1
		union all select revision, state, sha256 from archive where uuid = ?1 order by revision`
	rows, err := db.Query(query, key)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []ledgerRow
	for rows.Next() {
		var r ledgerRow
		var sum []byte
		if err := rows.Scan(&r.revision, &r.state, &sum); err != nil {
			return nil, err
		}
		copy(r.sum[:], sum)
		all = append(all, r)
	}
	return all, rows.Err()
}

// copied reads from a copy of the ledger as a crash left it, so that the recovery stays the program's.
func copied(dir string, fn func(*sqlDB) error) error {
	temp, err := os.MkdirTemp(scratchDir, "ledger-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	for _, name := range []string{"askara-sync.db", "askara-sync.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(temp, name), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(temp, "askara-sync.db"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	return errors.Join(fn(db), db.Close())
}

// age makes every wait in the ledger be over, as if hours had gone by.
func age(dir string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "askara-sync.db")+"?mode=rw&_pragma=busy_timeout(10000)&_pragma=synchronous(full)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		`update delivery set next_attempt_at = 0`,
		`update login set retry_at = retry_at - 86400000 where retry_at is not null`,
		`update cursor set walked_at = null`,
		`update login set intent_at = intent_at - 86400000 where intent_at is not null`,
	} {
		if _, err := db.Exec(statement); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", statement, err), db.Close())
		}
	}
	return db.Close()
}
