-- The inbox of an example practice system. Nothing in it was made for askara-sync.
create table inbox_document (
  id           bigint generated always as identity primary key,
  external_ref varchar(64) not null,
  version      integer not null,
  patient_no   varchar(20),
  patient_name varchar(120),
  born         date,
  title        varchar(200),
  received_at  timestamptz not null,
  pdf          bytea not null
);
