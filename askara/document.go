package askara

import (
	"encoding/json"
	"time"
)

// Document is a medical document as Askara's list or a single answer shows it. Only UUID may be relied on; every other
// field may be zero. A time that was absent or unreadable is the zero time.
type Document struct {
	UUID        string
	Title       string
	Type        string
	Status      string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ValidatedAt time.Time

	SynchronizationStatus string
	SynchronizedAt        time.Time

	Patient      Patient
	User         User
	Organization Organization

	// Order is the value of the contract's order_field, by which lists are walked: UpdatedAt unless configured otherwise.
	Order time.Time
	// Ready says that the document may be delivered: its status is one of the contract's ready_status, or it has none.
	Ready bool
	// Link is where the document itself says its PDF is, "" where it does not.
	Link string
	// Raw is the object as it came, compacted, for sidecars and metadata columns. It holds patient data.
	Raw json.RawMessage
}

// Patient is whom a document is about. Where Askara sent only a reference, UUID alone is set.
type Patient struct {
	UUID, FirstName, LastName, Gender, ExternalID string
	// DateOfBirth is a calendar date at midnight UTC.
	DateOfBirth time.Time
}

// User is the practitioner who wrote a document. Where Askara sent only a reference, UUID alone is set.
type User struct {
	UUID, FirstName, LastName, RPPS string
}

// Organization is the clinic a document belongs to.
type Organization struct {
	UUID, Name string
}
