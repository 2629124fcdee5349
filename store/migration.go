package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// applicationID marks the file as a ledger of askara-sync in its header: "ASKR".
const applicationID = 0x41534b52

// migrations is the list of all schemas: entry n brings version n to n+1. It is only ever appended to.
var migrations = []string{schema1}

// schema1 is frozen. Every column of a finished document counts: there is a row for every document that was ever delivered.
const schema1 = `
create table ledger (
	id integer primary key check (id = 1),
	uuid text not null,             -- binds staging areas to this ledger
	created_at integer not null
) strict;

create table account (
	id integer primary key,
	name text not null unique
) strict;

create table cursor (
	account integer primary key references account,
	at_us integer,                  -- highest order that is recorded
	walked_at integer,              -- when everything behind it was last looked at
	page_size integer not null,     -- longest page that the server ever answered
	pages integer not null,
	unordered integer not null
) strict;

create table sighting (                 -- what is listed lately, and where
	account integer not null references account,
	uuid any not null,              -- 16 bytes where spelled as usual, else text
	order_us integer not null,
	primary key (account, uuid)
) strict, without rowid;
create index sighting_order on sighting (account, order_us, uuid);

create table delivery (                 -- what is on its way, or stuck there
	id integer primary key,
	account integer not null references account,
	uuid any not null,
	revision integer not null,
	state integer not null,         -- askara.DeliveryState
	backfill integer not null,
	next_attempt_at integer not null, -- 0: now
	attempts integer not null,
	reason text,
	order_us integer,
	updated_us integer,
	validated_us integer,
	confirmed_order_us integer,     -- of Askara's answer to our confirmation
	confirmed_updated_us integer,
	staged text,
	name text,
	size integer,
	sha256 blob,
	discovered_at integer,
	delivered_at integer
) strict;
create unique index delivery_uuid on delivery (account, uuid, revision);
create index delivery_due on delivery (account, state, backfill, next_attempt_at, id);

create table metadata (                 -- the document as listed, until it is delivered: patient data
	id integer primary key references delivery on delete cascade,
	raw blob not null
) strict;

create table archive (                  -- what is finished: appended to, looked up by uuid, never walked
	id integer primary key,
	account integer not null references account,
	uuid any not null,
	revision integer not null,
	state integer not null,
	order_us integer,
	updated_us integer,             -- null: as order_us
	validated_us integer,
	confirmed_order_us integer,     -- null: as confirmed_updated_us
	confirmed_updated_us integer,
	name text,
	size integer,
	sha256 blob,
	discovered_at integer,
	delivered_at integer
) strict;
create unique index archive_uuid on archive (account, uuid, revision);

create table tally (                    -- how many rows there are, so that nobody counts them
	account integer not null references account,
	state integer not null,
	count integer not null,
	primary key (account, state)
) strict, without rowid;

create table day (                      -- how many were delivered on a local day
	account integer not null references account,
	day integer not null,           -- 20260131
	delivered integer not null,
	primary key (account, day)
) strict, without rowid;

create table backfill (
	id integer primary key autoincrement,
	account integer not null references account,
	since_us integer,
	until_us integer,
	at_us integer,
	done integer not null
) strict;

create table pass (
	id integer primary key autoincrement,
	account integer not null references account,
	started_at integer,
	duration_us integer not null,
	listed integer not null,
	delivered integer not null,
	already integer not null,
	failed integer not null,
	parked integer not null,
	confirmed integer not null,
	unconfirmed integer not null,
	requests integer not null,
	bytes integer not null,
	error text
) strict;
create index pass_account on pass (account, id);

create table login (
	account integer primary key references account,
	state text not null,            -- askara.LoginState
	reason text,
	generation integer not null,
	person text,
	obtained_at integer,
	access_expires_at integer,
	refresh_expires_at integer,
	intent_at integer,
	lost_at integer,
	tries integer not null,
	retry_at integer,
	access blob,                    -- sealed
	refresh blob,                   -- sealed
	key text                        -- names the key that sealed them
) strict;

create table budget (
	id integer primary key check (id = 1),
	state text not null             -- JSON
) strict;

create table note (
	key text primary key,
	value text not null
) strict;
`

// migrate brings the schema up to date, each step in one transaction with the number that counts it. A step that changes a table which a
// repair copies has to teach the repair to read older backups.
func migrate(ctx context.Context, w *writer, version int) error {
	for ; version < len(migrations); version++ {
		err := w.update(ctx, "migrate ledger", func(ctx context.Context, t *tx) error {
			if _, err := t.w.conn.ExecContext(ctx, migrations[version]); err != nil {
				return err
			}
			if version == 0 {
				if _, err := t.exec(ctx, `insert into ledger (id, uuid, created_at) values (1, ?, ?)`, newID(), time.Now().UnixMilli()); err != nil {
					return err
				}
			}
			_, err := t.w.conn.ExecContext(ctx, fmt.Sprintf("pragma application_id = %d; pragma user_version = %d", applicationID, version+1))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// newID returns a random uuid.
func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fromKey(b)
}

// SchemaVersion is the newest schema that this program reads, for the packages: the number that a ledger has in its header.
func SchemaVersion() int { return len(migrations) }
