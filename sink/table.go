package sink

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tableVersion is the version of our own tables' layout. It is kept in the table's comment, which INSERT and SELECT suffice to
// read, and only rises by columns that may be null: a table is never altered in a way that a reader could notice.
const tableVersion = 1

// DefaultTable is the table's name unless configured.
const DefaultTable = "askara_documents"

// receiptSuffix makes the name of the receipt table out of the configured one.
const receiptSuffix = "_receipt"

// field is a parameter of an insert statement and, under the same name, a column of our own table.
type field struct {
	name string
	kind valueKind
	// required columns are never null.
	required bool
	note     string
}

// fields lists every parameter. The order is that of the table's columns; content comes last so that it can be streamed.
func fields() []field {
	return []field{
		{"account", wordValue, true, "the account's name in the configuration"},
		{"uuid", wordValue, true, "the document's uuid in Askara"},
		{"revision", intValue, true, "from 1; a document validated again with other bytes gets the next"},
		{"title", textValue, false, "of the document"},
		{"type", textValue, false, "of the document"},
		{"status", textValue, false, "in Askara, when it was listed"},
		{"created_at", timeValue, false, "in Askara"},
		{"updated_at", timeValue, false, "in Askara"},
		{"validated_at", timeValue, false, "in Askara"},
		{"patient_uuid", textValue, false, "the patient's uuid in Askara"},
		{"patient_first_name", textValue, false, ""},
		{"patient_last_name", textValue, false, ""},
		{"patient_date_of_birth", dateValue, false, ""},
		{"patient_gender", textValue, false, "as Askara writes it"},
		{"patient_external_id", textValue, false, "the patient's number in the clinic's own software"},
		{"user_uuid", textValue, false, "the practitioner's uuid in Askara"},
		{"user_first_name", textValue, false, ""},
		{"user_last_name", textValue, false, ""},
		{"user_rpps", textValue, false, "the practitioner's RPPS number"},
		{"organization_uuid", textValue, false, "the clinic's uuid in Askara"},
		{"organization_name", textValue, false, ""},
		{"sha256", wordValue, true, "of the PDF, 64 hexadecimal digits in lower case"},
		{"size", intValue, true, "of the PDF in bytes"},
		{"path", textValue, false, "of the PDF's file, where content is \"file\""},
		{"file_name", textValue, false, "the last part of path"},
		{"metadata", jsonValue, true, "all that Askara said about the document"},
		{"ledger", wordValue, true, "the installation of askara-sync that wrote the row"},
		{"delivered_at", timeValue, true, "when the row was written, on the clock of askara-sync"},
		{"content", bytesValue, false, "the PDF; null where content is \"file\""},
	}
}

// keyColumns make a row of our own tables unique.
func keyColumns() []string { return []string{"uuid", "revision"} }

// receiptColumns are the columns of the receipt table.
func receiptColumns() []string {
	return []string{"account", "uuid", "revision", "sha256", "size", "path", "ledger", "delivered_at"}
}

func fieldNames() []string {
	var names []string
	for _, f := range fields() {
		names = append(names, f.name)
	}
	return names
}

func fieldByName(name string) (field, bool) {
	all := fields()
	i := slices.IndexFunc(all, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return all[i], true
}

func fieldsNamed(names []string) []field {
	var out []field
	for _, n := range names {
		f, _ := fieldByName(n)
		out = append(out, f)
	}
	return out
}

// tableName is a table, with or without the schema that it is in.
type tableName struct{ schema, name string }

// tablePattern keeps names to what every database takes, and leaves room for receiptSuffix within PostgreSQL's 63.
var tablePattern = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,49}$`)

// ParseTable checks the name of a table: letters, digits and underscores, at most 50 of them, and a schema before a dot.
func ParseTable(s string) error {
	_, err := parseTable(s)
	return err
}

func parseTable(s string) (tableName, error) {
	if !tablePattern.MatchString(s) {
		return tableName{}, errors.New("a table's name is made of letters, digits and underscores, at most 50, with a schema and a dot before it if needed")
	}
	if schema, name, ok := strings.Cut(s, "."); ok {
		return tableName{schema, name}, nil
	}
	return tableName{name: s}, nil
}

func (t tableName) String() string {
	if t.schema == "" {
		return t.name
	}
	return t.schema + "." + t.name
}

// receipt is the receipt table that goes with t.
func (t tableName) receipt() tableName { return tableName{t.schema, t.name + receiptSuffix} }

// sql is the quoted name.
func (t tableName) sql(d dialect) string {
	if t.schema == "" {
		return d.quote(t.name)
	}
	return d.quote(t.schema) + "." + d.quote(t.name)
}

// comment is what our own tables carry.
func tableComment() string { return fmt.Sprintf("askara-sync documents, layout %d", tableVersion) }

var commentPattern = regexp.MustCompile(`askara-sync documents, layout (\d+)`)

// layoutOf reads the version out of a table's comment; 0 where a person made the table without one.
func layoutOf(comment string) int {
	m := commentPattern.FindStringSubmatch(comment)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}

// createTable is the statement that makes one of our own tables: one column a line.
func createTable(d dialect, table tableName, columns []field, before, after string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "create table if not exists %s (%s\n", table.sql(d), before)
	for _, f := range columns {
		fmt.Fprintf(&b, "  %s %s", d.quote(f.name), d.sqlType(f))
		if f.required {
			b.WriteString(" not null")
		}
		b.WriteString(",\n")
	}
	var key []string
	for _, c := range keyColumns() {
		key = append(key, d.quote(c))
	}
	fmt.Fprintf(&b, "  primary key (%s)\n)%s", strings.Join(key, ", "), after)
	return b.String()
}

// insertInto is the plain statement that inserts one row.
func insertInto(d dialect, table tableName, columns []string) string {
	names, values := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], values[i] = d.quote(c), d.placeholder(i+1)
	}
	return "insert into " + table.sql(d) + " (" + strings.Join(names, ", ") + ") values (" + strings.Join(values, ", ") + ")"
}

// faults compares one of our own tables, as the catalog shows it, with what we write. It returns what is wrong in words.
func (t tableInfo) faults(d dialect, table tableName, columns []field) []string {
	var out []string
	if v := layoutOf(t.comment); v > tableVersion {
		return []string{fmt.Sprintf("table %s has layout %d, made by a newer askara-sync; this one knows %d", table, v, tableVersion)}
	}
	if t.engine != "" {
		out = append(out, fmt.Sprintf("table %s uses the engine %s, which cannot undo half a delivery; use InnoDB", table, t.engine))
	}
	known := map[string]bool{}
	for _, f := range columns {
		known[f.name] = true
		c, ok := t.columns[f.name]
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("table %s has no column %s (%s)", table, f.name, d.sqlType(f)))
		case !d.fits(f.kind, c.sqlType):
			out = append(out, fmt.Sprintf("column %s of table %s is %s and should be %s", f.name, table, c.sqlType, d.sqlType(f)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.columns)) {
		if t.columns[name].needed && !known[name] {
			out = append(out, fmt.Sprintf("column %s of table %s must have a value, and askara-sync has none for it", name, table))
		}
	}
	if !slices.ContainsFunc(t.unique, t.isKey) {
		out = append(out, fmt.Sprintf("table %s has no unique key over %s, without which a document could be there twice",
			table, strings.Join(keyColumns(), ", ")))
	}
	return out
}

// isKey says that no two rows of the same uuid and revision pass the unique key.
func (t tableInfo) isKey(unique []string) bool {
	for _, c := range unique {
		if !slices.Contains(keyColumns(), c) {
			return false
		}
	}
	return len(unique) > 0
}
