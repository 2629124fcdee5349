package sync

import (
	"log/slog"
	"time"

	"askara-sync/askara"
)

// reminder is how often a trouble that lasts is logged again.
const reminder = time.Hour

// Outage keeps a lasting trouble from filling the log: one line when it starts, one an hour while it lasts, one when it ends. It
// is not safe for concurrent use.
type Outage struct {
	// What names what is in trouble, as a constant log message: "pass failing".
	What   string
	Logger *slog.Logger

	since, logged time.Time
	fault         askara.Fault
	times         int
}

// Report takes the outcome of one more try; nil ends the trouble.
func (o *Outage) Report(err error) {
	now := time.Now()
	if err == nil {
		if !o.since.IsZero() {
			o.Logger.Info(o.What+": recovered", "after", now.Sub(o.since).Round(time.Second), "failures", o.times)
			*o = Outage{What: o.What, Logger: o.Logger}
		}
		return
	}
	fault := askara.FaultOf(err)
	if o.since.IsZero() {
		o.since = now
	}
	o.times++
	if fault == o.fault && !o.logged.IsZero() && now.Sub(o.logged) < reminder {
		o.Logger.Debug(o.What, "error", err)
		return
	}
	log := o.Logger.Warn
	if fault == askara.FaultLogin || fault == askara.FaultConfiguration || fault == askara.FaultUnexpected {
		log = o.Logger.Error // a person must act
	}
	attrs := []any{"error", err, "since", o.since.Format(time.RFC3339), "failures", o.times}
	if hint := askara.HintOf(err); hint != "" {
		attrs = append(attrs, "hint", hint)
	}
	log(o.What, attrs...)
	o.logged, o.fault = now, fault
}

// Since returns when the trouble began; zero where there is none.
func (o *Outage) Since() time.Time { return o.since }
