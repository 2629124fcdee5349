CREATE TABLE account (
	id integer primary key,
	name text not null unique
) strict;
CREATE TABLE archive (                  -- what is finished: appended to, looked up by uuid, never walked
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
CREATE UNIQUE INDEX archive_uuid on archive (account, uuid, revision);
CREATE TABLE backfill (
	id integer primary key autoincrement,
	account integer not null references account,
	since_us integer,
	until_us integer,
	at_us integer,
	done integer not null
) strict;
CREATE TABLE budget (
	id integer primary key check (id = 1),
	state text not null             -- JSON
) strict;
CREATE TABLE cursor (
	account integer primary key references account,
	at_us integer,                  -- highest order that is recorded
	walked_at integer,              -- when everything behind it was last looked at
	page_size integer not null,     -- longest page that the server ever answered
	pages integer not null,
	unordered integer not null
) strict;
CREATE TABLE day (                      -- how many were delivered on a local day
	account integer not null references account,
	day integer not null,           -- 20260131
	delivered integer not null,
	primary key (account, day)
) strict, without rowid;
CREATE TABLE delivery (                 -- what is on its way, or stuck there
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
CREATE INDEX delivery_due on delivery (account, state, backfill, next_attempt_at, id);
CREATE UNIQUE INDEX delivery_uuid on delivery (account, uuid, revision);
CREATE TABLE ledger (
	id integer primary key check (id = 1),
	uuid text not null,             -- binds staging areas to this ledger
	created_at integer not null
) strict;
CREATE TABLE login (
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
CREATE TABLE metadata (                 -- the document as listed, until it is delivered: patient data
	id integer primary key references delivery on delete cascade,
	raw blob not null
) strict;
CREATE TABLE note (
	key text primary key,
	value text not null
) strict;
CREATE TABLE pass (
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
CREATE INDEX pass_account on pass (account, id);
CREATE TABLE sighting (                 -- what is listed lately, and where
	account integer not null references account,
	uuid any not null,              -- 16 bytes where spelled as usual, else text
	order_us integer not null,
	primary key (account, uuid)
) strict, without rowid;
CREATE INDEX sighting_order on sighting (account, order_us, uuid);
CREATE TABLE sqlite_sequence(name,seq);
CREATE TABLE tally (                    -- how many rows there are, so that nobody counts them
	account integer not null references account,
	state integer not null,
	count integer not null,
	primary key (account, state)
) strict, without rowid;
