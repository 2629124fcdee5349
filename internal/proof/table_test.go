package proof_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"askara-sync/internal/dbtest"
)

// table is a destination in a database, and what a reader finds in it: an administrator's own connections, through no code of the
// program's.
type table struct {
	kind     string // sqlite, postgres or mysql
	dsn      string
	file     bool   // the rows hold paths of files in the folder
	insert   string // the practice system's own statement; "" is our own table
	path     string // of an SQLite file; "" is one in the world's directory
	patience time.Duration

	db *sql.DB
}

// practice is where the example practice system is.
const practice = "../../sink/testdata/practice/"

func practiceFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(practice + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// onServer makes a destination in a database of its own on a server.
func onServer(s *dbtest.Server, kind, database string) *table {
	dsn := s.Database(database)
	if kind == "mysql" { // a user who was made anew has lost the rights of before
		s.Exec("", "grant all on `proof\\_%`.* to 'clinic'@'localhost'")
	}
	return &table{kind: kind, dsn: dsn, db: s.Admin(database)}
}

// withPractice makes the practice system's table and fills it with its statement.
func (b *table) withPractice(t testing.TB) *table {
	t.Helper()
	b.insert = practiceFile(t, b.kind+".insert.sql")
	statements := []string{practiceFile(t, b.kind+".sql")}
	if b.kind == "postgres" {
		statements = append(statements, "grant insert, select on inbox_document to clinic")
	}
	for _, s := range statements {
		if _, err := b.db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// settings is the destination in the configuration.
func (b *table) settings(w *world) string {
	text := fmt.Sprintf("type = %q\nmin_free = \"0\"\n", b.kind)
	if b.kind == "sqlite" {
		if b.path == "" {
			b.path = w.path("documents.db")
		}
		text += fmt.Sprintf("path = %q\n", b.path)
		b.db = openFile(w.t, b.path)
	} else {
		w.write("dsn", b.dsn)
		text += fmt.Sprintf("dsn_file = %q\n", w.path("dsn"))
	}
	if b.file {
		text += fmt.Sprintf("content = \"file\"\nfolder = %q\n", w.path("inbox"))
	}
	if b.insert != "" {
		text += fmt.Sprintf("insert = '''\n%s'''\n", b.insert)
	}
	return text
}

// openFile opens an SQLite file for as long as each look takes.
func openFile(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0)
	t.Cleanup(func() { db.Close() })
	return db
}

// tableRow is one document as a reader of the table finds it.
type tableRow struct {
	uuid     string
	revision int
	sum      [32]byte // of the bytes
	claimed  string   // sha256 as the row has it; "" where the table has no such column
}

// rows reads the table, or a document's rows.
func (b *table) rows(uuid string) ([]tableRow, error) {
	query, key := "select uuid, revision, sha256, content, path from askara_documents", "uuid"
	if b.insert != "" {
		query, key = "select external_ref, version, '', pdf, null from inbox_document", "external_ref"
	}
	if uuid != "" {
		query += " where " + key + " = '" + uuid + "'"
	}
	rows, err := b.db.Query(query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []tableRow
	for rows.Next() {
		var r tableRow
		var content []byte
		var path sql.NullString
		if err := rows.Scan(&r.uuid, &r.revision, &r.claimed, &content, &path); err != nil {
			return nil, err
		}
		if b.file {
			if content, err = os.ReadFile(path.String); err != nil {
				return nil, fmt.Errorf("the file of a row: %w", err)
			}
		}
		r.sum = sha256.Sum256(content)
		all = append(all, r)
	}
	return all, rows.Err()
}

// misses says why the table is not as the ledger says of a delivered revision, "" where it is. Where the database may be killed
// meanwhile it waits for it: a row that was there comes back with it.
func (b *table) misses(uuid string, d ledgerRow) string {
	rows, err := b.rows(uuid)
	for end := time.Now().Add(b.patience); err != nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		rows, err = b.rows(uuid)
	}
	if err != nil {
		return fmt.Sprintf("the table could not be looked at: %v", err)
	}
	for _, r := range rows {
		if r.revision == d.revision && r.sum == d.sum {
			return ""
		}
	}
	return fmt.Sprintf("revision %d has no row", d.revision)
}

// judge holds the rows against what Askara has. v is the folder's verdict, which counts where there are files.
func (b *table) judge(w *world, v verdict) verdict {
	w.t.Helper()
	if !b.file {
		v = verdict{early: v.early, trouble: w.early}
	} else {
		v.documents, v.revisions = 0, 0
	}
	rows, err := b.rows("")
	w.must(err)
	type key struct {
		uuid     string
		revision int
	}
	type bytes struct {
		uuid string
		sum  [32]byte
	}
	keys, sums, left := map[key]int{}, map[bytes]int{}, len(rows)
	for _, r := range rows {
		sums[bytes{r.uuid, r.sum}]++
		if keys[key{r.uuid, r.revision}]++; keys[key{r.uuid, r.revision}] > 1 {
			v.doubled++
			v.say("document %s, revision %d: more than one row", r.uuid, r.revision)
		}
		if r.claimed != "" && r.claimed != hex.EncodeToString(r.sum[:]) {
			v.partial++
			v.say("document %s, revision %d: the row's sha256 is not that of its bytes", r.uuid, r.revision)
		}
	}
	for _, d := range w.server.Documents() {
		v.documents++
		v.revisions += len(d.Checksums)
		for i, sum := range d.Checksums {
			n := sums[bytes{d.UUID, sum}]
			left -= n
			switch {
			case d.Status != "validated":
				v.drafts += n
			case n == 0 && i == len(d.Checksums)-1:
				v.lost++
				v.say("document %s, revision %d of %d: no row", d.UUID, i+1, len(d.Checksums))
			case n > 1:
				v.doubled++
				v.say("document %s, revision %d of %d: %d rows", d.UUID, i+1, len(d.Checksums), n)
			}
		}
		if d.Status == "validated" && !b.file {
			v.confirms(d)
		}
	}
	if left > 0 {
		v.partial += left
		v.say("%d rows are no document of Askara's", left)
	}
	b.checkReceipts(w, len(rows))
	return v
}

// checkReceipts: each row of the practice system's has its receipt, and no receipt is without a row.
func (b *table) checkReceipts(w *world, rows int) {
	w.t.Helper()
	if b.insert == "" {
		return
	}
	var n int
	w.must(b.db.QueryRow("select count(*) from askara_documents_receipt").Scan(&n))
	if n != rows {
		w.t.Errorf("%d rows have %d receipts", rows, n)
	}
}

// lines counts the lines of a log that have all of the words.
func lines(log string, words ...string) (n int) {
	for line := range strings.Lines(log) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			n++
		}
	}
	return n
}
