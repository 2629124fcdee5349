package sink_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"askara-sync/sink"
)

// What others do to the database while a destination uses it.

// foreign puts a row that another program, or another installation, has written.
func (f *fixture) foreign(t *testing.T, uuid string, revision int, content []byte) {
	t.Helper()
	sum := sha256.Sum256(content)
	insert := "insert into askara_documents (account, uuid, revision, sha256, size, metadata, ledger, delivered_at) values "
	at := "'2026-01-01 00:00:00'"
	values := "('default', '" + uuid + "', " + string(rune('0'+revision)) + ", '" + hex.EncodeToString(sum[:]) + "', 5, '{}', 'other', " + at + ")"
	f.exec(t, insert+values)
}

// lock holds the table in another session until release is called, so that no insert can end meanwhile.
func (f *fixture) lock(t *testing.T) (release func()) {
	t.Helper()
	conn, err := f.admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	statements, end := []string{"begin exclusive"}, "rollback"
	switch f.kind {
	case sink.KindPostgres:
		statements = []string{"begin", "lock table askara_documents in exclusive mode"}
	case sink.KindMySQL:
		statements, end = []string{"lock tables askara_documents write"}, "unlock tables"
	}
	for _, s := range statements {
		if _, err := conn.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

// poorUser makes a user who may only connect and returns its connection string.
func (f *fixture) poorUser(t *testing.T) string {
	t.Helper()
	if f.kind == sink.KindPostgres {
		f.exec(t, "create role poor"+f.name+" login password 's3cret'")
		return f.server.DSN("poor"+f.name, "s3cret", "clinic")
	}
	f.exec(t, "create user 'poor"+f.name+"'@'localhost' identified by 's3cret'")
	f.exec(t, "create table unrelated (x int)", "grant select on unrelated to 'poor"+f.name+"'@'localhost'")
	return f.server.DSN("poor"+f.name, "s3cret", "clinic")
}

func (f *fixture) grant(t *testing.T, right string) {
	t.Helper()
	who := "poor" + f.name
	if f.kind == sink.KindMySQL {
		who = "'" + who + "'@'localhost'"
	}
	f.exec(t, "grant "+right+" on askara_documents to "+who)
}

// failTwice makes the first two inserts fail as the victims of a deadlock do.
func (f *fixture) failTwice(t *testing.T) {
	t.Helper()
	if f.kind == sink.KindPostgres {
		f.exec(t, "create sequence tries", "grant all on sequence tries to clinic",
			`create function fail_twice() returns trigger language plpgsql as $$ begin
				if nextval('tries') <= 2 then raise exception 'SECRET' using errcode = '40P01'; end if; return new; end $$`,
			"create trigger fail_twice before insert on askara_documents for each row execute function fail_twice()")
		return
	}
	f.exec(t, "create table tries (n int) engine = Aria transactional = 0", "insert into tries values (0)",
		`create trigger fail_twice before insert on askara_documents for each row begin
			update tries set n = n + 1;
			if (select n from tries) <= 2 then signal sqlstate '40001' set mysql_errno = 1213, message_text = 'SECRET'; end if; end`)
}

// damage changes a byte of a staged file.
func damage(t *testing.T, spool, staged string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(spool, "*", staged))
	if err != nil || len(found) != 1 {
		t.Fatalf("staged file: %v, %v", found, err)
	}
	f, err := os.OpenFile(found[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("!"), 8); err != nil {
		t.Fatal(err)
	}
}
