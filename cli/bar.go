package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"askara-sync/askara"
)

// bar shows a person at a terminal how far --once has come. Elsewhere it shows nothing, since the log says it. Its methods are safe
// for concurrent use.
type bar struct {
	mu       sync.Mutex
	out      io.Writer // nil where there is no terminal
	bar      *progressbar.ProgressBar
	accounts map[string]step
	said     int // the number of documents that the estimate was given for

	// estimate returns how long so many documents take; nil where that is not known here.
	estimate func(documents int) time.Duration
	// say tells a person something where there is no terminal.
	say func(message string)
}

// step is how far one account has come.
type step struct {
	listed, total, done, failed int
	bytes                       int64
}

// worthSaying is the estimate from which a person is told before it begins.
const worthSaying = 2 * time.Minute

func newBar(r *Run) *bar {
	b := &bar{accounts: map[string]step{}, say: func(m string) { r.Logger.Info(m) }}
	if f, ok := r.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		b.out = f
	}
	return b
}

// show takes the progress of one account.
func (b *bar) show(account string, s step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accounts[account] = s
	var sum step
	for _, a := range b.accounts {
		sum.listed += a.listed
		sum.total += a.total
		sum.done += a.done + a.failed
		sum.failed += a.failed
		sum.bytes += a.bytes
	}
	b.announce(sum.total - sum.done)
	if b.out == nil {
		return
	}
	if b.bar == nil {
		b.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(b.out), progressbar.OptionSetWidth(30),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("listing"))
	}
	if sum.total > 0 {
		b.bar.ChangeMax(max(sum.total, 1))
		b.bar.Describe("delivering, " + humanBytes(sum.bytes))
	} else {
		b.bar.Describe(fmt.Sprintf("listing, %d seen", sum.listed))
	}
	_ = b.bar.Set(min(sum.done, max(sum.total, 1)))
}

// announce gives the estimate once a backfill's size is known, and again where it has doubled.
func (b *bar) announce(documents int) {
	if b.estimate == nil || documents <= 2*b.said {
		return
	}
	b.said = documents
	if d := b.estimate(documents); d >= worthSaying {
		b.print(estimateText(documents, d))
	}
}

// waiting takes the beginning and the end of a wait for the budget.
func (b *bar) waiting(w askara.BudgetWait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !w.Until.IsZero() {
		b.print("Askara's request limit is reached: going on at " + w.Until.Local().Format("15:04:05"))
	}
}

// note tells a person something.
func (b *bar) note(message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.print(message)
}

func (b *bar) print(message string) {
	if b.out == nil {
		b.say(message)
		return
	}
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	fmt.Fprintln(b.out, message)
}

// close takes the bar off the screen. It may be called more than once.
func (b *bar) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Clear()
		_ = b.bar.Exit()
		b.bar = nil
	}
	b.out = nil
}
