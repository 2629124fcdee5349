package sink_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/sink"
)

func TestParseInsert(t *testing.T) {
	const ok = ""
	for _, c := range []struct{ kinds, text, want string }{
		{everywhere, "insert into t (a, b) values (:uuid, :content)", ok},
		{everywhere, "INSERT INTO t VALUES (:content);\n ", ok},
		{everywhere, "insert into t (a) select :content where not exists (select 1 from t where a = :uuid)", ok},
		{everywhere, "insert into t values (':uuid', :content, 'it''s :nothing') -- :nothing\n", ok},
		{everywhere, "/* :nothing */ insert into t values (:content)", ok},
		{"postgres sqlite", `insert into "a "":b" values (:content)`, ok},
		{"mysql sqlite", "insert into `a :b` values (:content)", ok},
		{"mysql", `insert into t values (:content, 'a\':b', "c:d\"", 1) # :nothing`, ok},
		{"postgres", `insert into t values (:content::bytea, E'a\':b', $$:b$$, $x$ :c $$ $x$, '{}'::jsonb)`, ok},
		{"postgres", "insert into t values (:content) on conflict (a) do nothing", ok},
		{"postgres", "/* /* :nothing */ :nothing */ insert into t values (:content)", ok},
		{"sqlite", "insert into [a :b] values (:content)", ok},

		{everywhere, "", "empty"},
		{everywhere, ";", "empty"},
		{everywhere, "select :content", "insert into"},
		{everywhere, "delete from t; insert into t values (:content)", "more than one statement"},
		{everywhere, "insert into t values (:content); drop table t", "more than one statement"},
		{everywhere, "insert into t values (:uuid)", ":content"},
		{everywhere, "insert into t values (:contents)", "the nearest is :content"},
		{everywhere, "insert into t values (:content, :patient_lastname)", "the nearest is :patient_last_name"},
		{everywhere, "insert into t values (:content, :xyzzy)", "there are :account"},
		{everywhere, "insert into t values (:content, 'open)", "never closed"},
		{everywhere, "insert into t values (:content /* )", "never closed"},
		{everywhere, "insert or replace into t values (:content)", "overwrite"},
		{everywhere, "replace into t values (:content)", "overwrite"},
		{everywhere, "insert ignore into t values (:content)", "swallow"},
		{everywhere, "insert or ignore into t values (:content)", "swallow"},
		{everywhere, "insert into t values (:content, '\x00')", "NUL"},
		{"mysql sqlite", "insert into t values (:content, ?)", "placeholder"},
		{"postgres sqlite", "insert into t values (:content, $1)", "placeholder"},
		{"mysql", "insert into t values (:content) /*! , 1 */", "executes"},
	} {
		for kind := range strings.FieldsSeq(c.kinds) {
			err := sink.ParseInsert(kind, c.text, sink.ContentInline)
			switch {
			case c.want == ok && err != nil:
				t.Errorf("%s: %q: %v", kind, c.text, err)
			case c.want != ok && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: %q: got %v, want an error with %q", kind, c.text, err, c.want)
			}
		}
	}
	if err := sink.ParseInsert(sink.KindSQLite, "insert into t values (:content)", sink.ContentFile); err == nil {
		t.Error("content = \"file\": :content was accepted")
	}
	if err := sink.ParseInsert(sink.KindSQLite, "insert into t values (:path)", sink.ContentFile); err != nil {
		t.Errorf("content = \"file\": %v", err)
	}
	for text, want := range map[string]bool{"select 1 from t where a = :uuid": true, "select 1": false, "delete from t where a = :uuid": false, "select :content, :uuid": false} {
		if err := sink.ParseExists(sink.KindSQLite, text); (err == nil) != want {
			t.Errorf("exists %q: got %v", text, err)
		}
	}
}

// FuzzParseInsert: whatever is in a statement, reading it ends, and what is accepted goes to the database with nothing but its
// parameters replaced.
func FuzzParseInsert(f *testing.F) {
	for _, kind := range []string{"sqlite", "mysql", "postgres"} {
		b, err := os.ReadFile(filepath.Join("testdata", "practice", kind+".insert.sql"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add(`insert into t values (:content, 'a\':uuid', "b\":uuid", E'\':uuid', $a$:uuid$a$, [a:uuid], x::text, y:=1) -- :uuid`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{sink.KindSQLite, sink.KindPostgres, sink.KindMySQL} {
			back, err := sink.RoundTrip(kind, text)
			if err == nil && back != strings.TrimRight(strings.TrimSpace(text), "; \t\r\n") {
				t.Errorf("%s: %q became %q", kind, text, back)
			}
		}
	})
}

// ownInsertCases are about an integrator's own statement.
func ownInsertCases() []databaseCase {
	create := func(t *testing.T, f *fixture, columns string) {
		t.Helper()
		end := ""
		if f.kind == sink.KindSQLite {
			end = " strict"
		}
		f.exec(t, "create table target ("+columns+")"+end)
		if f.kind == sink.KindPostgres {
			f.exec(t, "grant insert, select on target to clinic")
		}
		f.config.Insert = "insert into target (doc, num, pdf) values (:uuid, :revision, :content)"
		f.seen = "select doc, num, pdf from target"
	}
	blob := func(f *fixture) string {
		return map[string]string{sink.KindSQLite: "blob", sink.KindPostgres: "bytea", sink.KindMySQL: "longblob"}[f.kind]
	}
	text := func(f *fixture) string {
		return map[string]string{sink.KindSQLite: "text", sink.KindPostgres: "varchar(64)", sink.KindMySQL: "varchar(64)"}[f.kind]
	}
	return []databaseCase{
		{name: "no table", run: func(t *testing.T, f *fixture) {
			f.config.Insert = "insert into nowhere (pdf) values (:content)"
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "sink.insert", "nowhere")
		}},
		{name: "no column", run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+", num int, pdf "+blob(f))
			f.config.Insert = "insert into target (doc, name, pdf) values (:uuid, :title, :content)"
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "sink.insert", "name")
		}},
		{name: "no SQL", run: func(t *testing.T, f *fixture) {
			f.config.Insert = "insert into target valeurs (:content)"
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "sink.insert")
		}},
		{name: "unknown parameter", run: func(t *testing.T, f *fixture) {
			f.config.Insert = "insert into target values (:content, :patient_name)"
			_, err := sink.OpenDatabase(t.Context(), f.config)
			wantTrouble(t, err, askara.FaultConfiguration, "sink.insert", ":patient_name")
		}},
		{name: "types do not fit", run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+", num int, pdf "+text(f))
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "sink.insert", ":content", "column pdf")
		}},
		{name: "value refused", kinds: servers, run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+", num int, who varchar(4), born date not null, pdf "+blob(f)+", check (who <> 'no')")
			f.config.Insert = "insert into target (doc, num, who, born, pdf) values (:uuid, :revision, :patient_last_name, :patient_date_of_birth, :content)"
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 6)
			for i, name := range []string{"Du", "SECRET", "no", "Du", "Du"} {
				batch[i].Document.Patient.LastName = name
			}
			batch[3].Document.Patient.DateOfBirth = batch[3].Document.SynchronizedAt // none
			errs := d.Deliver(t.Context(), batch)
			wantTrouble(t, errs[1], askara.FaultPermanent, "column who", "target")
			wantTrouble(t, errs[2], askara.FaultPermanent, "target")
			wantTrouble(t, errs[3], askara.FaultPermanent, "column born", "target")
			f.once(t, onlyDelivered(t, batch, errs, 2))
			batch[1].Document.Patient.LastName = "Du"
			putAll(t, d, batch[1:2])
		}},
		{name: "foreign key", run: func(t *testing.T, f *fixture) {
			f.exec(t, "create table patient (no "+text(f)+" primary key)")
			if f.kind == sink.KindPostgres {
				f.exec(t, "grant all on patient to clinic")
			}
			create(t, f, "doc "+text(f)+", num int, no "+text(f)+", pdf "+blob(f)+", foreign key (no) references patient (no)")
			f.config.Insert = "insert into target (doc, num, no, pdf) values (:uuid, :revision, :patient_external_id, :content)"
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 3)
			for _, err := range d.Deliver(t.Context(), batch) {
				wantTrouble(t, err, askara.FaultDocument, "refers to a row that does not exist")
			}
			f.exec(t, "insert into patient values ('4711')")
			putAll(t, d, batch)
			f.once(t, batch)
		}},
		{name: "unique key of others", run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+" unique, num int, pdf "+blob(f))
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			f.exec(t, "insert into target (doc, num) values ('"+batch[1].UUID+"', 9)")
			errs := d.Deliver(t.Context(), batch)
			wantTrouble(t, errs[1], askara.FaultDocument, "somebody else", "target")
			onlyDelivered(t, batch, errs, 2)
		}},
		{name: "statement says what to do with a key that is there", run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+" unique, num int, pdf "+blob(f))
			if f.kind == sink.KindMySQL {
				f.config.Insert += " on duplicate key update doc = doc"
			} else {
				f.config.Insert += " on conflict do nothing"
			}
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 4)
			f.exec(t, "insert into target (doc, num) values ('"+batch[1].UUID+"', 9)")
			putAll(t, d, batch)
			if n := len(f.documents(t)); n != 3 {
				t.Errorf("%d rows are there, want 3", n)
			}
		}},
		{name: "statement that inserts nothing", run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+", num int, pdf "+blob(f))
			from := ""
			if f.kind == sink.KindMySQL {
				from = " from dual"
			}
			f.config.Insert = "insert into target (doc, num, pdf) select :uuid, 1, :content" + from + " where 1 = 0"
			if f.kind == sink.KindPostgres {
				f.config.Insert = "insert into target (doc, num, pdf) select :uuid, 1, :content::bytea where 1 = 0"
			}
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 2)
			wantTrouble(t, d.Deliver(t.Context(), batch)[0], askara.FaultDocument, "no new row")
			// Nor does the receipt say that it was.
			if s, err := d.Settle(t.Context(), &batch[0]); err != nil || s != askara.SettledStaged {
				t.Errorf("settle: got %v, %v; want staged", s, err)
			}
		}},
		{name: "engine that cannot roll back", kinds: sink.KindMySQL, run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+", num int, pdf "+blob(f))
			f.exec(t, "alter table target engine = MyISAM")
			wantTrouble(t, f.open(t).Prepare(t.Context()), askara.FaultConfiguration, "MyISAM", "target")
		}},
		{name: "column in another encoding", kinds: sink.KindMySQL, run: func(t *testing.T, f *fixture) {
			create(t, f, "doc "+text(f)+", num int, who varchar(40) character set latin1, pdf "+blob(f))
			f.config.Insert = "insert into target (doc, num, who, pdf) values (:uuid, :revision, :patient_last_name, :content)"
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 3)
			batch[0].Document.Patient.LastName = "Été"
			errs := d.Deliver(t.Context(), batch)
			wantTrouble(t, errs[1], askara.FaultPermanent, "encoding", "column who")
			f.once(t, onlyDelivered(t, batch, errs, 1))
		}},
		{name: "the same statement in every type", run: func(t *testing.T, f *fixture) {
			columns := map[string]string{
				sink.KindSQLite:   "a text, b text, c integer, d text, e text, pdf blob",
				sink.KindPostgres: "a uuid, b timestamp, c numeric(12), d text, e integer, pdf bytea",
				sink.KindMySQL:    "a char(36), b timestamp null, c decimal(12), d varchar(40), e int, pdf longblob",
			}[f.kind]
			create(t, f, columns)
			f.config.Insert = "insert into target (a, b, c, d, e, pdf) values (:uuid, :created_at, :size, :updated_at, :patient_external_id, :content)"
			d := f.prepared(t)
			batch := spooledAll(t, d, 1, 2)
			putAll(t, d, batch)
			var b, at string
			var size, no int64
			cast := "text"
			if f.kind == sink.KindMySQL {
				cast = "char"
			}
			if err := f.admin.QueryRow("select cast(b as "+cast+"), c, d, cast(e as decimal(9)) from target where a = '"+batch[0].UUID+"'").Scan(&b, &size, &at, &no); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(b, "10:30:00") || size != batch[0].Receipt.Size || !strings.Contains(at, "10:31:00.123456") || no != 4711 {
				t.Errorf("got %q, %d, %q, %d", b, size, at, no)
			}
		}},
	}
}

func TestOwnInsert(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		for _, c := range ownInsertCases() {
			if c.kinds == "" || strings.Contains(c.kinds, e.kind) {
				t.Run(c.name, func(t *testing.T) { c.run(t, e.fixture(t)) })
			}
		}
	})
}
