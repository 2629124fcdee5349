package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"askara-sync/askara"
	"askara-sync/store"
	"askara-sync/sync"
)

// service is the daemon: a loop for each account, the control socket, and what systemd is told.
type service struct {
	*Run
	app      *App
	schedule sync.Schedule
	loops    map[string]*sync.Loop
	outages  map[string]*sync.Outage // of each account's passes, used by whoever has the account's turn
	notifier *Notifier
	reload   chan struct{}
	damage   chan struct{} // the ledger was found damaged
	status   *statusLine
}

// runDaemon runs until ctx ends. SIGHUP, or a command, makes it read its configuration again.
func runDaemon(ctx context.Context, r *Run) error {
	cfg, err := r.Configure()
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	reload := make(chan struct{}, 1)
	for cfg != nil {
		s := &service{
			Run: r, reload: reload, damage: make(chan struct{}, 1), status: newStatusLine(),
			loops: map[string]*sync.Loop{}, outages: map[string]*sync.Outage{},
		}
		if cfg, err = s.serve(ctx, cfg, hup); err != nil {
			return err
		}
	}
	return nil
}

// serve runs with one configuration. It returns the next one after a reload, nil when ctx has ended.
func (s *service) serve(ctx context.Context, cfg *Config, hup <-chan os.Signal) (next *Config, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.schedule, err = sync.ParseSchedule(cfg.Schedule, cfg.Location); err != nil {
		return nil, err // checked with the configuration
	}
	if s.app, err = OpenApp(ctx, AppConfig{Config: cfg, Logger: s.Logger, OnWait: s.waiting}); err != nil {
		return nil, err
	}
	defer func() {
		cerr := s.app.Close()
		if next != nil && cerr != nil {
			// What is opened next says what is wrong, or mends it: a damaged ledger cannot be closed in good order.
			s.Logger.Warn("not closed in good order", "error", cerr)
			return
		}
		err = errors.Join(err, cerr)
	}()
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.app.OpenSinks(ctx); err != nil {
		return nil, err
	}
	listener, err := ListenControl(cfg.StateDir)
	if err != nil {
		return nil, err
	}

	s.notifier = s.app.notifier()
	group, ctx := errgroup.WithContext(ctx)
	control := &ControlServer{Logger: s.Logger, Handle: func(client context.Context, q ControlRequest, emit func(ControlEvent)) error {
		return s.handle(ctx, client, q, emit)
	}}
	for _, acc := range s.app.accounts {
		s.loops[acc.Name] = s.loop(acc)
		s.outages[acc.Name] = &sync.Outage{What: "pass failing", Logger: s.Logger.With("account", acc.Name)}
	}
	group.Go(func() error { return control.Serve(ctx, listener) })
	group.Go(func() error { s.watchdog(ctx); return nil })
	group.Go(func() error { s.notifier.Run(ctx); return nil })
	group.Go(func() error { s.maintain(ctx); return nil })
	for _, loop := range s.loops {
		group.Go(func() error { loop.Run(ctx); return nil })
	}
	s.Logger.Info("started", "version", Version(), "accounts", len(s.app.accounts), "schedule", cfg.Schedule)
	notify(daemon.SdNotifyReady)

	next = s.await(ctx, hup)
	if next == nil {
		notify(daemon.SdNotifyStopping)
		s.Logger.Info("stopping")
	}
	cancel()
	return next, group.Wait()
}

// lock makes this process the only daemon on the state directory.
func (s *service) lock() (unlock func(), err error) {
	unlock, holder, err := s.app.Store.LockDaemon()
	if errors.Is(err, store.ErrDaemonRunning) {
		return nil, &runningError{pid: holder}
	}
	return unlock, err
}

// runningError says that there is a daemon already.
type runningError struct{ pid int }

func (e *runningError) Error() string {
	return fmt.Sprintf("a daemon is running on this state directory already (pid %d)", e.pid)
}

// Fault says that starting it once more may succeed later.
func (e *runningError) Fault() askara.Fault { return askara.FaultService }

// Hint says what to do instead.
func (e *runningError) Hint() string {
	return "`askara-sync --once` hands a pass to it, `askara-sync status` shows it, `sudo systemctl restart askara-sync` restarts it"
}

// await returns the next configuration when a reload is asked for and the file is right; nil when ctx ends.
func (s *service) await(ctx context.Context, hup <-chan os.Signal) *Config {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.damage:
			return s.reopen(ctx)
		case <-hup:
		case <-s.reload:
		}
		notify(daemon.SdNotifyReloading)
		next, err := s.Reload(LoadConfig{})
		if err == nil {
			s.Logger.Info("configuration read again")
			return next
		}
		notify(daemon.SdNotifyReady)
		s.Logger.Error("configuration not taken over, the one before stays", "error", err)
	}
}

// notify tells systemd; elsewhere it does nothing.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// loop makes the loop of one account.
func (s *service) loop(acc *account) *sync.Loop {
	login := &sync.Outage{What: "login failing", Logger: s.Logger.With("account", acc.Name)}
	return sync.NewLoop(sync.LoopConfig{
		Next: s.schedule.Next, Jitter: s.app.Config.Jitter, Pulse: acc.pulse,
		Pass: func(ctx context.Context) error {
			select {
			case acc.turn <- struct{}{}:
				defer func() { <-acc.turn }()
			default:
				return nil // a pass that a person asked for is running, and looks for fresh documents itself
			}
			return ofPass(s.pass(ctx, acc, sync.Request{Poll: s.poll(), Watch: s.showProgress}).Err)
		},
		Keep: func(ctx context.Context) time.Time {
			next, err := acc.custody.Keep(ctx)
			if ctx.Err() != nil {
				return next
			}
			if askara.FaultOf(err) == askara.FaultLogin {
				err = nil // the pass says so
			}
			login.Report(err)
			s.welcome(ctx, acc)
			return next
		},
		Waiting: func(next time.Time) { s.status.next(acc.Name, next) },
	})
}

// pass runs a pass of the daemon, on schedule or because a person asked, and tells the journal, `systemctl status` and whoever is to be
// notified what became of it. The caller has the account's turn.
func (s *service) pass(ctx context.Context, acc *account, q sync.Request) Outcome {
	s.status.set(acc.Name, "looking for documents")
	s.notifier.Begun()
	o := s.app.passOne(ctx, acc, q)
	if ctx.Err() != nil {
		return o
	}
	s.notice(o.Err)
	err := ofPass(o.Err)
	s.outages[acc.Name].Report(err)
	s.notifier.Observe(s.app.health(ctx, acc, o.Pass.Delivered, err))
	if o.Pass.Delivered+o.Pass.Failed+o.Pass.Confirmed > 0 {
		s.Logger.Info("pass done", "account", acc.Name, "listed", o.Pass.Listed, "delivered", o.Pass.Delivered,
			"confirmed", o.Pass.Confirmed, "failed", o.Pass.Failed, "bytes", o.Pass.Bytes, "took", o.Pass.Duration.Round(time.Millisecond))
	}
	s.status.pass(acc.Name, o.Pass, err)
	s.status.next(acc.Name, s.loops[acc.Name].NextAt())
	return o
}

// ofPass returns what was wrong with a pass as a whole; nil where only documents failed, each of which has its own line.
func ofPass(err error) error {
	if _, unfinished := errors.AsType[*sync.UnfinishedError](err); unfinished {
		return nil
	}
	return err
}

// showProgress shows in `systemctl status` how far a pass has come.
func (s *service) showProgress(p sync.Progress) { s.status.busy(p.Account, p.Delivered, p.Total) }

// welcome begins a pass at once where a login has come that the last pass missed.
func (s *service) welcome(ctx context.Context, acc *account) {
	l, err := acc.custody.Login(ctx)
	if err != nil {
		return
	}
	missing := l.State == askara.LoginRequired
	var dying time.Time
	if !missing && l.ExpiringAt(s.app.Config.ReloginBefore, time.Now()) {
		dying = l.Tokens.RefreshExpiresAt
	}
	if s.status.login(acc.Name, missing, dying) && !missing {
		s.Logger.Info("logged in", "account", acc.Name)
		s.loops[acc.Name].Wake()
	}
}

// poll is how often a long pass looks for fresh documents: as often as the schedule would.
func (s *service) poll() time.Duration {
	now := time.Now()
	return max(time.Minute, s.schedule.Next(now).Sub(now))
}

// waiting takes the beginning and the end of a wait for the budget.
func (s *service) waiting(w askara.BudgetWait) {
	for _, acc := range s.app.accounts {
		if !w.Until.IsZero() {
			acc.pulse.Wait(w.Until.Add(time.Minute))
		}
	}
	if w.Until.IsZero() {
		s.status.budget("")
		return
	}
	s.Logger.Info("waiting for Askara's request limit", "work", w.Work.String(), "until", w.Until.Format(time.RFC3339))
	s.status.budget("waiting for Askara's request limit until " + w.Until.Local().Format("15:04"))
}

// watchdog tells systemd that all loops progress; once one is stuck it keeps silent, and systemd restarts the service.
func (s *service) watchdog(ctx context.Context) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return
	}
	tick := time.NewTicker(interval / 3)
	defer tick.Stop()
	// Nothing that is in order keeps silent for longer than a request with its repetitions does.
	limit := max(interval, 4*s.app.Config.API.Timeout)
	stuck := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		alive := true
		for _, acc := range s.app.accounts {
			alive = alive && acc.pulse.Alive(limit)
		}
		switch {
		case alive:
			notify(daemon.SdNotifyWatchdog)
		case !stuck:
			s.Logger.Error("no progress, systemd will restart the service", "for", limit)
		}
		stuck = !alive
	}
}
