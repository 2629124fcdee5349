package sink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/internal/dbtest"
	"askara-sync/sink"
)

// temporary is what t.TempDir puts into a path: digits by chance, which may be those of a patient.
var temporary = regexp.MustCompile(`[0-9]+/[0-9]{3}/`)

// wantTrouble fails unless err has the fault and says the words, and fails where it says anything of the patient.
func wantTrouble(t *testing.T, err error, want askara.Fault, words ...string) {
	t.Helper()
	if err == nil || askara.FaultOf(err) != want {
		t.Fatalf("got error %v with fault %v, want fault %v", err, askara.FaultOf(err), want)
	}
	all := err.Error() + " " + askara.HintOf(err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		all += " " + fmt.Sprintf("%+v", e)
	}
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("error %q (hint %q) does not say %q", err, askara.HintOf(err), w)
		}
	}
	all = temporary.ReplaceAllString(all, "")
	for _, secret := range []string{"Ordonnance", "Zo", "D'", "Müller", "Jeanne", "4711", "1934", "s3cret", "SECRET"} {
		if strings.Contains(all, secret) {
			t.Errorf("error %q (hint %q) tells %q", err, askara.HintOf(err), secret)
		}
	}
}

func ofKind(kinds string, name string, run func(t *testing.T, f *fixture)) databaseCase {
	return databaseCase{name: name, kinds: kinds, run: run}
}

const (
	everywhere = "sqlite postgres mysql"
	servers    = "postgres mysql"
)

// faultCases are what goes wrong with the table and with single documents.
func faultCases() []databaseCase {
	return []databaseCase{
		ofKind(everywhere, "column missing", func(t *testing.T, f *fixture) {
			f.prepared(t)
			f.exec(t, "alter table askara_documents rename column patient_last_name to nom")
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "askara_documents", "patient_last_name")
		}),
		ofKind(everywhere, "column vanishes while running", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 3)
			f.exec(t, "alter table askara_documents rename column patient_last_name to nom")
			for _, err := range d.Deliver(t.Context(), batch) {
				wantTrouble(t, err, askara.FaultDestination)
			}
			f.exec(t, "alter table askara_documents rename column nom to patient_last_name")
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(everywhere, "table vanishes while running", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 3)
			f.exec(t, "alter table askara_documents rename to elsewhere")
			for _, err := range d.Deliver(t.Context(), batch) {
				wantTrouble(t, err, askara.FaultDestination, "askara_documents")
			}
			f.exec(t, "alter table elsewhere rename to askara_documents")
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(everywhere, "no unique key", func(t *testing.T, f *fixture) {
			f.prepared(t)
			f.exec(t, "alter table askara_documents rename to keyed", "create table askara_documents as select * from keyed")
			if f.kind == sink.KindPostgres {
				f.exec(t, "grant insert, select on askara_documents to clinic")
			}
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "unique key over uuid, revision")
		}),
		ofKind(servers, "newer layout", func(t *testing.T, f *fixture) {
			f.prepared(t)
			statement := "comment on table askara_documents is 'askara-sync documents, layout 9'"
			if f.kind == sink.KindMySQL {
				statement = "alter table askara_documents comment = 'askara-sync documents, layout 9'"
			}
			f.exec(t, statement)
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "layout 9")
		}),
		ofKind(everywhere, "column of others", func(t *testing.T, f *fixture) {
			f.prepared(t)
			f.exec(t, "alter table askara_documents add column imported integer default 0")
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 3)
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(servers, "too long", func(t *testing.T, f *fixture) {
			f.prepared(t)
			statement := "alter table askara_documents alter column title type varchar(20)"
			if f.kind == sink.KindMySQL {
				statement = "alter table askara_documents modify title varchar(20)"
			}
			f.exec(t, statement)
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 6)
			batch[2].Document.Title = "SECRET " + strings.Repeat("é", 20)
			errs := d.Deliver(t.Context(), batch)
			wantTrouble(t, errs[2], askara.FaultPermanent, "title", "askara_documents")
			f.once(t, onlyDelivered(t, batch, errs, 4))
		}),
		ofKind(everywhere, "written by somebody else", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 6)
			f.foreign(t, batch[1].UUID, 1, []byte("other"))
			b := pdfOf(batch[3].UUID, 1)
			f.foreign(t, batch[3].UUID, 7, b) // the same document under another revision
			f.foreign(t, batch[3].UUID, 1, []byte("other"))
			errs := d.Deliver(t.Context(), batch)
			wantTrouble(t, errs[1], askara.FaultDocument, "somebody else", "askara_documents")
			for _, i := range []int{0, 2, 3, 4} {
				if errs[i] != nil {
					t.Errorf("document %d: %v", i, errs[i])
				}
			}
			if s, err := d.Settle(t.Context(), &batch[1]); err != nil || s != askara.SettledStaged {
				t.Errorf("settle the other's: got %v, %v; want staged", s, err)
			}
		}),
		ofKind(everywhere, "hostile text", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			dl := delivery(1)
			title := "a\x00b'); drop table askara_documents; --\\'\"`%s{}\r\n\t‮🩺e\u0301\xff"
			dl.Document.Title = title
			dl.Document.Patient.LastName = strings.Repeat("\\", 99)
			dl.Document.Raw = json.RawMessage(`{"a\u0000":"\u0000\ud800 \\u0000","n":1e999999,"m":` + strings.Repeat("9", 500) +
				`,"deep":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`)
			dl = spooled(t, d, dl)
			putAll(t, d, []askara.Delivery{dl})
			var got, name, metadata string
			if err := f.admin.QueryRow("select title, patient_last_name, metadata from askara_documents").Scan(&got, &name, &metadata); err != nil {
				t.Fatal(err)
			}
			if want := strings.ReplaceAll(strings.ToValidUTF8(title, "\uFFFD"), "\x00", ""); got != want {
				t.Errorf("title: got %q, want %q", got, want)
			}
			if name != dl.Document.Patient.LastName {
				t.Errorf("name: got %q", name)
			}
			var m map[string]any
			if err := json.Unmarshal([]byte(metadata), &m); err != nil || m["a"] != "\uFFFD \\u0000" {
				t.Errorf("metadata: got %q, %v", metadata, err)
			}
		}),
		ofKind(everywhere, "values arrive as they are", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			dl := spooled(t, d, delivery(1))
			putAll(t, d, []askara.Delivery{dl})
			var created, updated, born, sum, ledger string
			var validated *string
			var size int64
			cast := "text"
			if f.kind == sink.KindMySQL {
				cast = "char"
			}
			err := f.admin.QueryRow("select cast(created_at as "+cast+"), cast(updated_at as "+cast+"), cast(patient_date_of_birth as "+cast+
				"), validated_at, sha256, size, ledger from askara_documents").Scan(&created, &updated, &born, &validated, &sum, &size, &ledger)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][3]string{
				sink.KindSQLite:   {"2026-02-24T10:30:00.000000Z", "2026-02-24T10:31:00.123456Z", "1934-05-06"},
				sink.KindPostgres: {"2026-02-24 10:30:00+00", "2026-02-24 10:31:00.123456+00", "1934-05-06"},
				sink.KindMySQL:    {"2026-02-24 10:30:00.000000", "2026-02-24 10:31:00.123456", "1934-05-06"},
			}[f.kind]
			if got := [3]string{created, updated, born}; got != want {
				t.Errorf("dates: got %q, want %q", got, want)
			}
			b := sha256.Sum256(pdfOf(dl.UUID, 1))
			if validated != nil || sum != hex.EncodeToString(b[:]) || size != dl.Receipt.Size || ledger != "ledger-1" {
				t.Errorf("got validated %v, checksum %s, size %d, ledger %q", validated, sum, size, ledger)
			}
		}),
		ofKind(everywhere, "verifies", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 5)
			putAll(t, d, batch)
			f.exec(t, "update askara_documents set content = null where uuid = '"+batch[1].UUID+"'",
				"delete from askara_documents where uuid = '"+batch[2].UUID+"'",
				"update askara_documents set sha256 = 'x' where uuid = '"+batch[3].UUID+"'")
			for i, want := range []sink.Verdict{sink.Fine, sink.Changed, sink.Missing, sink.Changed} {
				if got, err := d.Verify(t.Context(), batch[i]); err != nil || got != want {
					t.Errorf("verify %d: got %v, %v; want %v", i, got, err, want)
				}
			}
		}),
		ofKind(everywhere, "staged file damaged", func(t *testing.T, f *fixture) {
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			damage(t, f.config.Spool, batch[1].Receipt.Staged)
			if s, err := d.Settle(t.Context(), &batch[1]); err != nil || s != askara.SettledLost {
				t.Errorf("settle: got %v, %v; want lost", s, err)
			}
			errs := d.Deliver(t.Context(), batch)
			wantTrouble(t, errs[1], askara.FaultDocument, "damaged")
			f.once(t, onlyDelivered(t, batch, errs, 2))
		}),
		ofKind(everywhere, "locked by another session", func(t *testing.T, f *fixture) {
			f.config.Timeout = time.Second
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			release := f.lock(t)
			for _, err := range d.Deliver(t.Context(), batch) {
				wantTrouble(t, err, askara.FaultDestination)
			}
			release()
			putAll(t, d, batch)
			f.once(t, batch)
		}),
		ofKind(everywhere, "stopped while it waits", func(t *testing.T, f *fixture) {
			f.config.Timeout = time.Hour // a stop that is not heard never ends
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			release := f.lock(t)
			ctx, cancel := context.WithCancel(t.Context())
			stop := time.AfterFunc(100*time.Millisecond, cancel) // whenever it comes, it comes before the lock is released
			defer stop.Stop()
			for _, err := range d.Deliver(ctx, batch) {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want the cancellation", err)
				}
			}
			release()
			f.once(t, nil)
			putAll(t, d, batch)
			f.once(t, batch)
		}),
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

func TestDatabaseFaults(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		for _, c := range faultCases() {
			if strings.Contains(c.kinds, e.kind) {
				t.Run(c.name, func(t *testing.T) { c.run(t, e.fixture(t)) })
			}
		}
	})
}

// onlyDelivered returns what was delivered, and fails unless that is as much as it should be.
func onlyDelivered(t *testing.T, batch []askara.Delivery, errs []error, want int) []askara.Delivery {
	t.Helper()
	var out []askara.Delivery
	for i, err := range errs {
		if err == nil {
			out = append(out, batch[i])
		}
	}
	if len(out) != want {
		t.Errorf("%d documents were delivered, want %d: %v", len(out), want, errs)
	}
	return out
}

// stageLarge stages a document of the given size.
func stageLarge(t *testing.T, d destination, dl askara.Delivery, size int) (askara.Delivery, error) {
	t.Helper()
	b := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte{0, 0xff, '\\', 'x'}, size/4)...)[:size]
	var err error
	dl.Receipt, err = d.Stage(t.Context(), dl, bytes.NewReader(b), int64(size))
	return dl, err
}
