package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"os"

	"askara-sync/askara"
)

// settle finishes a rekey that was cut short: the successor of the own key takes its place where a login is sealed with it, and goes
// otherwise. While a rekey is under way it does nothing.
func (k keyring) settle(ctx context.Context, q querier) error {
	if _, err := os.Stat(k.next()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := tryLock(k.own()+".lock", exclusive)
	if errors.Is(err, errHeld) {
		return nil
	}
	if err != nil {
		return wrap("finish rekey", err)
	}
	defer lock.Close()
	return wrap("finish rekey", k.finish(ctx, q))
}

// finish is settle for who holds the lock.
func (k keyring) finish(ctx context.Context, q querier) error {
	key, err := readKey(k.next(), false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	used := 0
	if err == nil {
		if err := q.QueryRowContext(ctx, `select count(*) from login where key = ?`, key.id).Scan(&used); err != nil {
			return err
		}
	}
	if used > 0 {
		err = os.Rename(k.next(), k.own())
	} else {
		err = os.Remove(k.next())
	}
	return errors.Join(err, syncDir(k.dir))
}

// RekeyConfig says which keys a rekey is between. The new one is the configured credential, else a new key file of the ledger's own.
type RekeyConfig struct {
	// OldKeyFile holds the key that the logins are sealed with now; "" where it is the configured one or the ledger's own.
	OldKeyFile string
}

// Rekey seals every login with a new key, in one transaction. It may be cut short at any moment: either key, whichever is in force, is on
// disk before and afterwards. It returns how many logins it sealed.
func (s *Store) Rekey(ctx context.Context, cfg RekeyConfig) (sealed int, err error) {
	unlock, err := lockFile(ctx, s.keys.own()+".lock", exclusive)
	if err != nil {
		return 0, s.fail("rekey", err)
	}
	defer unlock()
	if err := s.keys.finish(ctx, s.read); err != nil {
		return 0, s.fail("rekey", err)
	}
	successor, err := s.successor()
	if err != nil {
		return 0, s.fail("rekey", err)
	}
	err = s.hard.update(ctx, "rekey", func(ctx context.Context, t *tx) error {
		sealed, err = s.reseal(ctx, t, successor, cfg.OldKeyFile)
		return err
	})
	if err != nil {
		return 0, errors.Join(err, s.fail("rekey", s.keys.finish(context.WithoutCancel(ctx), s.read)))
	}
	if s.keys.credential != "" {
		err = os.Remove(s.keys.own()) // seals nothing any more
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = os.Rename(s.keys.next(), s.keys.own())
	}
	return sealed, s.fail("rekey", errors.Join(err, syncDir(s.keys.dir)))
}

// successor returns the key to seal with from now on; an own one is on disk, under its interim name, before anything is sealed with it.
func (s *Store) successor() (sealKey, error) {
	if s.keys.credential != "" {
		return readKey(s.keys.credential, false)
	}
	raw := make([]byte, keySize)
	rand.Read(raw)
	if err := writeDurable(s.keys.next(), encodeKey(raw), true); err != nil {
		return sealKey{}, err
	}
	return newSealKey(raw)
}

func (s *Store) reseal(ctx context.Context, t *tx, successor sealKey, old string) (sealed int, err error) {
	rows, err := t.query(ctx, `select name from login join account on account.id = login.account where key is not null`)
	if err != nil {
		return 0, err
	}
	names, err := collect(rows, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	})
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		rows, err := t.query(ctx, selectLogin, name)
		if err != nil {
			return 0, err
		}
		list, err := collect(rows, func(rows *sql.Rows) (sealedLogin, error) { return scanLogin(name, rows.Scan) })
		if err != nil || len(list) != 1 {
			return 0, errors.Join(err, errors.New("a login vanished"))
		}
		if list[0].key == successor.id {
			continue
		}
		key, err := s.keys.byID(list[0].key, old)
		if err != nil {
			return 0, err
		}
		if err := t.saveLogin(ctx, list[0].unseal(key), successor); err != nil {
			return 0, err
		}
		sealed++
	}
	if sealed == 0 && len(names) > 0 {
		return 0, &Error{Op: "seal logins", Kind: askara.FaultConfiguration, Err: errors.New("they are sealed with this key already"),
			Remedy: "put a new key into the credential state_key and name the file that holds the old one"}
	}
	return sealed, nil
}
