package store

import (
	"context"
	"database/sql"
	"errors"
)

// Note returns a small fact that was left under the key, and whether there is one.
func (s *Store) Note(ctx context.Context, key string) (value string, found bool, err error) {
	err = s.read.QueryRowContext(ctx, `select value from note where key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, s.fail("read note", err)
}

// SetNote leaves a small fact under the key, durably. An empty value removes it.
func (s *Store) SetNote(ctx context.Context, key, value string) error {
	return s.hard.update(ctx, "save note", func(ctx context.Context, t *tx) error {
		if value == "" {
			_, err := t.exec(ctx, `delete from note where key = ?`, key)
			return err
		}
		_, err := t.exec(ctx, `insert into note (key, value) values (?, ?)
			on conflict do update set value = excluded.value where value <> excluded.value`, key, value)
		return err
	})
}
