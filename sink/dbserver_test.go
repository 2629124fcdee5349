package sink_test

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/internal/dbtest"
	"askara-sync/sink"
)

// serverFaultCases are what goes wrong with the database as a whole: its file, its server, the way there.
func serverFaultCases() []databaseCase {
	return []databaseCase{
		ofKind(sink.KindSQLite, "file is taken away during a commit", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			reader, err := f.admin.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			for _, s := range []string{"begin", "select count(*) from askara_documents"} {
				if _, err := reader.ExecContext(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			result := make(chan []error)
			go func() { result <- d.Deliver(t.Context(), batch) }()
			for { // until the rows are written and only the commit waits for the reader
				if st, err := os.Stat(f.config.Path + "-journal"); err == nil && st.Size() > 0 {
					break
				}
				runtime.Gosched()
			}
			if err := os.Rename(f.config.Path, f.config.Path+".taken"); err != nil {
				t.Fatal(err)
			}
			if _, err := reader.ExecContext(t.Context(), "rollback"); err != nil {
				t.Fatal(err)
			}
			for i, err := range <-result {
				if err == nil {
					t.Errorf("document %d is in a file that nobody sees, and called delivered", i)
				}
			}
			if err := os.Rename(f.config.Path+".taken", f.config.Path); err != nil {
				t.Fatal(err)
			}
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(servers, "rights", func(t *testing.T, f *fixture) {
			full := f.config.DSN
			f.config.DSN = askara.Secret(f.poorUser(t))
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultDestination, "askara_documents", "GRANT INSERT, SELECT")

			poor := f.config.DSN
			f.config.DSN = full
			f.prepared(t)
			f.config.DSN = poor
			f.grant(t, "select")
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultDestination, "GRANT INSERT ON askara_documents TO")
			f.grant(t, "insert")
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			putAll(t, d, batch)
			batch = spooledAll(t, d, 1, 6)
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(servers, "deadlock", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			f.failTwice(t)
			batch := spooledAll(t, d, 1, 4)
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(servers, "commit is lost", func(t *testing.T, f *fixture) {
			p := f.server.Proxy(t)
			f.config.DSN = askara.Secret(p.DSN(f.config.DSN.Reveal()))
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			p.Cut(dbtest.CutBefore)
			for _, err := range d.Deliver(t.Context(), batch) {
				wantTrouble(t, err, askara.FaultDestination, "connection")
			}
			f.once(t, nil)
			for i := range batch {
				if s, err := d.Settle(t.Context(), &batch[i]); err != nil || s != askara.SettledStaged {
					t.Errorf("settle: got %v, %v; want staged", s, err)
				}
			}
			p.Cut(dbtest.CutAfter)
			putAll(t, d, batch)
			f.once(t, batch)
			if p.Cuts() != 2 {
				t.Errorf("the connection was cut %d times, want 2", p.Cuts())
			}
		}),
		ofKind(servers, "one of two commits is lost", func(t *testing.T, f *fixture) {
			p := f.server.Proxy(t)
			f.config.DSN = askara.Secret(p.DSN(f.config.DSN.Reveal()))
			d := f.prepared(t)
			batch := make([]askara.Delivery, 6)
			for i := range batch {
				batch[i] = delivery(i)
				batch[i].Revision = large
				batch[i] = spooled(t, d, batch[i])
			}
			for _, cut := range []dbtest.Cut{dbtest.CutBefore, dbtest.CutAfter} {
				p.Cut(cut)
				var there, left []askara.Delivery
				for i, err := range d.Deliver(t.Context(), batch) {
					if err == nil {
						there = append(there, batch[i])
						continue
					}
					wantTrouble(t, err, askara.FaultDestination, "connection")
					left = append(left, batch[i])
				}
				want := len(batch)
				if cut == dbtest.CutBefore {
					want = len(batch) / 2 // the other transaction has nothing to do with it
				}
				if len(there) != want {
					t.Errorf("%d of %d documents are delivered, want %d", len(there), len(batch), want)
				}
				f.once(t, there)
				for i := range left {
					if s, err := d.Settle(t.Context(), &left[i]); err != nil || s != askara.SettledStaged {
						t.Errorf("settle: got %v, %v; want staged", s, err)
					}
				}
				putAll(t, d, left)
				f.once(t, batch)
				for i := range batch { // and all of another list
					batch[i] = delivery(len(batch) + i)
					batch[i].Revision = large
					batch[i] = spooled(t, d, batch[i])
				}
				f.exec(t, "delete from askara_documents")
			}
			if p.Cuts() != 2 {
				t.Errorf("the connection was cut %d times, want 2", p.Cuts())
			}
		}),
		ofKind(servers, "server down", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			f.server.Kill()
			for _, err := range d.Deliver(t.Context(), batch) {
				wantTrouble(t, err, askara.FaultDestination)
			}
			wantTrouble(t, d.Prepare(t.Context()), askara.FaultDestination, "cannot be reached")
			_, err := d.Settle(t.Context(), &batch[0])
			wantTrouble(t, err, askara.FaultDestination)
			if _, err := sink.OpenDatabase(t.Context(), f.config); err != nil {
				t.Errorf("open while the server is down: %v", err)
			}
			f.server.Start()
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(servers, "wrong password", func(t *testing.T, f *fixture) {
			f.config.DSN = askara.Secret(f.server.DSN("stranger", "SECRET", "clinic"))
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultDestination)
		}),
		ofKind(sink.KindSQLite, "file is removed and replaced", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			if err := os.Rename(f.config.Path, f.config.Path+".old"); err != nil {
				t.Fatal(err)
			}
			for _, err := range d.Deliver(t.Context(), batch) {
				wantTrouble(t, err, askara.FaultDestination)
			}
			if err := d.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(sink.KindSQLite, "not a database", func(t *testing.T, f *fixture) {
			if err := os.WriteFile(f.config.Path, []byte(strings.Repeat("SECRET", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultDestination, "not a whole SQLite database")
		}),
		ofKind(sink.KindSQLite, "the ledger's own file", func(t *testing.T, f *fixture) {
			f.config.Ledger = f.config.Path
			_, err := sink.OpenDatabase(t.Context(), f.config)
			wantTrouble(t, err, askara.FaultConfiguration, "own database")
		}),
		ofKind(sink.KindMySQL, "larger than a packet", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			_, err := stageLarge(t, d, delivery(1), 17<<20)
			wantTrouble(t, err, askara.FaultPermanent, "max_allowed_packet")
			large, err := stageLarge(t, d, delivery(2), 15<<20)
			if err != nil {
				t.Fatal(err)
			}
			putAll(t, d, []askara.Delivery{large})
		}),
		ofKind(sink.KindPostgres, "streams large documents", func(t *testing.T, f *fixture) {
			const size = 48 << 20
			d := f.prepared(t)
			large, err := stageLarge(t, d, delivery(1), size)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			putAll(t, d, []askara.Delivery{large})
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > size/2 {
				t.Errorf("delivering %d bytes allocated %d", size, got)
			}
			if got, err := d.Verify(t.Context(), large); err != nil || got != sink.Fine {
				t.Errorf("verify: got %v, %v", got, err)
			}
			var title, created, born string
			err = f.admin.QueryRow("select title, created_at::text, patient_date_of_birth::text from askara_documents where metadata->>'title' = 'Ordonnance'").Scan(&title, &created, &born)
			if err != nil || title != "Ordonnance" || created != "2026-02-24 10:30:00+00" || born != "1934-05-06" {
				t.Errorf("got %q, %q, %q, %v", title, created, born, err)
			}
			// Again, as after a lost answer; and a damaged one, which must not arrive in part.
			again, _ := stageLarge(t, d, delivery(1), size)
			putAll(t, d, []askara.Delivery{again})
			bad, _ := stageLarge(t, d, delivery(2), size)
			damage(t, f.config.Spool, bad.Receipt.Staged)
			wantTrouble(t, d.Deliver(t.Context(), []askara.Delivery{bad})[0], askara.FaultDocument, "damaged")
			if n := len(f.documents(t)); n != 1 {
				t.Errorf("%d documents are there, want 1", n)
			}
		}),
		ofKind(sink.KindPostgres, "encodings", func(t *testing.T, f *fixture) {
			for _, c := range []struct {
				encoding, name string
				want           askara.Fault
			}{{"LATIN1", "é", 0}, {"LATIN1", "🩺", askara.FaultPermanent}, {"SQL_ASCII", "e", 0}, {"SQL_ASCII", "é", askara.FaultPermanent}} {
				f.server.Exec("postgres", "drop database if exists "+f.name+"b",
					"create database "+f.name+"b owner clinic template template0 encoding '"+c.encoding+"' locale 'C'")
				g := *f
				g.config.DSN = askara.Secret(f.server.DSN("clinic", "s3cret", f.name+"b"))
				d := g.prepared(t)
				dl := delivery(1)
				dl.Document.Patient, dl.Document.User = askara.Patient{LastName: c.name}, askara.User{}
				dl = spooled(t, d, dl)
				err := d.Deliver(t.Context(), []askara.Delivery{dl})[0]
				if c.want == 0 && err != nil {
					t.Errorf("%s %s: %v", c.encoding, c.name, err)
				} else if c.want != 0 {
					wantTrouble(t, err, c.want, "encoding")
				}
				d.Close()
			}
		}),
	}
}

// stageLarge stages a document of the given size.
func stageLarge(t *testing.T, d destination, dl askara.Delivery, size int) (askara.Delivery, error) {
	t.Helper()
	b := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte{0, 0xff, '\\', 'x'}, size/4)...)[:size]
	var err error
	dl.Receipt, err = d.Stage(t.Context(), dl, bytes.NewReader(b), int64(size))
	return dl, err
}
