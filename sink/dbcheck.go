package sink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"askara-sync/askara"
)

// errNotMade says that a table or file is not there and would be made by Prepare.
var errNotMade = errors.New("it is not there yet")

// check looks the connected database over and remembers what delivering needs to know. What is missing is made, or else the
// error is errNotMade. Facts come along with an error where the server could be asked for its own.
func (d *Database) check(ctx context.Context, create bool) (*facts, error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	if create {
		if err := d.makeFile(); err != nil {
			return nil, err
		}
	} else if _, err := d.dialect.guard(); errors.Is(err, fs.ErrNotExist) {
		return nil, errNotMade
	}
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return nil, d.explain("connect", d.dialect.diagnose(err), true)
	}
	defer conn.Close()
	f := &facts{limits: map[string]int64{}}
	if f.server, err = d.dialect.server(ctx, conn); err != nil {
		return nil, d.explain("ask the database for its limits", d.dialect.diagnose(err), true)
	}
	if d.proof != nil {
		if err := d.checkOwnTable(ctx, conn, f, create); err != nil {
			return f, err
		}
	}
	if err := d.checkStatements(ctx, conn, f); err != nil {
		return f, err
	}
	if before := d.facts.Swap(f); f.server.volatile != "" && (before == nil || before.server.volatile != f.server.volatile) {
		d.config.Logger.Warn("the database may lose what it has committed in a power cut", "setting", f.server.volatile)
	}
	return f, nil
}

// known returns what check has found out, checking first where nobody has.
func (d *Database) known(ctx context.Context) (*facts, error) {
	if f := d.facts.Load(); f != nil {
		return f, nil
	}
	return d.check(ctx, true)
}

// makeFile makes an SQLite file where there is none.
func (d *Database) makeFile() error {
	s, ok := d.dialect.(*sqliteDialect)
	if !ok {
		return nil
	}
	gid, err := groupID(d.config.Group)
	if err != nil {
		return err
	}
	mode := d.config.FileMode
	if mode == 0 {
		mode = 0o600
	}
	created, err := s.createFile(mode, gid)
	if err != nil {
		return failure("make the database file", s.path, err)
	}
	if created {
		d.config.Logger.Info("database file made")
	}
	return nil
}

// checkOwnTable makes our own table or the receipt table where it is missing and compares it with what we write.
func (d *Database) checkOwnTable(ctx context.Context, conn *sql.Conn, f *facts, create bool) error {
	table := d.proofTable
	info, err := d.dialect.inspect(ctx, conn, table)
	if err == nil && !info.exists {
		if !create {
			return errNotMade
		}
		if err := d.createTable(ctx, conn); err != nil {
			return err
		}
		info, err = d.dialect.inspect(ctx, conn, table)
	}
	if err != nil {
		return d.explain("look at the table", d.of(table, err), true)
	}
	if !info.exists {
		return d.explain("look at the table", trouble{kind: troubleDenied, table: table.String()}, true)
	}
	if wrong := info.faults(d.dialect, table, d.proof.params); len(wrong) > 0 {
		return dbError("check the table", askara.FaultConfiguration, "mend the table as the README describes it, or name another in sink.table",
			"%s", strings.Join(wrong, "; "))
	}
	f.types = map[string]string{}
	for name, c := range info.columns {
		f.types[name] = c.sqlType
	}
	if d.proofOnly {
		maps.Copy(f.limits, limitsOf(info))
	}
	return d.checkRights(ctx, conn, table, "INSERT", "SELECT")
}

func (d *Database) createTable(ctx context.Context, conn *sql.Conn) error {
	for _, statement := range d.dialect.ddl(d.proofTable, d.proof.params, tableComment()) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			t := d.of(d.proofTable, err)
			if t.kind == troubleDenied || t.kind == troubleNoDatabase || t.code == "3F000" { // no schema to make it in
				return dbError("make the table", askara.FaultDestination,
					fmt.Sprintf("let an administrator make it (askara-sync doctor prints the statement), then: GRANT INSERT, SELECT ON %s TO %s",
						d.proofTable, d.dialect.user()),
					"table %s does not exist, or this user may not see it, and may not make it (%s error %s)", d.proofTable, d.dialect.kind(), t.code)
			}
			return d.explain("make the table", t, true)
		}
	}
	d.config.Logger.Info("table made", "table", d.proofTable.String())
	return nil
}

// of diagnoses an error that happened with a table of our own.
func (d *Database) of(table tableName, err error) trouble {
	t := d.dialect.diagnose(err)
	if t.table == "" {
		t.table = table.String()
	}
	return t
}

func (d *Database) checkRights(ctx context.Context, conn *sql.Conn, table tableName, rights ...string) error {
	missing, err := d.dialect.missing(ctx, conn, table, rights...)
	if err != nil {
		return d.explain("check the rights", d.of(table, err), true)
	}
	if len(missing) > 0 {
		return d.explain("check the rights", trouble{kind: troubleDenied, table: table.String(), note: strings.Join(missing, ", ")}, true)
	}
	return nil
}

// checkStatements has the database read every statement that a delivery will need.
func (d *Database) checkStatements(ctx context.Context, conn *sql.Conn, f *facts) error {
	if d.proof != nil {
		for _, statement := range []string{d.proof.render(d.dialect), d.lookup()} {
			if err := d.prepares(ctx, conn, statement); err != nil {
				return d.explain("prepare our own statement", d.of(d.proofTable, err), true)
			}
		}
	}
	if d.exists != nil {
		if err := d.prepares(ctx, conn, d.exists.render(d.dialect)); err != nil {
			return inSetting("sink.exists", d.explain("prepare the statement", d.dialect.diagnose(err), true))
		}
		if err := d.checkTypes(ctx, conn, "sink.exists", d.exists, tableInfo{}); err != nil {
			return err
		}
	}
	if d.proofOnly {
		return nil
	}
	if err := d.prepares(ctx, conn, d.insert.render(d.dialect)); err != nil {
		return inSetting("sink.insert", d.explain("prepare the statement", d.dialect.diagnose(err), true))
	}
	var info tableInfo
	if d.insert.target.name != "" {
		var err error
		if info, err = d.dialect.inspect(ctx, conn, d.insert.target); err != nil {
			return d.explain("look at the table", d.of(d.insert.target, err), true)
		}
		if info.engine != "" && d.proof != nil {
			return dbError("sink.insert", askara.FaultConfiguration,
				"alter the table to InnoDB, or use sink.exists with a unique key and accept what a crash may leave",
				"table %s uses the engine %s, which cannot undo half a delivery", d.insert.target, info.engine)
		}
		maps.Copy(f.limits, limitsOf(info))
		if err := d.checkRights(ctx, conn, d.insert.target, "INSERT"); err != nil {
			return err
		}
	}
	return d.checkTypes(ctx, conn, "sink.insert", d.insert, info)
}

func (d *Database) prepares(ctx context.Context, conn *sql.Conn, statement string) error {
	s, err := conn.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	return s.Close()
}

// inSetting says which setting an error came from.
func inSetting(key string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Op: key + ": " + e.Op, Kind: e.Kind, Err: e.Err, hint: e.hint}
	}
	return err
}

// typer is a database that can say what it takes each bound value for.
type typer interface {
	paramTypes(ctx context.Context, c *sql.Conn, statement string) ([]string, error)
}

// checkTypes compares each parameter with what the database takes it for: what it says itself, or else the column that it fills.
func (d *Database) checkTypes(ctx context.Context, conn *sql.Conn, key string, s *statement, info tableInfo) error {
	types := make([]string, len(s.params))
	if t, ok := d.dialect.(typer); ok {
		var err error
		if types, err = t.paramTypes(ctx, conn, s.render(d.dialect)); err != nil {
			return inSetting(key, d.explain("prepare the statement", d.dialect.diagnose(err), true))
		}
	}
	var wrong []string
	for i, p := range s.params {
		sqlType := ""
		if i < len(types) {
			sqlType = types[i]
		}
		if c, ok := info.columns[s.columns[i]]; ok && s.direct[i] && sqlType == "" {
			sqlType = c.sqlType
		}
		if sqlType != "" && !d.dialect.fits(p.kind, sqlType) {
			what := ""
			if s.columns[i] != "" {
				what = "column " + s.columns[i] + " is "
			}
			wrong = append(wrong, fmt.Sprintf(":%s is %s and %s%s", p.name, p.kind, what, sqlType))
		}
	}
	if len(wrong) > 0 {
		return dbError(key, askara.FaultConfiguration, "correct the statement, or convert the value in it", "%s", strings.Join(wrong, "; "))
	}
	return nil
}

func limitsOf(info tableInfo) map[string]int64 {
	limits := map[string]int64{}
	for name, c := range info.columns {
		if c.limit > 0 {
			limits[name] = c.limit
		}
	}
	return limits
}
