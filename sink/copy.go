package sink

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// streamer is a database that takes a document without holding it in our memory.
type streamer interface {
	// streams says whether a table with these column types can be streamed to.
	streams(types map[string]string) bool
	// copyRow inserts one row of our own table; content is the last column.
	copyRow(ctx context.Context, conn *sql.Conn, table tableName, s *statement, r row, types map[string]string,
		content io.Reader, size int64) error
}

// stream inserts one large document.
func (d *Database) stream(ctx context.Context, s streamer, t *txn, r row, types map[string]string) (bool, troubleKind, error) {
	p, err := d.look(ctx, t.tx, r.d)
	if err != nil || p.revision {
		kind, err := d.plain("look for the document", err)
		return false, kind, err
	}
	content, err := d.spool.open(r.d)
	if err != nil {
		return false, troubleOther, err
	}
	defer content.Close()
	t.streaming = true
	watched := &remembering{r: content}
	err = s.copyRow(ctx, t.conn, d.proofTable, d.proof, r, types, watched, r.d.Receipt.Size)
	switch {
	case watched.err != nil:
		return false, troubleOther, watched.err
	case err != nil:
		trouble := d.dialect.diagnose(err)
		if trouble.kind == troubleDuplicate {
			// Somebody was faster between the look and the insert; the look of the next attempt finds the row.
			return false, troubleTransient, d.explain("insert documents", trouble, false)
		}
		return false, trouble.kind, d.explain("insert documents", trouble, false)
	}
	return true, troubleOther, nil
}

// remembering keeps the error of a reader, which otherwise reaches the database alone.
type remembering struct {
	r   io.Reader
	err error
}

func (m *remembering) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}

// binaryTypes are those whose form on the wire writeField knows.
func binaryTypes() []string {
	return []string{"text", "character varying", "bigint", "integer", "timestamp with time zone", "date", "jsonb", "json", "bytea"}
}

func (p *postgresDialect) streams(types map[string]string) bool {
	for _, f := range fields() {
		if !slices.Contains(binaryTypes(), types[f.name]) {
			return false
		}
	}
	return true
}

// copySignature begins the binary form of COPY, followed by flags and the length of an extension, both zero.
const copySignature = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

func (p *postgresDialect) copyRow(ctx context.Context, conn *sql.Conn, table tableName, s *statement, r row, types map[string]string,
	content io.Reader, size int64,
) error {
	var head bytes.Buffer
	head.WriteString(copySignature)
	put(&head, int16(len(s.params)))
	names := make([]string, len(s.params))
	for i, f := range s.params {
		names[i] = p.quote(f.name)
		if f.kind == bytesValue {
			put(&head, int32(size))
			continue
		}
		if err := writeField(&head, types[f.name], r.value(f.name)); err != nil {
			return err
		}
	}
	in := io.MultiReader(&head, content, strings.NewReader("\xff\xff"))
	return conn.Raw(func(dc any) error {
		c := dc.(*stdlib.Conn).Conn().PgConn()
		return copyFrom(ctx, c, in, "copy "+table.sql(p)+" ("+strings.Join(names, ", ")+") from stdin with (format binary)")
	})
}

func copyFrom(ctx context.Context, c *pgconn.PgConn, in io.Reader, statement string) error {
	tag, err := c.CopyFrom(ctx, in, statement)
	if err == nil && tag.RowsAffected() != 1 {
		return errors.New("copy put no row")
	}
	return err
}

// put appends an integer as the wire has it.
func put[T int16 | int32 | int64](b *bytes.Buffer, n T) { _ = binary.Write(b, binary.BigEndian, n) }

// writeField appends one value in the binary form of its column.
func writeField(b *bytes.Buffer, sqlType string, v any) error {
	if t, ok := v.(time.Time); v == nil || ok && bindText(t, isoTime, timeValue) == nil {
		put(b, int32(-1))
		return nil
	}
	epoch := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	switch v := v.(type) {
	case string:
		if sqlType == "jsonb" {
			v = "\x01" + v // the version of the form
		}
		put(b, int32(len(v)))
		b.WriteString(v)
		return nil
	case int64:
		if sqlType == "integer" {
			put(b, int32(4))
			put(b, int32(v))
		} else {
			put(b, int32(8))
			put(b, v)
		}
		return nil
	case time.Time:
		if sqlType == "date" {
			put(b, int32(4))
			put(b, int32((time.Date(v.Year(), v.Month(), v.Day(), 0, 0, 0, 0, time.UTC).Unix()-epoch.Unix())/86400))
			return nil
		}
		put(b, int32(8))
		put(b, (v.Unix()-epoch.Unix())*1_000_000+int64(v.Nanosecond()/1000))
		return nil
	}
	return errors.New("value of an unknown kind")
}
