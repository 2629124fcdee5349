pragma application_id = 1095977810;
pragma user_version = 1;
begin;
CREATE TABLE ledger (
	id integer primary key check (id = 1),
	uuid text not null,             -- binds staging areas to this ledger
	created_at integer not null
) strict;
CREATE TABLE account (
	id integer primary key,
	name text not null unique
) strict;
CREATE TABLE cursor (
	account integer primary key references account,
	at_us integer,                  -- highest order that is recorded
	walked_at integer,              -- when everything behind it was last looked at
	page_size integer not null,     -- longest page that the server ever answered
	pages integer not null,
	unordered integer not null
) strict;
CREATE TABLE sighting (                 -- what is listed lately, and where
	account integer not null references account,
	uuid any not null,              -- 16 bytes where spelled as usual, else text
	order_us integer not null,
	primary key (account, uuid)
) strict, without rowid;
CREATE INDEX sighting_order on sighting (account, order_us, uuid);
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
CREATE UNIQUE INDEX delivery_uuid on delivery (account, uuid, revision);
CREATE INDEX delivery_due on delivery (account, state, backfill, next_attempt_at, id);
CREATE TABLE metadata (                 -- the document as listed, until it is delivered: patient data
	id integer primary key references delivery on delete cascade,
	raw blob not null
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
CREATE TABLE tally (                    -- how many rows there are, so that nobody counts them
	account integer not null references account,
	state integer not null,
	count integer not null,
	primary key (account, state)
) strict, without rowid;
CREATE TABLE day (                      -- how many were delivered on a local day
	account integer not null references account,
	day integer not null,           -- 20260131
	delivered integer not null,
	primary key (account, day)
) strict, without rowid;
CREATE TABLE backfill (
	id integer primary key autoincrement,
	account integer not null references account,
	since_us integer,
	until_us integer,
	at_us integer,
	done integer not null
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
CREATE TABLE budget (
	id integer primary key check (id = 1),
	state text not null             -- JSON
) strict;
CREATE TABLE note (
	key text primary key,
	value text not null
) strict;
insert into ledger (id, uuid, created_at) values (1, '6ba7b810-9dad-41d1-80b4-00c04fd430c8', 1772000000000);
insert into account (id, name) values (1, 'default');
insert into cursor (account, at_us, walked_at, page_size, pages, unordered) values (1, 1771929000123456, 1772006400000, 100, 2, 0);
insert into sighting (account, uuid, order_us) values (1, x'018f0000000040008000000000000002', 1771929002123456);
insert into sighting (account, uuid, order_us) values (1, x'018f0000000040008000000000000003', 1771929003123456);
insert into sighting (account, uuid, order_us) values (1, x'018f0000000040008000000000000004', 1771929004123456);
insert into sighting (account, uuid, order_us) values (1, x'018f0000000040008000000000000001', 1772006400000000);
insert into delivery (id, account, uuid, revision, state, backfill, next_attempt_at, attempts, reason, order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us, staged, name, size, sha256, discovered_at, delivered_at) values (2, 1, x'018f0000000040008000000000000002', 1, 3, 0, 0, 0, null, 1771929002123456, 1771929002123456, 1771929002123456, null, null, 'a.part', '2026-02-24_Ordonnance.pdf', 1234, x'0102030000000000000000000000000000000000000000000000000000000000', 1772006400000, 1772006400000);
insert into delivery (id, account, uuid, revision, state, backfill, next_attempt_at, attempts, reason, order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us, staged, name, size, sha256, discovered_at, delivered_at) values (3, 1, x'018f0000000040008000000000000003', 1, 1, 0, 0, 0, null, 1771929003123456, 1771929003123456, 1771929003123456, null, null, null, null, null, null, 1772006400000, null);
insert into delivery (id, account, uuid, revision, state, backfill, next_attempt_at, attempts, reason, order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us, staged, name, size, sha256, discovered_at, delivered_at) values (4, 1, x'018f0000000040008000000000000004', 1, 5, 0, 0, 10, 'not a PDF', 1771929004123456, 1771929004123456, 1771929004123456, null, null, null, null, null, null, 1772006400000, null);
insert into metadata (id, raw) values (3, x'7b227469746c65223a224f72646f6e6e616e6365222c2275756964223a2230313866303030302d303030302d343030302d383030302d303030303030303030303033227d');
insert into metadata (id, raw) values (4, x'7b227469746c65223a224f72646f6e6e616e6365222c2275756964223a2230313866303030302d303030302d343030302d383030302d303030303030303030303034227d');
insert into archive (id, account, uuid, revision, state, order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us, name, size, sha256, discovered_at, delivered_at) values (1, 1, x'018f0000000040008000000000000001', 1, 4, 1771929001123456, null, 1771929001123456, null, 1772006400000000, '2026-02-24_Ordonnance.pdf', 1234, x'0102030000000000000000000000000000000000000000000000000000000000', 1772006400000, 1772006400000);
insert into tally (account, state, count) values (1, 1, 1);
insert into tally (account, state, count) values (1, 3, 1);
insert into tally (account, state, count) values (1, 4, 1);
insert into tally (account, state, count) values (1, 5, 1);
insert into day (account, day, delivered) values (1, 20260225, 2);
insert into pass (id, account, started_at, duration_us, listed, delivered, already, failed, parked, confirmed, unconfirmed, requests, bytes, error) values (1, 1, 1772006400000, 1500000, 4, 2, 0, 0, 1, 0, 0, 0, 0, null);
insert into login (account, state, reason, generation, person, obtained_at, access_expires_at, refresh_expires_at, intent_at, lost_at, tries, retry_at, access, refresh, key) values (1, 'required', 'gone', 0, null, null, null, null, null, null, 0, null, null, null, null);
insert into note (key, value) values ('marker', 'here');
commit;
