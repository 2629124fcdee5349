package sync

import (
	"time"

	"askara-sync/askara"
)

// deliveredNow marks d as durable in the destination.
func (p *pass) deliveredNow(d *askara.Delivery) {
	d.State = askara.Delivered
	if !p.Confirm {
		d.State = askara.Closed
	}
	d.DeliveredAt = time.Now()
	d.Attempts, d.NextAttemptAt, d.Reason = 0, time.Time{}, ""
	p.sum.Delivered++
	p.sum.Bytes += d.Receipt.Size
	p.Logger.Info("document delivered", "document", d.UUID, "revision", d.Revision, "bytes", d.Receipt.Size)
}

// fail writes into d what a failed download or delivery means for it. The caller has already dealt with errors that end the pass.
func (p *pass) fail(d *askara.Delivery, err error) {
	now := time.Now()
	d.State, d.Receipt = askara.Pending, askara.Receipt{}
	d.Reason = reason(err)
	switch askara.FaultOf(err) {
	case askara.FaultNotReady:
		d.NextAttemptAt = now.Add(patience(now.Sub(d.DiscoveredAt)))
		if now.Sub(d.DiscoveredAt) > patienceEnd {
			d.State, d.NextAttemptAt = askara.Parked, time.Time{}
		}
	case askara.FaultPermanent:
		d.Attempts++
		d.State, d.NextAttemptAt = askara.Parked, time.Time{}
	case askara.FaultLimited:
		d.NextAttemptAt = now.Add(backoff(1))
	default:
		d.Attempts++
		d.NextAttemptAt = now.Add(backoff(d.Attempts))
		if d.Attempts >= p.MaxAttempts {
			d.State, d.NextAttemptAt = askara.Parked, time.Time{}
		}
	}
	p.sum.Failed++
	log := p.Logger.With("document", d.UUID, "revision", d.Revision, "attempts", d.Attempts, "error", err)
	if d.State == askara.Parked {
		p.sum.Parked++
		log.Error("document parked", "hint", "`askara-sync retry "+d.UUID+"` tries it again once the cause is mended")
		return
	}
	log.Warn("document failed", "next_attempt_at", d.NextAttemptAt.Format(time.RFC3339))
}

// patienceEnd is the age at which a document that was never ready is given up and a person told.
const patienceEnd = 30 * 24 * time.Hour

// unconfirmed writes into d what a failed confirmation means for it. A delivery is never parked for want of a confirmation: the
// clinic has its document, and Askara is told again and again.
func (p *pass) unconfirmed(d *askara.Delivery, err error) {
	now := time.Now()
	d.Reason = reason(err)
	switch askara.FaultOf(err) {
	case askara.FaultNotReady:
		d.NextAttemptAt = now.Add(patience(now.Sub(d.DeliveredAt)))
	case askara.FaultService, askara.FaultLimited:
		d.NextAttemptAt = now.Add(backoff(1))
	default:
		d.Attempts++
		d.NextAttemptAt = now.Add(backoff(d.Attempts))
	}
	p.sum.Unconfirmed++
	p.Logger.Warn("confirmation failed", "document", d.UUID, "revision", d.Revision, "attempts", d.Attempts,
		"next_attempt_at", d.NextAttemptAt.Format(time.RFC3339), "error", err)
}

// confirmedNow marks d as accepted by Askara.
func (p *pass) confirmedNow(d *askara.Delivery, c askara.Confirmation) {
	if d.State == askara.Parked {
		d.State = askara.Reported
	} else {
		d.State = askara.Confirmed
		d.Reason = ""
		p.sum.Confirmed++
	}
	d.Confirmation = c
	d.NextAttemptAt = time.Time{}
}

// reason is what the ledger keeps of an error: plain words, and not many.
func reason(err error) string {
	const most = 300
	s := []rune(err.Error())
	if len(s) > most {
		return string(s[:most]) + "…"
	}
	return string(s)
}

// outcome is what Askara is told about d.
func outcome(d askara.Delivery) askara.Outcome {
	if d.State == askara.Parked {
		return askara.Outcome{Reason: d.Reason}
	}
	return askara.Outcome{}
}

// verdict is what an error means for the whole pass.
type verdict int

const (
	// goOn: this document's own trouble.
	goOn verdict = iota
	// suspicious: perhaps everybody's trouble; many in a row with no success between end the pass.
	suspicious
	// endPass: everybody's trouble.
	endPass
)

// judge sorts an error of one document by what it means for the others. worked says whether any document has succeeded
// in this pass: a refusal that could be a wrong setting is then this document's own.
func judge(err error, worked bool) verdict {
	switch askara.FaultOf(err) {
	case askara.FaultLogin, askara.FaultDestination:
		return endPass
	case askara.FaultConfiguration:
		if worked {
			return goOn
		}
		return endPass
	case askara.FaultService:
		return suspicious
	}
	return goOn
}
