-- The inbox of an example practice system. Nothing in it was made for askara-sync.
create table inbox_document (
  id           integer primary key,
  external_ref text not null,
  version      integer not null,
  patient_no   text,
  patient_name text,
  born         text,
  title        text,
  received_at  text not null,
  pdf          blob not null
);
