package askara

import "errors"

// Fault sorts every error by what is to be done about it. The pass acts on the Fault and never on an error's text.
type Fault int

const (
	// FaultUnexpected: a bug or a broken machine; the pass ends with exit code 1.
	FaultUnexpected Fault = iota
	// FaultService: Askara or the way to it is in trouble (no connection, 5xx). It is not the document's fault: tried again
	// later, and many in a row end the pass.
	FaultService
	// FaultLimited: the budget is spent (429); wait for the reset.
	FaultLimited
	// FaultNotReady: the document is not ready yet; patience, and it does not count against the document.
	FaultNotReady
	// FaultDocument: this document is bad or refused; it counts, and after max_attempts it is parked.
	FaultDocument
	// FaultPermanent: this document cannot succeed until a person changes something; parked at once.
	FaultPermanent
	// FaultDestination: the folder or the database is in trouble (full, missing, read-only, down). No document is to blame; the
	// pass of the account ends and everything waits.
	FaultDestination
	// FaultLogin: a person must log in; exit code 77.
	FaultLogin
	// FaultConfiguration: a setting is wrong; exit code 78.
	FaultConfiguration
)

// faulty is an error that knows its Fault: askara.Error, and the errors of ledger and destinations.
type faulty interface {
	error
	Fault() Fault
}

// FaultOf returns the Fault of the outermost error in err's tree that has one, FaultUnexpected where none has.
func FaultOf(err error) Fault {
	if f, ok := errors.AsType[faulty](err); ok {
		return f.Fault()
	}
	return FaultUnexpected
}

// hinted is an error that knows its remedy.
type hinted interface {
	error
	Hint() string
}

// HintOf returns what a person can do about err: the hint of the outermost error that has one, "" where none has.
func HintOf(err error) string {
	if h, ok := errors.AsType[hinted](err); ok {
		return h.Hint()
	}
	return ""
}
