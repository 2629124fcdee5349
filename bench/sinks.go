package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"askara-sync/internal/dbtest"
)

// target is one kind of database.
type target struct {
	kind, driver string
	dsn          string // of an empty database
	blob         string // its type of bytes
	hold         string // its parameter
	path         string // sqlite only
}

// databases measures every kind of database destination beside a loop that downloads and inserts one row after the other, each durable
// by itself, as an import script would.
func (b *bench) databases(ctx context.Context) error {
	s := set{b.large, 200 << 10}
	targets, stop, err := b.targets()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println(s)
	for _, t := range targets {
		var mine, theirs []time.Duration
		for r := range b.runs {
			for k := range 2 {
				ours := (k+r)%2 == 0
				took, err := b.fill(ctx, s, t, ours)
				if err != nil {
					return fmt.Errorf("%s: %w", t.kind, err)
				}
				if ours {
					mine = append(mine, took)
				} else {
					theirs = append(theirs, took)
				}
			}
		}
		own, plain := perDocument(percentile(mine, 50), s.documents), perDocument(percentile(theirs, 50), s.documents)
		fmt.Printf("%-9s %7.3f ms a document, plain inserts %7.3f ms, ours is %.2f x\n", t.kind, own, plain, own/plain)
	}
	return nil
}

// targets starts the servers that are installed.
func (b *bench) targets() (list []target, stop func(), err error) {
	os.Setenv(dbtest.Enabled, "1")
	t := &host1{}
	stop = t.end
	defer func() {
		if r := recover(); r != nil {
			stop()
			err = fmt.Errorf("start a database server: %v", r)
		}
	}()
	path := filepath.Join(b.root, "practice.db")
	list = []target{{kind: "sqlite", driver: "sqlite", dsn: "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", blob: "blob", hold: "?", path: path}}
	list = append(list, target{kind: "postgres", driver: "pgx", dsn: dbtest.Postgres(t).Database("practice"), blob: "bytea", hold: "$"})
	list = append(list, target{kind: "mysql", driver: "mysql", dsn: dbtest.MariaDB(t).Database("practice"), blob: "longblob", hold: "?"})
	return list, stop, nil
}

// fill brings the set into the database, with askara-sync or with the loop, and insists that it is there.
func (b *bench) fill(ctx context.Context, s set, t target, ours bool) (took time.Duration, err error) {
	stocked, err := b.server.restock(stock{Documents: s.documents, Size: s.size})
	if err != nil {
		return 0, err
	}
	if t.path != "" {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			os.Remove(t.path + suffix)
		}
	}
	dir, err := b.fresh()
	if err != nil {
		return 0, err
	}
	defer retire(dir)
	db, err := sql.Open(t.driver, t.dsn)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if ours {
		if took, err = b.fillOurs(ctx, s, t, dir); err != nil {
			return 0, err
		}
	} else if took, err = fillPlain(ctx, db, t, errand{url: b.server.url, token: stocked.Token, uuids: stocked.UUIDs}); err != nil {
		return 0, err
	}
	const table = "askara_documents"
	var n int
	if err := db.QueryRowContext(ctx, "select count(*) from "+table).Scan(&n); err != nil || n != s.documents {
		return 0, fmt.Errorf("%d rows instead of %d: %w", n, s.documents, err)
	}
	if t.path == "" {
		tables := []string{table}
		if ours {
			tables, err = tablesOf(ctx, db, t)
		}
		for _, name := range tables {
			if err == nil {
				_, err = db.ExecContext(ctx, "drop table "+name)
			}
		}
	}
	return took, err
}

// tablesOf lists what the database holds.
func tablesOf(ctx context.Context, db *sql.DB, t target) (names []string, err error) {
	schema := "'public'"
	if t.kind == "mysql" {
		schema = "database()"
	}
	rows, err := db.QueryContext(ctx, "select table_name from information_schema.tables where table_schema = "+schema)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func (b *bench) fillOurs(ctx context.Context, s set, t target, dir string) (time.Duration, error) {
	sink := fmt.Sprintf("type = %q\n", t.kind)
	if t.path != "" {
		sink += fmt.Sprintf("path = %q\n", t.path)
	} else {
		file := filepath.Join(dir, "dsn")
		if err := os.WriteFile(file, []byte(t.dsn), 0o600); err != nil {
			return 0, err
		}
		sink += fmt.Sprintf("dsn_file = %q\n", file)
	}
	site, err := b.newSite(ctx, dir, b.server.url, sink)
	if err != nil {
		return 0, err
	}
	o, err := site.once(ctx, s.documents)
	return o.wall, err
}

// host1 is a test for dbtest, whose servers this program borrows.
type host1 struct {
	testing.TB
	ends []func()
}

func (*host1) Helper()                        {}
func (h *host1) Cleanup(f func())             { h.ends = append(h.ends, f) }
func (*host1) Skip(args ...any)               { panic(fmt.Sprint(args...)) }
func (*host1) Fatal(args ...any)              { panic(fmt.Sprint(args...)) }
func (*host1) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func (h *host1) end() {
	for len(h.ends) > 0 {
		last := h.ends[len(h.ends)-1]
		h.ends = h.ends[:len(h.ends)-1]
		last()
	}
}
