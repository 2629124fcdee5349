package askara_test

import (
	"context"
	"testing"

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
