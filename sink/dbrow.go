package sink

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"path/filepath"
	"time"
	"unicode/utf8"

	"askara-sync/askara"
)

// txn is one transaction on one connection, with the statements that are prepared in it.
type txn struct {
	conn     *sql.Conn
	tx       *sql.Tx
	prepared map[*statement]*sql.Stmt
	// streaming says that content was handed to the database in parts, so that a damaged file has ended the transaction.
	streaming bool
}

func (d *Database) begin(ctx context.Context) (*txn, error) {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &txn{conn: conn, tx: tx, prepared: map[*statement]*sql.Stmt{}}, nil
}

// close rolls back what is not committed.
func (t *txn) close() {
	_ = t.tx.Rollback()
	_ = t.conn.Close()
}

// row is the delivery as statements see it.
func (d *Database) row(dl *askara.Delivery) row {
	r := row{d: dl, ledger: d.config.LedgerID, at: time.Now()}
	if d.spool == nil {
		r.path = filepath.Join(d.config.Folder.path, dl.Receipt.Name)
	}
	return r
}

// args are the bound values of a statement.
func (d *Database) args(s *statement, r row, content []byte) []any {
	args := make([]any, len(s.params))
	for i, p := range s.params {
		switch {
		case p.kind != bytesValue:
			args[i] = d.dialect.bind(p.kind, r.value(p.name))
		case content != nil:
			args[i] = content
		}
	}
	return args
}

// exec runs a statement and returns how many rows it put. With our own tables a key that is there is no error.
func (d *Database) exec(ctx context.Context, t *txn, s *statement, r row, content []byte, f *facts) (int64, troubleKind, error) {
	stmt, ok := t.prepared[s]
	var err error
	if !ok {
		if stmt, err = t.tx.PrepareContext(ctx, s.render(d.dialect)); err == nil {
			t.prepared[s] = stmt
		}
	}
	var n int64
	if err == nil {
		var result sql.Result
		if result, err = stmt.ExecContext(ctx, d.args(s, r, content)...); err == nil {
			n, err = result.RowsAffected()
		}
	}
	if err == nil {
		return n, troubleOther, nil
	}
	trouble := d.dialect.diagnose(err)
	if s == d.proof {
		if trouble.kind == troubleDuplicate {
			return 0, troubleOther, nil
		}
		if !d.proofOnly && trouble.table == "" {
			trouble.table = d.proofTable.String()
		}
	}
	if trouble.kind == troubleTooLong && trouble.column == "" {
		trouble.column = tooLong(s, r, f.limits)
	}
	return 0, trouble.kind, d.explain("insert documents", trouble, false)
}

// tooLong finds the column whose value is longer than it, where the database does not say; "" where none is.
func tooLong(s *statement, r row, limits map[string]int64) string {
	for i, p := range s.params {
		limit, ok := limits[s.columns[i]]
		if text, isText := r.value(p.name).(string); ok && isText && s.direct[i] && int64(utf8.RuneCountInString(text)) > limit {
			return s.columns[i]
		}
	}
	return ""
}

// columnOf is the column that the n-th parameter of the document's statement is for; "" where that is not plain.
func (d *Database) columnOf(n int) string { return d.insert.columns[n] }

// asciiOnly refuses a row that a database without an encoding would store as bytes that others read as something else.
func (d *Database) asciiOnly(r row) error {
	for i, p := range d.insert.params {
		text, ok := r.value(p.name).(string)
		for j := range len(text) {
			if ok && text[j] >= utf8.RuneSelf {
				return d.explain("insert documents", trouble{kind: troubleEncoding, column: d.insert.columns[i], note: "SQL_ASCII"}, false)
			}
		}
	}
	return nil
}

// plain diagnoses and explains an error that no particular document caused.
func (d *Database) plain(op string, err error) (troubleKind, error) {
	if err == nil {
		return troubleOther, nil
	}
	if errors.Is(err, sql.ErrTxDone) {
		err = errors.Join(err, context.DeadlineExceeded) // database/sql has rolled back when the context ended
	}
	t := d.dialect.diagnose(err)
	if t.kind == troubleOther {
		// Without a statement of a document's own there is nobody to blame but the database.
		return t.kind, dbError(op, askara.FaultDestination, "look at the database's own log", "%s failed (%s)", d, orWord(t.code))
	}
	return t.kind, d.explain(op, t, false)
}

func orWord(code string) string {
	if code == "" {
		return "no code"
	}
	return "error " + code
}

// lookup is the query for the rows of a document in our own table or the receipt table.
func (d *Database) lookup() string {
	q := d.dialect.quote
	return "select " + q("revision") + ", " + q("sha256") + ", " + q("path") + " from " + d.proofTable.sql(d.dialect) +
		" where " + q("uuid") + " = " + d.dialect.placeholder(1)
}

// proofs are the revisions of a document that the database has.
type proofs struct {
	revision bool   // the very revision is there
	same     bool   // with the same checksum
	anywhere bool   // some revision has the same checksum
	path     string // of the file, where the same revision is there
}

func (d *Database) look(ctx context.Context, q querier, dl *askara.Delivery) (proofs, error) {
	r := d.row(dl)
	if d.exists != nil {
		there, err := d.isThere(ctx, q, r)
		return proofs{revision: there, same: there, anywhere: there}, err
	}
	var p proofs
	want := hex.EncodeToString(dl.Receipt.SHA256[:])
	err := eachRow(ctx, q, func(scan func(...any) error) error {
		var revision int64
		var sum string
		var path sql.NullString
		if err := scan(&revision, &sum, &path); err != nil {
			return err
		}
		p.anywhere = p.anywhere || sum == want
		if revision == int64(dl.Revision) {
			p.revision, p.same, p.path = true, sum == want, path.String
		}
		return nil
	}, d.lookup(), r.value("uuid"))
	return p, err
}

// isThere runs the integrator's query.
func (d *Database) isThere(ctx context.Context, q querier, r row) (bool, error) {
	there := false
	err := eachRow(ctx, q, func(func(...any) error) error {
		there = true
		return nil
	}, d.exists.render(d.dialect), d.args(d.exists, r, nil)...)
	return there, err
}

// recognise tells our own rows from others' where the key was there.
func (r *run) recognise(ctx context.Context, present []int) (troubleKind, error) {
	for _, i := range present {
		p, err := r.d.look(ctx, r.d.db, &r.batch[i])
		if err != nil {
			return r.d.plain("look for the document", err)
		}
		switch {
		case p.same, p.anywhere:
			r.finish(i, nil)
		case p.revision:
			r.finish(i, r.d.conflict())
		default:
			// It was there and is not any more: somebody removed it just now. The next attempt finds a free place.
			r.finish(i, dbError("insert documents", askara.FaultDocument, "", "the row in table %s vanished while it was compared", r.d.proofTable))
		}
	}
	return troubleOther, nil
}

func (d *Database) conflict() error {
	return dbError("insert documents", askara.FaultDocument,
		"if the ledger was restored or started anew, or a second installation writes to the same table, give this one another sink.table",
		"table %s has this revision of the document with other content, written by somebody else", d.proofTable)
}

// afterLostCommit looks for the rows whose commit was not answered. Those that are there are done; where one is not, the
// commit may still be on its way, so nothing is sent again now.
func (r *run) afterLostCommit(ctx context.Context, inserted []int, lost error) error {
	left := false
	for _, i := range inserted {
		p, err := r.d.look(ctx, r.d.db, &r.batch[i])
		if err != nil {
			return lost
		}
		if p.same {
			r.finish(i, nil)
		} else {
			left = true
		}
	}
	if left {
		return lost
	}
	return nil
}
