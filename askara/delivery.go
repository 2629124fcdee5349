package askara

import "time"

// The ledger, the destinations and the pass do not know each other. What they say to one another about a document on its
// way is said in the words of this file.

// Delivery is one revision of one document on its way into the clinic's own system: a row of the ledger.
type Delivery struct {
	ID       int64  // the ledger's row; 0 before it is recorded
	Account  string // the configured account's name
	UUID     string // the document's
	Revision int    // from 1; a document validated again with other bytes gets the next one
	State    DeliveryState

	// Document is what the list last said. It is kept from discovery until the delivery is durable and dropped then, since it
	// holds patient data: in later states only UUID and the dates that tell a change are set.
	Document Document
	// Previous is the checksum of the newest delivered revision before this one; zero where there is none.
	Previous Checksum
	// Receipt is set from Staged on.
	Receipt Receipt

	// Backfill marks work that waits behind fresh documents.
	Backfill bool
	// Attempts counts failures of the present step (downloading, then confirming) that were this document's own.
	Attempts int
	// NextAttemptAt is when the row is due again; zero means now.
	NextAttemptAt time.Time
	// Reason says in plain words, without patient data, why the last attempt failed; "" after a success.
	Reason string
	// DiscoveredAt and DeliveredAt are on this machine's clock.
	DiscoveredAt, DeliveredAt time.Time
	// Confirmation is what Askara answered to the confirmation, so that our own confirmation does not look like a change.
	Confirmation Confirmation
}

// DeliveryState is how far a delivery has come. The numbers are stored: they never change meaning.
type DeliveryState int

const (
	// Pending is known and not yet on this machine.
	Pending DeliveryState = 1
	// Staged is whole and durable in staging; whether it has been moved into place is settled by looking.
	Staged DeliveryState = 2
	// Delivered is durable in the destination; Askara has not been told.
	Delivered DeliveryState = 3
	// Confirmed is Delivered, and Askara has accepted the confirmation.
	Confirmed DeliveryState = 4
	// Parked has been given up until a person acts; Askara has not been told.
	Parked DeliveryState = 5
	// Reported is Parked, and Askara has been told that the import failed.
	Reported DeliveryState = 6
	// Closed is Delivered where confirming is switched off: nothing is left to do.
	Closed DeliveryState = 7
	// Unchanged is never stored: saving a delivery in this state removes its row and folds its dates into the revision
	// before it, since the document came again with the same bytes.
	Unchanged DeliveryState = 8
)

// String returns the state's name in lower case.
func (s DeliveryState) String() string {
	switch s {
	case Pending:
		return "pending"
	case Staged:
		return "staged"
	case Delivered:
		return "delivered"
	case Confirmed:
		return "confirmed"
	case Parked:
		return "parked"
	case Reported:
		return "reported"
	case Closed:
		return "closed"
	case Unchanged:
		return "unchanged"
	}
	return "unknown"
}

// Checksum is a SHA-256 of a document's bytes; the zero value means that there is none.
type Checksum [32]byte

// Receipt says what a destination made of a document.
type Receipt struct {
	// Staged is the name of the file in staging, without a directory; "" where the destination has none.
	Staged string
	// Name is the final name: a file's name without a directory, or "" for a row in a table.
	Name string
	// Size is in bytes.
	Size   int64
	SHA256 Checksum
}

// Settlement is what looking at the destination told of a staged delivery after an interruption.
type Settlement int

const (
	// SettledDelivered: the destination has, or has had, the document.
	SettledDelivered Settlement = iota + 1
	// SettledStaged: it is whole in staging and not delivered; deliver it.
	SettledStaged
	// SettledLost: neither staged nor delivered, or there is doubt that a loss would be worse than; download it again.
	SettledLost
)

// Outcome is what Askara is told about a document: success where Reason is "", otherwise a failure with a reason that
// holds no patient data.
type Outcome struct{ Reason string }

// Confirmation is Askara's answer to an Outcome.
type Confirmation struct {
	// UpdatedAt is the document's updatedAt in the answer; zero where the answer had none.
	UpdatedAt time.Time
	// Order is the document's value of the contract's order_field in the answer; zero where it had none.
	Order time.Time
}

// Cursor is how far an account's lists have been read.
type Cursor struct {
	// At is the highest Order that is recorded; zero before the first.
	At time.Time
	// WalkedAt is when, on this machine's clock, everything behind At was last looked at in full.
	WalkedAt time.Time
	// PageSize is the longest page that this server ever answered; 0 before the first.
	PageSize int
	// Pages is how many pages the last full look took.
	Pages int
	// Unordered says that the server was seen to ignore order or bound, so that every page is read.
	Unordered bool
}

// Sighting is one document at one place in a list: enough to recognise it when nothing has changed.
type Sighting struct {
	UUID  string
	Order time.Time
}

// Listing is what one page of a list adds. It is recorded in one transaction, or not at all.
type Listing struct {
	Account string
	// Siblings are other accounts with the same destination: a document that one of them has a row for in the same
	// version is theirs to deliver, and counts as known.
	Siblings []string
	// Documents holds everything on the page that has a uuid; the ledger makes rows of those that are Ready and new or changed.
	Documents []Document
	// BackfillBefore: documents whose Order is before it, and those of a backfill, wait behind fresh ones.
	BackfillBefore time.Time
	// Cursor replaces the account's cursor; nil leaves it.
	Cursor *Cursor
	// WindowFrom: sightings before it are forgotten; zero keeps all.
	WindowFrom time.Time
	// Backfill is the range whose progress this page moves; nil for the regular walk.
	Backfill *Backfill
	// At is now, on this machine's clock.
	At time.Time
}

// Recorded counts what recording a Listing did.
type Recorded struct {
	New     int // rows made: documents never seen, and new revisions
	Known   int // documents that needed nothing
	Waiting int // not Ready yet
}

// Backfill is a range of time that a person asked for, kept until it is walked to its end.
type Backfill struct {
	ID      int64
	Account string
	// Since and Until bound Order: Since <= Order < Until. A zero Until is open.
	Since, Until time.Time
	// At is how far it has been walked; zero before the first page.
	At   time.Time
	Done bool
}

// Pass is the record of one pass of one account.
type Pass struct {
	ID                int64
	Account           string
	StartedAt         time.Time
	Duration          time.Duration
	Listed, Delivered int
	Already, Failed   int
	Parked            int
	Confirmed         int
	Unconfirmed       int
	Requests          int64
	Bytes             int64
	Error             string // plain words, without patient data; "" after a success
}
