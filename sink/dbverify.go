package sink

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"askara-sync/askara"
)

// Verify compares a delivered document with the ledger. In our own table it is the stored PDF that is compared, by the database
// itself where that can; of an integrator's own table only the receipt, or what the query of Exists finds, is known. With
// ContentFile both the row and the file must be there.
func (d *Database) Verify(ctx context.Context, dl askara.Delivery) (Verdict, error) {
	const op = "verify a document"
	dctx, cancel := context.WithTimeout(ctx, d.config.Timeout+time.Duration(dl.Receipt.Size>>20)*time.Second)
	defer cancel()
	p, err := d.look(dctx, d.db, &dl)
	if err != nil {
		_, err := d.plain(op, err)
		return 0, err
	}
	switch {
	case !p.revision:
		return Missing, nil
	case !p.same:
		return Changed, nil
	case d.spool == nil:
		return d.config.Folder.Verify(ctx, dl)
	case !d.proofOnly:
		return Fine, nil
	}
	sum, err := d.storedChecksum(dctx, &dl)
	if errors.Is(err, sql.ErrNoRows) {
		return Missing, nil
	}
	if err != nil {
		_, err := d.plain(op, err)
		return 0, err
	}
	if sum != hex.EncodeToString(dl.Receipt.SHA256[:]) {
		return Changed, nil
	}
	return Fine, nil
}

// storedChecksum is the checksum of the PDF in our own table; "" where it is null.
func (d *Database) storedChecksum(ctx context.Context, dl *askara.Delivery) (string, error) {
	q, r := d.dialect.quote, d.row(dl)
	what := d.dialect.sha256()
	if what == "" {
		what = q("content")
	}
	rows, err := d.db.QueryContext(ctx, "select "+what+" from "+d.table.sql(d.dialect)+" where "+q("uuid")+" = "+d.dialect.placeholder(1)+
		" and "+q("revision")+" = "+d.dialect.placeholder(2), r.value("uuid"), d.dialect.bind(intValue, r.value("revision")))
	if err != nil {
		return "", err
	}
	defer rows.Close()
	if !rows.Next() {
		return "", errors.Join(rows.Err(), sql.ErrNoRows)
	}
	var raw sql.RawBytes
	if err := rows.Scan(&raw); err != nil {
		return "", err
	}
	sum := string(raw)
	if d.dialect.sha256() == "" && raw != nil {
		b := sha256.Sum256(raw)
		sum = hex.EncodeToString(b[:])
	}
	return sum, rows.Err()
}
