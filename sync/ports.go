package sync

import (
	"context"
	"io"
	"time"

	"askara-sync/askara"
)

// Source is Askara as a pass needs it.
type Source interface {
	// List returns one page.
	List(ctx context.Context, q askara.Query) (askara.Page, error)
	// Download opens the document's PDF; the caller closes it.
	Download(ctx context.Context, d askara.Document) (*askara.Content, error)
	// Confirm tells Askara what became of the document.
	Confirm(ctx context.Context, uuid string, o askara.Outcome) (askara.Confirmation, error)
}

// Catalog is the ledger's side of discovery.
type Catalog interface {
	Cursor(ctx context.Context, account string) (askara.Cursor, error)
	// Record makes rows of what is new on a page and moves the cursor, in one durable transaction.
	Record(ctx context.Context, l askara.Listing) (askara.Recorded, error)
	// Window returns what is known to be listed from since on, by Order, then UUID.
	Window(ctx context.Context, account string, since time.Time) ([]askara.Sighting, error)
}

// Queue is the ledger's side of delivery and confirmation.
type Queue interface {
	// Due returns up to limit deliveries of the account in one of the states that are due at now: fresh ones first, then the
	// oldest row first.
	Due(ctx context.Context, account string, now time.Time, limit int, states ...askara.DeliveryState) ([]askara.Delivery, error)
	// Save writes a batch in one durable transaction: on return it survives a power cut.
	Save(ctx context.Context, batch []askara.Delivery) error
	// Waiting counts rows of the account in the states, due or not.
	Waiting(ctx context.Context, account string, states ...askara.DeliveryState) (int, error)
}

// Requests is the ledger's side of what a person asked for, and of the record of passes.
type Requests interface {
	// Backfills returns the account's ranges that are not walked to their end.
	Backfills(ctx context.Context, account string) ([]askara.Backfill, error)
	// AddBackfill records a range durably and returns it with its ID.
	AddBackfill(ctx context.Context, b askara.Backfill) (askara.Backfill, error)
	// SavePass records a pass: inserted where ID is 0, replaced otherwise. Returns it with its ID.
	SavePass(ctx context.Context, p askara.Pass) (askara.Pass, error)
}

// Staging is where a destination keeps documents that no importer sees yet.
type Staging interface {
	// Prepare makes sure that the destination is there and is the one it was; an error is a FaultDestination or a
	// FaultConfiguration and nothing was touched.
	Prepare(ctx context.Context) error
	// Stage reads body to its end into staging, checks it (size is its announced length, -1 where unknown) and makes the
	// file itself durable. It is safe for concurrent use and leaves nothing behind on an error.
	Stage(ctx context.Context, d askara.Delivery, body io.Reader, size int64) (askara.Receipt, error)
	// Sweep removes what earlier runs left in the account's staging and is not in keep.
	Sweep(ctx context.Context, account string, keep []askara.Receipt) error
}

// Destination is where documents go.
type Destination interface {
	// Flush makes the staging directory's entries of the batch durable.
	Flush(ctx context.Context, batch []askara.Delivery) error
	// Deliver moves the staged batch into place and makes that durable. It returns an error for each delivery, nil for those that
	// are delivered; a delivery whose final name had to change has its Receipt.Name updated in place.
	Deliver(ctx context.Context, batch []askara.Delivery) []error
	// Settle looks at what an interrupted delivery left. The delivery's Receipt.Name may be updated in place.
	Settle(ctx context.Context, d *askara.Delivery) (askara.Settlement, error)
}
