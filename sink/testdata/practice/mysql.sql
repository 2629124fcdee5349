-- The inbox of an example practice system. Nothing in it was made for askara-sync.
create table inbox_document (
  id           bigint auto_increment primary key,
  external_ref varchar(64) not null,
  version      int not null,
  patient_no   varchar(20),
  patient_name varchar(120),
  born         date,
  title        varchar(200),
  received_at  datetime not null,
  pdf          longblob not null
) engine = InnoDB default character set = utf8mb4;
