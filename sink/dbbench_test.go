package sink_test

import (
	"bytes"
	"database/sql"
	"testing"

	"askara-sync/askara"
	"askara-sync/internal/dbtest"
	"askara-sync/sink"
)

// BenchmarkDatabase delivers documents of 200 KiB in batches of 64, staging included, beside a plain loop that inserts the same
// bytes with nothing around it: one row, one commit.
func BenchmarkDatabase(b *testing.B) {
	body := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("askara\x00\xff"), 25<<10)...)
	for _, e := range []struct {
		kind string
		open func(testing.TB) *dbtest.Server
	}{{sink.KindSQLite, nil}, {sink.KindPostgres, dbtest.Postgres}, {sink.KindMySQL, dbtest.MariaDB}} {
		b.Run(e.kind, func(b *testing.B) {
			en := &engine{kind: e.kind}
			if e.open != nil {
				en.server = e.open(b)
			}
			b.Run("plain", func(b *testing.B) { benchPlain(b, en, body) })
			b.Run("delivered", func(b *testing.B) { benchDelivered(b, en, body) })
		})
	}
}

func benchPlain(b *testing.B, e *engine, body []byte) {
	f := e.fixture(b)
	create := map[string]string{
		sink.KindSQLite:   "create table plain (uuid text primary key, content blob)",
		sink.KindPostgres: "create table plain (uuid text primary key, content bytea)",
		sink.KindMySQL:    "create table plain (uuid varchar(64) primary key, content longblob)",
	}[e.kind]
	insert := "insert into plain values (?, ?)"
	if e.kind == sink.KindPostgres {
		insert = "insert into plain values ($1, $2)"
	}
	f.admin.SetMaxIdleConns(1)
	f.exec(b, "drop table if exists plain", create)
	if e.kind == sink.KindSQLite {
		f.exec(b, "pragma synchronous = extra")
	}
	b.SetBytes(int64(len(body)))
	for n := 0; b.Loop(); n++ {
		if err := plainInsert(b, f.admin, insert, uuidOf(n), body); err != nil {
			b.Fatal(err)
		}
	}
}

func plainInsert(b *testing.B, db *sql.DB, insert, uuid string, body []byte) error {
	_, err := db.ExecContext(b.Context(), insert, uuid, body)
	return err
}

func benchDelivered(b *testing.B, e *engine, body []byte) {
	f := e.fixture(b)
	d := f.prepared(b)
	b.SetBytes(int64(len(body)))
	var batch []askara.Delivery
	flush := func() {
		for _, err := range d.Deliver(b.Context(), batch) {
			if err != nil {
				b.Fatal(err)
			}
		}
		batch = batch[:0]
	}
	for n := 0; b.Loop(); n++ {
		dl := delivery(n)
		var err error
		if dl.Receipt, err = d.Stage(b.Context(), dl, bytes.NewReader(body), int64(len(body))); err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, dl); len(batch) == 64 {
			flush()
		}
	}
	flush()
}
