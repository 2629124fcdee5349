package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"slices"
)

// source is a database that is read as far as it goes.
type source struct {
	db         *sql.DB // for what SQLite can still read
	file       *os.File
	pages      *pageFile
	roots      map[string]uint32 // the first page of each table, as far as known
	damagedLog bool
	damaged    map[string]bool // tables that could not be read in full
}

// wary is how the repair opens a database: it is not to be changed, and nothing in it is to be believed.
const wary = "mode=ro&immutable=1&_query_only=1&_pragma=cell_size_check(1)&_pragma=trusted_schema(0)"

func newSource(path string, damagedLog bool) (*source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	db, err := openDB(path, 1, wary)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	s := &source{db: db, file: file, pages: newPageFile(file, info.Size()), roots: map[string]uint32{}, damagedLog: damagedLog, damaged: map[string]bool{}}
	// The table of tables begins at page 1: type, name, table, first page, statement.
	_, err = s.pages.walk(1, func(_ int64, values []any) error {
		if len(values) < 4 || values[0] != "table" {
			return nil
		}
		name, _ := values[1].(string)
		if root, _ := values[3].(int64); root > 0 && root <= int64(s.pages.count) {
			s.roots[name] = uint32(root)
		}
		return nil
	})
	return s, err
}

func (s *source) close() error { return errors.Join(s.db.Close(), s.file.Close()) }

// table is how a table of the new ledger looks, by which rows of the old one are read and recognised.
type table struct {
	name  string
	cols  []column
	alias int // the column that is the rowid, -1 for none
}

type column struct {
	name, kind string
	required   bool
}

// describe reads how a table looks.
func (t *tx) describeTable(ctx context.Context, name string) (table, error) {
	rows, err := t.query(ctx, `select name, lower(type), "notnull", pk from pragma_table_info(?) order by cid`, name)
	if err != nil {
		return table{}, err
	}
	tab := table{name: name, alias: -1}
	var pk []int
	tab.cols, err = collect(rows, func(rows *sql.Rows) (c column, err error) {
		var key int
		err = rows.Scan(&c.name, &c.kind, &c.required, &key)
		pk = append(pk, key)
		return c, err
	})
	if i := slices.Index(pk, 1); i >= 0 && tab.cols[i].kind == "integer" {
		tab.alias = i
	}
	return tab, err
}

// fits tells whether a row may be one of the table. One of an older schema may have fewer columns.
func (tab table) fits(values []any, exactly bool) bool {
	if len(values) > len(tab.cols) || exactly && len(values) != len(tab.cols) {
		return false
	}
	for i, v := range values {
		c := tab.cols[i]
		ok := true
		switch v.(type) {
		case nil:
			ok = !c.required || i == tab.alias
		case int64:
			ok = c.kind == "integer" && i != tab.alias
		case string:
			ok = c.kind == "text" || c.kind == "any"
		case []byte:
			ok = c.kind == "blob" || c.kind == "any"
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return true
}

// pick returns the named columns of a row.
func (tab table) pick(rowid int64, values []any, names []string) []any {
	picked := make([]any, len(names))
	for i, name := range names {
		n := slices.IndexFunc(tab.cols, func(c column) bool { return c.name == name })
		switch {
		case n == tab.alias:
			picked[i] = rowid
		case n < len(values):
			picked[i] = values[n]
		}
	}
	return picked
}

// rows calls emit for every row of the table that can be read. It returns emit's error alone; that not all could be read is noted.
func (s *source) rows(tab table, emit rowFunc) error {
	damaged, err := true, error(nil)
	misfit := false
	if root, ok := s.roots[tab.name]; ok {
		damaged, err = s.pages.walk(root, func(rowid int64, values []any) error {
			if !tab.fits(values, false) {
				misfit = true
				return nil
			}
			return emit(rowid, values)
		})
	}
	if damaged || misfit {
		s.damaged[tab.name] = true
	}
	return err
}

// strays calls emit for every row that looks like one of the table on a page that no table led to, because a page above it is damaged.
// What is deleted from a ledger is overwritten, so these are rows of today. It is called when all tables have been read.
func (s *source) strays(tab table, emit rowFunc) error {
	for number := uint32(2); number <= s.pages.count && number != 0; number++ {
		if s.pages.seen[number] {
			continue
		}
		page, header, err := s.pages.page(number)
		if err != nil || page[header] != leafTable {
			continue
		}
		_, err = s.pages.leaf(page, header, func(rowid int64, values []any) error {
			if !tab.fits(values, true) {
				return nil
			}
			return emit(rowid, values)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
