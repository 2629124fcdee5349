package sync_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
	"askara-sync/sync"
)

// every5 is the schedule */5.
func every5(t time.Time) time.Time { return t.Truncate(5 * time.Minute).Add(5 * time.Minute) }

func TestLoopRunsAtStartThenByScheduleAndCountsMissedTicksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begin := time.Now()
		var starts []time.Duration
		l := sync.NewLoop(sync.LoopConfig{
			Next:  every5,
			Pulse: sync.NewPulse(),
			Pass: func(ctx context.Context) error {
				starts = append(starts, time.Since(begin))
				if len(starts) == 2 {
					time.Sleep(17 * time.Minute) // three ticks pass
				}
				return nil
			},
		})
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		time.Sleep(31 * time.Minute)
		cancel()
		<-done
		want := []time.Duration{0, 5 * time.Minute, 25 * time.Minute, 30 * time.Minute}
		if len(starts) != len(want) {
			t.Fatalf("passes began at %v, want %v", starts, want)
		}
		for i := range want {
			if starts[i] != want[i] {
				t.Errorf("pass %d began at %v, want %v", i, starts[i], want[i])
			}
		}
	})
}

func TestLoopEndsAWaitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := sync.NewLoop(sync.LoopConfig{Next: every5, Pulse: sync.NewPulse(), Pass: func(context.Context) error { return nil }})
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		time.Sleep(time.Minute)
		if l.NextAt().IsZero() {
			t.Error("the loop does not say when the next pass begins")
		}
		at := time.Now()
		cancel()
		<-done
		if took := time.Since(at); took > time.Second {
			t.Errorf("stopping took %v", took)
		}
	})
}

func TestLoopWakesForALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		passes := 0
		l := sync.NewLoop(sync.LoopConfig{Next: every5, Pulse: sync.NewPulse(), Pass: func(context.Context) error { passes++; return nil }})
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		time.Sleep(time.Minute)
		l.Wake() // a second one might come after the pass has begun, and be another
		synctest.Wait()
		if passes != 2 {
			t.Errorf("got %d passes after a wake, want 2", passes)
		}
		cancel()
		<-done
	})
}

func TestLoopRestsWhileTheServiceIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		passes := 0
		down := &askara.Error{Op: "list", Kind: askara.FaultService, Status: 503}
		l := sync.NewLoop(sync.LoopConfig{Next: every5, Pulse: sync.NewPulse(), Pass: func(context.Context) error { passes++; return down }})
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		time.Sleep(4 * time.Hour)
		cancel()
		<-done
		if passes < 4*3-2 || passes > 4*4+2 {
			t.Errorf("got %d passes in four hours of outage, want about three an hour", passes)
		}
	})
}

func TestLoopKeepsLoginsBetweenPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		keeps := 0
		l := sync.NewLoop(sync.LoopConfig{
			Next:  func(t time.Time) time.Time { return t.Add(24 * time.Hour) },
			Pulse: sync.NewPulse(),
			Pass:  func(context.Context) error { return nil },
			Keep:  func(context.Context) time.Time { keeps++; return time.Now().Add(10 * time.Minute) },
		})
		done := make(chan struct{})
		go func() { l.Run(ctx); close(done) }()
		time.Sleep(time.Hour + time.Minute)
		cancel()
		<-done
		if keeps != 7 {
			t.Errorf("got %d looks at the logins in an hour, want 7", keeps)
		}
	})
}

func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sync.NewPulse()
		time.Sleep(59 * time.Second)
		if !p.Alive(time.Minute) {
			t.Error("dead after 59 s of a minute")
		}
		time.Sleep(2 * time.Second)
		if p.Alive(time.Minute) {
			t.Error("alive after 61 s without progress")
		}
		p.Wait(time.Now().Add(15 * time.Minute))
		time.Sleep(15*time.Minute + 59*time.Second)
		if !p.Alive(time.Minute) {
			t.Error("dead while waiting was in order")
		}
		time.Sleep(2 * time.Second)
		if p.Alive(time.Minute) {
			t.Error("alive although the wait is long over")
		}
	})
}

func TestOutageIsOneLineAtTheStartOneAnHourAndOneAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := sync.Outage{What: "pass failing", Logger: slog.New(slog.NewTextHandler(&log, nil))}
		err := errors.Join(&askara.Error{Op: "list", Kind: askara.FaultService, Status: 503})
		for range 3*12 + 1 { // three hours of a pass every five minutes
			o.Report(err)
			time.Sleep(5 * time.Minute)
		}
		o.Report(nil)
		o.Report(nil)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 5 || !strings.Contains(lines[4], "recovered") {
			t.Errorf("want a first line, three reminders and one recovery, got:\n%s", log.String())
		}
	})
}
