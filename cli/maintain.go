package cli

import (
	"context"
	"errors"
	"time"

	"askara-sync/store"
	"askara-sync/sync"
)

const (
	// maintainEvery is how often the daemon looks whether the day's backup is still to be made, and tries again where it failed.
	maintainEvery = 10 * time.Minute
	// reopenAfter is how long a damaged ledger rests before it is opened anew, so that one that cannot be mended costs little.
	reopenAfter = 10 * time.Second
)

// maintain backs the ledger up once a day, and has it looked at while doing so, until ctx ends.
func (s *service) maintain(ctx context.Context) {
	outage := &sync.Outage{What: "ledger backup failing", Logger: s.Logger}
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		if s.app.Store.BackupDue() {
			began := time.Now()
			err := s.app.Store.Backup(ctx)
			if ctx.Err() != nil {
				return
			}
			outage.Report(err)
			s.notice(err)
			if err == nil {
				s.Logger.Info("ledger backed up", "took", time.Since(began).Round(time.Millisecond))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// notice has the ledger opened anew where an error says that it is damaged: opening repairs it.
func (s *service) notice(err error) {
	if _, damaged := errors.AsType[*store.CorruptError](err); !damaged {
		return
	}
	select {
	case s.damage <- struct{}{}:
	default: // known already
	}
}

// reopen says that the ledger will be opened anew, and returns the configuration to do so with; nil when ctx ends.
func (s *service) reopen(ctx context.Context) *Config {
	s.Logger.Error("the ledger is damaged and will be repaired", "in", reopenAfter)
	timer := time.NewTimer(reopenAfter)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
		return s.app.Config
	}
}
