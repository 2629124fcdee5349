package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"askara-sync/askara"
)

// sealedLogin is a login as it is stored. It is read whole, so that tokens and key belong together.
type sealedLogin struct {
	askara.Login    // without tokens
	access, refresh []byte
	key             string // the id of the key that sealed them; "" where nothing is sealed
}

const selectLogin = `select state, reason, generation, person, obtained_at, access_expires_at, refresh_expires_at, intent_at, lost_at, tries,
	retry_at, access, refresh, key from login where account = (select id from account where name = ?)`

func scanLogin(account string, scan func(...any) error) (l sealedLogin, err error) {
	l.Account = account
	var reason, person, key sql.NullString
	var obtained, accessExpires, refreshExpires, intent, lost, retry sql.NullInt64
	err = scan(&l.State, &reason, &l.Generation, &person, &obtained, &accessExpires, &refreshExpires, &intent, &lost, &l.Tries,
		&retry, &l.access, &l.refresh, &key)
	if errors.Is(err, sql.ErrNoRows) {
		l.State = askara.LoginRequired
		return l, nil
	}
	l.Reason, l.Person, l.key = reason.String, person.String, key.String
	l.Tokens.ObtainedAt, l.Tokens.AccessExpiresAt, l.Tokens.RefreshExpiresAt = fromMillis(obtained), fromMillis(accessExpires), fromMillis(refreshExpires)
	l.IntentAt, l.LostAt, l.RetryAt = fromMillis(intent), fromMillis(lost), fromMillis(retry)
	return l, err
}

// LoadLogin returns the account's login, State LoginRequired where there is none yet. Times come back to the millisecond, in UTC.
// A *KeyError says that the key which sealed it is missing. A login that is damaged is as good as none.
func (s *Store) LoadLogin(ctx context.Context, account string) (askara.Login, error) {
	m := s.moment(ctx)
	if l, ok := s.opened.at(account, m); ok {
		return l, nil
	}
	for last := ""; ; {
		l, err := scanLogin(account, s.read.QueryRowContext(ctx, selectLogin, account).Scan)
		if err != nil || l.key == "" {
			return l.Login, s.fail("load login", err)
		}
		if tokens, ok := s.opened.of(l); ok {
			l.Tokens.Access, l.Tokens.Refresh = tokens.Access, tokens.Refresh
			s.opened.keep(l, l.Login, m)
			return l.Login, nil
		}
		key, err := s.keys.byID(l.key)
		if err == nil {
			open := l.unseal(key)
			s.opened.keep(l, open, m)
			return open, nil
		}
		if l.key == last {
			return askara.Login{}, s.fail("load login", err)
		}
		last = l.key // a rekey may have replaced row and key between our looks at them
	}
}

// moment is the ledger's present one, the zero one where that cannot be told.
func (s *Store) moment(ctx context.Context) moment {
	if s.watch == nil {
		return moment{}
	}
	m, err := s.watch.now(ctx)
	if err != nil {
		return moment{} // reading the row says what is wrong
	}
	return m
}

// openedLogins are the logins that were unsealed last. A login is asked for with every request, and reading the row costs several
// times what it takes to see that nobody has written anything, reading the key and unsealing more than the row.
type openedLogins struct {
	mu     sync.Mutex
	logins map[string]openedLogin
}

type openedLogin struct {
	sealed sealedLogin // what is sealed anew never looks the same
	open   askara.Login
	moment moment // nothing had been written since when sealed was read
}

// at returns the login as it was at the moment.
func (o *openedLogins) at(account string, m moment) (askara.Login, bool) {
	if m == (moment{}) {
		return askara.Login{}, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	was, ok := o.logins[account]
	return was.open, ok && was.moment == m
}

// of returns the tokens of a row that is sealed as it was before.
func (o *openedLogins) of(l sealedLogin) (askara.Tokens, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was, ok := o.logins[l.Account]
	return was.open.Tokens, ok && was.sealed.key == l.key && bytes.Equal(was.sealed.access, l.access) && bytes.Equal(was.sealed.refresh, l.refresh)
}

// keep remembers a row that was read after the moment; one that is damaged is not worth it.
func (o *openedLogins) keep(l sealedLogin, open askara.Login, m moment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if open.Tokens.Access == "" {
		delete(o.logins, l.Account)
		return
	}
	if o.logins == nil {
		o.logins = map[string]openedLogin{}
	}
	o.logins[l.Account] = openedLogin{l, open, m}
}

// unseal fills in the tokens. Where they are damaged, a person must log in.
func (l sealedLogin) unseal(key sealKey) askara.Login {
	access, err := key.open(l.access, l.Account, "access")
	refresh, err2 := key.open(l.refresh, l.Account, "refresh")
	if err != nil || err2 != nil {
		l.Tokens = askara.Tokens{}
		l.State, l.Reason = askara.LoginRequired, "the stored login is damaged"
		return l.Login
	}
	l.Tokens.Access, l.Tokens.Refresh = access, refresh
	return l.Login
}

// SaveLogin replaces the account's login: on return it survives a power cut. Before it saves an intent it makes sure of the ballast, and
// fails while there is no room for it; on a full disk it gives the ballast up and saves. It never replaces tokens whose key is missing.
func (s *Store) SaveLogin(ctx context.Context, l askara.Login) error {
	if l.Account == "" || l.State == "" {
		return errors.New("save login: account or state is missing")
	}
	if !l.IntentAt.IsZero() && s.hard != nil {
		if err := s.ensureBallast(); err != nil {
			return s.fail("reserve room for the next login", err)
		}
	}
	return s.withBallast(func() error {
		return s.hard.update(ctx, "save login", func(ctx context.Context, t *tx) error {
			key, err := s.sealingKey(ctx, t, l)
			if err != nil {
				return err
			}
			return t.saveLogin(ctx, l, key)
		})
	})
}

// sealingKey returns the key for an account's tokens. What is sealed already decides: as long as anything is, its key goes on being used,
// and a new key is never made beside it.
func (s *Store) sealingKey(ctx context.Context, t *tx, l askara.Login) (key sealKey, err error) {
	var id string
	found, err := t.scan(ctx, `select key from login where key is not null
		order by account = (select id from account where name = ?) desc limit 1`, []any{l.Account}, &id)
	switch {
	case err != nil:
		return key, err
	case found:
		return s.keys.byID(id)
	case l.Tokens.Access == "" && l.Tokens.Refresh == "":
		return key, nil // nothing to seal
	}
	return s.keys.active()
}

func (t *tx) saveLogin(ctx context.Context, l askara.Login, key sealKey) error {
	account, err := t.account(ctx, l.Account)
	if err != nil {
		return err
	}
	sealed := sealedLogin{Login: l}
	if l.Tokens.Access != "" || l.Tokens.Refresh != "" {
		sealed.key = key.id
		sealed.access, sealed.refresh = key.seal(l.Tokens.Access, l.Account, "access"), key.seal(l.Tokens.Refresh, l.Account, "refresh")
	}
	return t.putLogin(ctx, account, sealed)
}

func (t *tx) putLogin(ctx context.Context, account int64, l sealedLogin) error {
	_, err := t.exec(ctx, `insert or replace into login (account, state, reason, generation, person, obtained_at, access_expires_at,
		refresh_expires_at, intent_at, lost_at, tries, retry_at, access, refresh, key) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		account, string(l.State), text(l.Reason), l.Generation, text(l.Person), millis(l.Tokens.ObtainedAt), millis(l.Tokens.AccessExpiresAt),
		millis(l.Tokens.RefreshExpiresAt), millis(l.IntentAt), millis(l.LostAt), l.Tries, millis(l.RetryAt), blob(l.access), blob(l.refresh), text(l.key))
	return err
}

// blob is what is bound for optional bytes; null is none.
func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

// DiscardSealed gives up the tokens whose key is missing, so that their accounts can log in again, and returns those accounts. Their
// logins become required. Tokens whose key is at hand stay.
func (s *Store) DiscardSealed(ctx context.Context) (accounts []string, err error) {
	err = s.hard.update(ctx, "discard sealed logins", func(ctx context.Context, t *tx) error {
		accounts = nil
		rows, err := t.query(ctx, `select name, key from login join account on account.id = login.account where key is not null`)
		if err != nil {
			return err
		}
		sealed, err := collect(rows, func(rows *sql.Rows) (l sealedLogin, err error) {
			err = rows.Scan(&l.Account, &l.key)
			return l, err
		})
		if err != nil {
			return err
		}
		for _, l := range sealed {
			_, err := s.keys.byID(l.key)
			if _, missing := errors.AsType[*KeyError](err); !missing {
				continue
			}
			_, err = t.exec(ctx, `update login set access = null, refresh = null, key = null, state = ?, reason = ?, intent_at = null,
				lost_at = null, tries = 0, retry_at = null where account = (select id from account where name = ?)`,
				string(askara.LoginRequired), "the key that sealed the login was lost; it was given up on "+time.Now().Format(time.DateOnly), l.Account)
			if err != nil {
				return err
			}
			accounts = append(accounts, l.Account)
		}
		return nil
	})
	return accounts, err
}
