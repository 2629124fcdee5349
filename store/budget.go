package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"askara-sync/askara"
)

// UpdateBudget runs fn on the budget, alone among all processes, and keeps what it made of it; an error of fn leaves the budget as it was
// and comes back as it is. What it keeps survives a kill of the process and, alone of all that the ledger keeps, not always a power
// cut: it never waits for the disk. A budget that cannot be read any more begins anew.
func (s *Store) UpdateBudget(ctx context.Context, fn func(*askara.BudgetState) error) error {
	var refused error
	err := s.soft.update(ctx, "update budget", func(ctx context.Context, t *tx) error {
		var was string
		if _, err := t.scan(ctx, `select state from budget where id = 1`, nil, &was); err != nil {
			return err
		}
		var state askara.BudgetState
		if was != "" {
			if err := json.Unmarshal([]byte(was), &state); err != nil {
				s.log.Warn("stored budget unreadable")
				state = askara.BudgetState{}
			}
		}
		if refused = fn(&state); refused != nil {
			return nil // nothing was written
		}
		now, err := json.Marshal(state)
		if err != nil {
			return fmt.Errorf("encode budget: %w", err)
		}
		if string(now) == was {
			return nil
		}
		_, err = t.exec(ctx, `insert into budget (id, state) values (1, ?) on conflict do update set state = excluded.state`, string(now))
		return err
	})
	if err != nil {
		return err
	}
	return refused
}

// Budget returns the budget as it was last kept; the zero value where there is none yet, or none that can be read.
func (s *Store) Budget(ctx context.Context) (state askara.BudgetState, err error) {
	var raw string
	err = s.read.QueryRowContext(ctx, `select state from budget where id = 1`).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return state, nil
	}
	if err != nil {
		return state, s.fail("read budget", err)
	}
	if json.Unmarshal([]byte(raw), &state) != nil {
		return askara.BudgetState{}, nil // UpdateBudget says so
	}
	return state, nil
}
