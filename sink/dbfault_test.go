package sink_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
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
	}
}

func TestDatabaseFaults(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		for _, c := range slices.Concat(faultCases(), serverFaultCases()) {
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
