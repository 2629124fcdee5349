package store

import (
	"context"
	"time"

	"askara-sync/askara"
)

// tally collects what a transaction changes about the counts, which are kept so that nobody has to count rows. It is written with
// the rows, in the same transaction.
type tally struct {
	states map[stateOf]int
	days   map[dayOf]int
}

type stateOf struct {
	account int64
	state   askara.DeliveryState
}

type dayOf struct {
	account int64
	day     int
}

func (c *tally) add(account int64, state askara.DeliveryState, n int) {
	if c.states == nil {
		c.states = map[stateOf]int{}
	}
	c.states[stateOf{account, state}] += n
}

func (c *tally) delivered(account int64, at time.Time) {
	if c.days == nil {
		c.days = map[dayOf]int{}
	}
	c.days[dayOf{account, dayNumber(at)}]++
}

// dayNumber names the local day of t as people write it, 20260131.
func dayNumber(t time.Time) int {
	y, m, d := t.Local().Date()
	return (y*100+int(m))*100 + d
}

func (c *tally) flush(ctx context.Context, t *tx) error {
	for k, n := range c.states {
		if n == 0 {
			continue
		}
		_, err := t.exec(ctx, `insert into tally (account, state, count) values (?, ?, ?)
			on conflict do update set count = count + excluded.count`, k.account, int(k.state), n)
		if err != nil {
			return err
		}
	}
	for k, n := range c.days {
		_, err := t.exec(ctx, `insert into day (account, day, delivered) values (?, ?, ?)
			on conflict do update set delivered = delivered + excluded.delivered`, k.account, k.day, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// isDelivered tells a state in which the destination has the document.
func isDelivered(s askara.DeliveryState) bool {
	return s == askara.Delivered || s == askara.Confirmed || s == askara.Closed
}

// isFinished tells a state in which nothing is left to do.
func isFinished(s askara.DeliveryState) bool {
	return s == askara.Confirmed || s == askara.Closed
}
