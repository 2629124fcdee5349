package askara_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"askara-sync/askara"
)

func TestWorkTravelsInTheContext(t *testing.T) {
	if got := askara.WorkFrom(t.Context(), askara.WorkDownload); got != askara.WorkDownload {
		t.Errorf("got %v without a mark, want the default", got)
	}
	ctx := askara.WithWork(t.Context(), askara.WorkBackfill)
	if got := askara.WorkFrom(ctx, askara.WorkDownload); got != askara.WorkBackfill {
		t.Errorf("got %v, want backfill", got)
	}
	if !(askara.WorkLogin < askara.WorkConfirm && askara.WorkConfirm < askara.WorkList &&
		askara.WorkList < askara.WorkDownload && askara.WorkDownload < askara.WorkBackfill) {
		t.Error("kinds of work are not in order, best first")
	}
}

func TestWaitingIsOverAtOnceAfterAStop(t *testing.T) {
	stop, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		wait, done := askara.Waiting(askara.WithStop(t.Context(), stop))
		if wait.Err() == nil {
			t.Fatal("there is still something to wait for after the stop")
		}
		done()
	}
}

// TestWaitingEnds: by whatever it ends, who waits already and who comes later see it, and so do contexts made of it.
func TestWaitingEnds(t *testing.T) {
	for _, by := range []string{"context", "stop", "cancel"} {
		for _, when := range []string{"while somebody waits", "before anybody waits"} {
			t.Run(by+" "+when, func(t *testing.T) {
				ctx, end := context.WithCancel(t.Context())
				defer end()
				stop, halt := context.WithCancel(t.Context())
				defer halt()
				wait, cancel := askara.Waiting(askara.WithStop(ctx, stop))
				defer cancel()
				var early <-chan struct{}
				if when == "while somebody waits" {
					early = wait.Done()
					select {
					case <-early:
						t.Fatal("it ended by itself")
					default:
					}
				}
				if err := wait.Err(); err != nil {
					t.Fatalf("before its end: got %v", err)
				}
				map[string]func(){"context": end, "stop": halt, "cancel": cancel}[by]()
				if !errors.Is(wait.Err(), context.Canceled) {
					t.Errorf("got %v, want %v", wait.Err(), context.Canceled)
				}
				child, release := context.WithTimeout(wait, time.Hour)
				defer release()
				<-child.Done()
				<-wait.Done()
				if early != nil {
					<-early
				}
			})
		}
	}
}
