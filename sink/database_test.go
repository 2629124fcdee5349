package sink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/internal/dbtest"
	"askara-sync/sink"
	askarasync "askara-sync/sync"

	_ "modernc.org/sqlite"
)

// destination is what the promises are made of.
type destination interface {
	askarasync.Staging
	askarasync.Destination
	Verify(ctx context.Context, d askara.Delivery) (sink.Verdict, error)
}

// kindFolder is the destination that is no database.
const kindFolder = "folder"

// engine is a kind of destination that a test can have to itself.
type engine struct {
	kind   string
	server *dbtest.Server // nil for SQLite and the folder
	count  int
}

// eachEngine runs a test against every kind of database. SQLite is always there, the servers where real ones are asked for.
func eachEngine(t *testing.T, fn func(t *testing.T, e *engine)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, &engine{kind: sink.KindSQLite}) })
	eachServer(t, fn)
}

// eachServer runs a test against the databases that have a server.
func eachServer(t *testing.T, fn func(t *testing.T, e *engine)) {
	t.Run("postgres", func(t *testing.T) { fn(t, &engine{kind: sink.KindPostgres, server: dbtest.Postgres(t)}) })
	t.Run("mysql", func(t *testing.T) { fn(t, &engine{kind: sink.KindMySQL, server: dbtest.MariaDB(t)}) })
}

// fixture is an empty database and the configuration of a destination in it.
type fixture struct {
	*engine
	name   string
	config sink.DatabaseConfig
	// admin sees and changes everything.
	admin *sql.DB
	// seen reads what a reader of the database finds: uuid, revision and content or, with files, path.
	seen  string
	files bool
	// folder is where files go, for the folder and with content = "file".
	folder sink.FolderConfig
}

func (e *engine) fixture(t testing.TB) *fixture {
	t.Helper()
	e.count++
	f := &fixture{engine: e, name: fmt.Sprintf("clinic%d", e.count)}
	f.config = sink.DatabaseConfig{Type: e.kind, Spool: filepath.Join(t.TempDir(), "spool"), LedgerID: "ledger-1", Timeout: 20 * time.Second}
	f.folder = sink.FolderConfig{Path: filepath.Join(t.TempDir(), "inbox"), LedgerID: "ledger-1", Notebook: &notes{}, Location: time.UTC}
	if e.kind == kindFolder {
		return f
	}
	if e.server == nil {
		f.config.Path = filepath.Join(t.TempDir(), "documents 100%?#.db")
		u := url.URL{Scheme: "file", Path: f.config.Path, RawQuery: "_pragma=busy_timeout(5000)"}
		db, err := sql.Open("sqlite", u.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		f.admin = db
	} else {
		f.config.DSN = askara.Secret(e.server.Database("clinic"))
		f.admin = e.server.Admin("clinic")
	}
	f.admin.SetMaxIdleConns(0)
	f.seen = "select uuid, revision, content from askara_documents"
	return f
}

func (f *fixture) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := f.admin.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// practice makes the example practice system's table and configures the insert statement into it.
func (f *fixture) practice(t *testing.T) {
	t.Helper()
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join("testdata", "practice", f.kind+name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	f.exec(t, read(".sql"))
	if f.kind == sink.KindPostgres {
		f.exec(t, "grant insert, select on inbox_document to clinic")
	}
	f.config.Insert = read(".insert.sql")
	f.seen = "select external_ref, version, pdf from inbox_document"
}

// withFiles lets the row hold the path of a file.
func (f *fixture) withFiles() {
	f.config.Content, f.files = sink.ContentFile, true
	f.seen = "select uuid, revision, path from askara_documents"
}

// open opens the database, as after a start of the program.
func (f *fixture) open(t testing.TB) *sink.Database {
	t.Helper()
	if f.files {
		f.config.Folder = open(t, f.folder)
	}
	d, err := sink.OpenDatabase(t.Context(), f.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// start opens and prepares the destination, as after a start of the program.
func (f *fixture) start(t *testing.T) destination {
	t.Helper()
	if f.kind == kindFolder {
		return open(t, f.folder)
	}
	return f.prepared(t)
}

func (f *fixture) prepared(t testing.TB) *sink.Database {
	t.Helper()
	d := f.open(t)
	if err := d.Prepare(t.Context()); err != nil {
		t.Fatalf("prepare: %v (hint: %s)", err, askara.HintOf(err))
	}
	return d
}

// content is a document's PDF, different for every uuid and revision.
// large is the revision whose documents are so large that a few are worth a transaction.
const large = 9

func pdfOf(uuid string, revision int) []byte {
	lines := 20
	if revision == large {
		lines = 14_000
	}
	return []byte("%PDF-1.7\n" + strings.Repeat(fmt.Sprintf("%s %d \x00\xff\\'\"\n", uuid, revision), lines))
}

func delivery(n int) askara.Delivery {
	uuid := fmt.Sprintf("0192f0c1-0000-7000-8000-%012d", n)
	raw, _ := json.Marshal(map[string]any{"uuid": uuid, "title": "Ordonnance"})
	return askara.Delivery{
		ID: int64(n), Account: "default", UUID: uuid, Revision: 1, State: askara.Staged,
		Document: askara.Document{
			UUID: uuid, Title: "Ordonnance", Type: "prescription", Status: "validated",
			CreatedAt: time.Date(2026, 2, 24, 10, 30, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 2, 24, 10, 31, 0, 123456000, time.UTC),
			Patient: askara.Patient{UUID: "p-1", FirstName: "Zoë", LastName: "D'Été 🩺", DateOfBirth: time.Date(1934, 5, 6, 0, 0, 0, 0, time.UTC), ExternalID: "4711"},
			User:    askara.User{UUID: "u-1", FirstName: "Jeanne", LastName: "Müller", RPPS: "10001234567"},
			Raw:     raw,
		},
	}
}

// stage downloads the delivery's document into staging.
func spooled(t *testing.T, d destination, dl askara.Delivery) askara.Delivery {
	t.Helper()
	b := pdfOf(dl.UUID, dl.Revision)
	r, err := d.Stage(t.Context(), dl, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	dl.Receipt = r
	return dl
}

func spooledAll(t *testing.T, d destination, from, to int) []askara.Delivery {
	t.Helper()
	var batch []askara.Delivery
	for n := from; n < to; n++ {
		batch = append(batch, spooled(t, d, delivery(n)))
	}
	return batch
}

// deliver delivers a batch of which every document must get through.
func putAll(t *testing.T, d destination, batch []askara.Delivery) {
	t.Helper()
	if err := d.Flush(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for i, err := range d.Deliver(t.Context(), batch) {
		if err != nil {
			t.Fatalf("deliver %s: %v (hint: %s)", batch[i].UUID, err, askara.HintOf(err))
		}
	}
}

type place struct {
	uuid     string
	revision int
}

// documents reads what is in the destination: every row's checksum, so that a double shows.
func (f *fixture) documents(t *testing.T) map[place][]string {
	t.Helper()
	if f.kind == kindFolder {
		return f.inFolder(t)
	}
	rows, err := f.admin.QueryContext(context.WithoutCancel(t.Context()), f.seen)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := map[place][]string{}
	for rows.Next() {
		var p place
		var b []byte
		if err := rows.Scan(&p.uuid, &p.revision, &b); err != nil {
			t.Fatal(err)
		}
		if f.files {
			if b, err = os.ReadFile(string(b)); err != nil {
				t.Errorf("the file of a row: %v", err)
			}
		}
		sum := sha256.Sum256(b)
		got[p] = append(got[p], hex.EncodeToString(sum[:]))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

// inFolder reads what is in the folder. The documents say themselves which they are.
func (f *fixture) inFolder(t *testing.T) map[place][]string {
	t.Helper()
	got := map[place][]string{}
	for _, name := range list(t, f.folder.Path) {
		b, err := os.ReadFile(filepath.Join(f.folder.Path, name))
		if err != nil {
			t.Fatal(err)
		}
		var p place
		if _, err := fmt.Sscanf(string(b), "%%PDF-1.7\n%s %d", &p.uuid, &p.revision); err != nil {
			t.Errorf("a file in the folder is none of ours: %v", err)
		}
		sum := sha256.Sum256(b)
		got[p] = append(got[p], hex.EncodeToString(sum[:]))
	}
	return got
}

// once fails unless exactly these deliveries are there, each once and whole.
func (f *fixture) once(t *testing.T, batch []askara.Delivery) {
	t.Helper()
	got := f.documents(t)
	if len(got) != len(batch) {
		t.Errorf("%d documents are there, want %d", len(got), len(batch))
	}
	for _, dl := range batch {
		sum := sha256.Sum256(pdfOf(dl.UUID, dl.Revision))
		sums := got[place{dl.UUID, dl.Revision}]
		if len(sums) != 1 {
			t.Errorf("%s revision %d is there %d times, want once", dl.UUID, dl.Revision, len(sums))
		} else if sums[0] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s revision %d has other content", dl.UUID, dl.Revision)
		}
	}
}

// resume does what a pass does after a start with what an earlier one left staged. It returns what the destination refused.
func resume(ctx context.Context, d destination, batch []askara.Delivery) (left []askara.Delivery, err error) {
	var staged []askara.Delivery
	for _, dl := range batch {
		switch s, err := d.Settle(ctx, &dl); {
		case err != nil:
			return batch, err
		case s == askara.SettledLost:
			b := pdfOf(dl.UUID, dl.Revision)
			if dl.Receipt, err = d.Stage(ctx, dl, bytes.NewReader(b), int64(len(b))); err != nil {
				return batch, err
			}
			staged = append(staged, dl)
		case s == askara.SettledStaged:
			staged = append(staged, dl)
		}
	}
	if err := d.Flush(ctx, staged); err != nil {
		return batch, err
	}
	for i, derr := range d.Deliver(ctx, staged) {
		if derr != nil {
			left, err = append(left, staged[i]), derr
		}
	}
	return left, err
}

// TestDestinations keeps every promise in every destination and every way to put a row.
func TestDestinations(t *testing.T) {
	run := func(t *testing.T, e *engine) {
		for _, v := range variants() {
			if v.kinds != "" && !strings.Contains(v.kinds, e.kind) {
				continue
			}
			t.Run(v.name, func(t *testing.T) {
				for _, p := range promises() {
					if p.kinds != "" && !strings.Contains(p.kinds, e.kind) {
						continue
					}
					t.Run(p.name, func(t *testing.T) {
						f := e.fixture(t)
						v.run(t, f)
						p.run(t, f)
					})
				}
			})
		}
	}
	t.Run("folder", func(t *testing.T) { run(t, &engine{kind: kindFolder}) })
	eachEngine(t, run)
}

type databaseCase struct {
	name  string
	kinds string // of destination that it is about; "" is about all
	run   func(t *testing.T, f *fixture)
}

// variants are the ways in which a document can be put; each keeps every promise.
func variants() []databaseCase {
	return []databaseCase{
		{name: "as it is", run: func(*testing.T, *fixture) {}},
		{name: "own insert", kinds: everywhere, run: func(t *testing.T, f *fixture) { f.practice(t) }},
		{name: "own insert with exists", kinds: everywhere, run: func(t *testing.T, f *fixture) {
			f.practice(t)
			f.config.Exists = "select 1 from inbox_document where external_ref = :uuid and version = :revision"
		}},
		{name: "file and row", kinds: everywhere, run: func(_ *testing.T, f *fixture) { f.withFiles() }},
	}
}

// promises are what every variant of every destination keeps.
func promises() []databaseCase {
	return []databaseCase{
		{name: "delivers once", run: func(t *testing.T, f *fixture) {
			d := f.start(t)
			batch := spooledAll(t, d, 1, 11)
			f.once(t, nil)
			putAll(t, d, batch)
			f.once(t, batch)
			for i := range batch {
				if got, err := d.Verify(t.Context(), batch[i]); err != nil || got != sink.Fine {
					t.Errorf("verify: got %v, %v; want fine", got, err)
				}
			}
		}},
		{name: "delivers again what is there", kinds: everywhere, run: func(t *testing.T, f *fixture) {
			d := f.start(t)
			putAll(t, d, spooledAll(t, d, 1, 6))
			// The answer was lost, the ledger's memory too, and everything was downloaded again with new documents among it.
			d = f.start(t)
			batch := spooledAll(t, d, 1, 9)
			putAll(t, d, batch)
			f.once(t, batch)
		}},
		{name: "goes on after every interruption", run: func(t *testing.T, f *fixture) {
			d := f.start(t)
			batch := spooledAll(t, d, 1, 9)
			if err := d.Flush(t.Context(), batch[2:]); err != nil {
				t.Fatal(err)
			}
			putAll(t, d, batch[4:]) // and the ledger never learned of it
			lost := batch[1]
			for range 3 { // however often that is interrupted in its turn
				d = f.start(t)
				if left, err := resume(t.Context(), d, batch); err != nil || len(left) > 0 {
					t.Fatalf("resume: %d left, %v", len(left), err)
				}
				f.once(t, batch)
			}
			if s, err := d.Settle(t.Context(), &lost); err != nil || s != askara.SettledDelivered {
				t.Errorf("settle: got %v, %v; want delivered", s, err)
			}
		}},
		{name: "sweeps what belongs to nothing", run: func(t *testing.T, f *fixture) {
			d := f.start(t)
			batch := spooledAll(t, d, 1, 5)
			d = f.start(t)
			if err := d.Sweep(t.Context(), "default", []askara.Receipt{batch[1].Receipt}); err != nil {
				t.Fatal(err)
			}
			if s, err := d.Settle(t.Context(), &batch[1]); err != nil || s != askara.SettledStaged {
				t.Errorf("settle what was kept: got %v, %v; want staged", s, err)
			}
			putAll(t, d, batch[1:2])
			f.once(t, batch[1:2])
		}},
		{name: "takes revisions", run: func(t *testing.T, f *fixture) {
			d := f.start(t)
			first, second := delivery(1), delivery(1)
			second.Revision = 2
			batch := []askara.Delivery{spooled(t, d, first), spooled(t, d, second)}
			putAll(t, d, batch)
			f.once(t, batch)
		}},
		{name: "refuses what is not a whole PDF", run: func(t *testing.T, f *fixture) {
			d := f.start(t)
			for _, body := range []string{"", "<html>", "%PDF-1.7 short"} {
				_, err := d.Stage(t.Context(), delivery(1), strings.NewReader(body), 100)
				wantTrouble(t, err, askara.FaultDocument)
			}
			f.once(t, nil)
		}},
	}
}
