package sink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresDialect speaks to PostgreSQL 11 and later. Every value but the PDF is bound as text, which the server reads as whatever
// the column or parameter is.
type postgresDialect struct {
	config  *pgx.ConnConfig
	timeout time.Duration
}

// newPostgres reads a connection string, as a URL or as keywords. Its errors never quote it.
func newPostgres(dsn string, timeout time.Duration) (*postgresDialect, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the connection string cannot be read; it looks like postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	config.ConnectTimeout = min(max(config.ConnectTimeout, 0), timeout)
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = timeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "askara-sync"
	}
	return &postgresDialect{config, timeout}, nil
}

func (p *postgresDialect) kind() string             { return "postgres" }
func (p *postgresDialect) placeholder(n int) string { return "$" + strconv.Itoa(n) }
func (p *postgresDialect) quote(n string) string    { return `"` + n + `"` }
func (p *postgresDialect) sha256() string           { return "encode(sha256(content), 'hex')" }
func (p *postgresDialect) lexis() lexis {
	return lexis{dollar: true, nested: true, escapeString: true, forbiddenDigit: '$'}
}
func (p *postgresDialect) lanes() int                   { return poolSize / 2 }
func (p *postgresDialect) guard() (func() error, error) { return noGuard() }

func (p *postgresDialect) place() string {
	if strings.HasPrefix(p.config.Host, "/") {
		return "socket " + p.config.Host
	}
	return fmt.Sprintf("%s:%d", p.config.Host, p.config.Port)
}

func (p *postgresDialect) user() string { return p.quote(strings.ReplaceAll(p.config.User, `"`, `""`)) }

// exposed is also true where the server may choose to go without TLS (sslmode=prefer).
func (p *postgresDialect) exposed() bool {
	plain := p.config.TLSConfig == nil
	for _, f := range p.config.Fallbacks {
		plain = plain || f.TLSConfig == nil
	}
	return plain && !strings.HasPrefix(p.config.Host, "/") && !loopback(p.config.Host)
}

func (p *postgresDialect) open() (*sql.DB, error) {
	db := stdlib.OpenDB(*p.config, stdlib.OptionAfterConnect(p.setUp))
	poolLimits(db)
	return db, nil
}

// setUp is sent on every new connection rather than as start-up parameters, which poolers such as PgBouncer refuse. A commit
// must be durable even where the database was set up otherwise; stricter settings than on are left as they are.
func (p *postgresDialect) setUp(ctx context.Context, c *pgx.Conn) error {
	ms := p.timeout.Milliseconds()
	_, err := c.PgConn().Exec(ctx, fmt.Sprintf(`set client_encoding = 'UTF8'; set timezone = 'UTC'; set standard_conforming_strings = on;
		set lock_timeout = %d; set idle_in_transaction_session_timeout = %d;
		select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`, ms, 4*ms)).ReadAll()
	return err
}

func (p *postgresDialect) insertNew(table tableName, columns []string) string {
	return insertInto(p, table, columns) + " on conflict do nothing"
}

func (p *postgresDialect) ddl(table tableName, columns []field, comment string) []string {
	return []string{
		createTable(p, table, columns, "", ""),
		"comment on table " + table.sql(p) + " is '" + comment + "'",
	}
}

func (p *postgresDialect) sqlType(f field) string {
	switch f.kind {
	case intValue:
		return "bigint"
	case timeValue:
		return "timestamptz"
	case dateValue:
		return "date"
	case jsonValue:
		return "jsonb"
	case bytesValue:
		return "bytea"
	}
	return "text"
}

func (p *postgresDialect) bind(k valueKind, v any) any {
	if n, ok := v.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return bindText(v, isoTime, k)
}

func (p *postgresDialect) fits(k valueKind, sqlType string) bool {
	base, _, _ := strings.Cut(sqlType, "(")
	switch strings.TrimSpace(base) {
	case "text", "character varying", "character", "name", "citext":
		return k != bytesValue
	case "uuid":
		return k == textValue || k == wordValue
	case "smallint", "integer", "bigint", "numeric", "real", "double precision":
		// An external id may well be a number in the clinic's own table.
		return k == intValue || k == textValue
	case "timestamp with time zone", "timestamp without time zone", "timestamp":
		return k == timeValue || k == dateValue
	case "date":
		return k == timeValue || k == dateValue
	case "json", "jsonb":
		return k == jsonValue
	case "bytea":
		return k == bytesValue
	case "boolean", "oid", "inet", "interval", "time without time zone", "time with time zone", "xml":
		return false
	}
	return !strings.HasSuffix(sqlType, "[]")
}

func (p *postgresDialect) inspect(ctx context.Context, q querier, table tableName) (tableInfo, error) {
	info := tableInfo{columns: map[string]columnInfo{}}
	var oid sql.NullInt64
	err := q.QueryRowContext(ctx, "select to_regclass($1)::oid::bigint", table.sql(p)).Scan(&oid)
	if err != nil || !oid.Valid {
		return info, err
	}
	info.exists = true
	id := strconv.FormatInt(oid.Int64, 10)
	err = q.QueryRowContext(ctx, "select coalesce(obj_description($1::bigint::oid, 'pg_class'), '')", id).Scan(&info.comment)
	if err != nil {
		return info, err
	}
	err = eachRow(ctx, q, func(scan func(...any) error) error {
		var name string
		var c columnInfo
		if err := scan(&name, &c.sqlType, &c.limit, &c.needed); err != nil {
			return err
		}
		info.columns[name] = c
		return nil
	}, `select attname::text, format_type(case when t.typbasetype <> 0 then t.typbasetype else a.atttypid end, null),
		case when atttypid in ('varchar'::regtype, 'bpchar'::regtype) and atttypmod > 4 then atttypmod - 4 else 0 end,
		attnotnull and not atthasdef and attidentity = '' and attgenerated = ''
		from pg_attribute a join pg_type t on t.oid = a.atttypid where attrelid = $1::bigint::oid and attnum > 0 and not attisdropped`, id)
	if err != nil {
		return info, err
	}
	err = eachRow(ctx, q, func(scan func(...any) error) error {
		var columns string
		if err := scan(&columns); err != nil {
			return err
		}
		info.unique = append(info.unique, strings.Split(columns, ","))
		return nil
	}, `select string_agg(a.attname::text, ',') from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
		where i.indrelid = $1::bigint::oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null group by i.indexrelid`, id)
	return info, err
}

func (p *postgresDialect) missing(ctx context.Context, q querier, table tableName, rights ...string) ([]string, error) {
	var out []string
	for _, right := range rights {
		var has sql.NullBool
		err := q.QueryRowContext(ctx, `select has_table_privilege(to_regclass($1)::oid, $2) or has_any_column_privilege(to_regclass($1)::oid, $2)`,
			table.sql(p), right).Scan(&has)
		if err != nil {
			return nil, err
		}
		if has.Valid && !has.Bool {
			out = append(out, right)
		}
	}
	return out, nil
}

// postgresMaxContent is PostgreSQL's limit for one value, less room for the message around it.
const postgresMaxContent = 1<<30 - 16<<20

func (p *postgresDialect) server(ctx context.Context, q querier) (serverInfo, error) {
	info := serverInfo{maxContent: postgresMaxContent, maxSetting: "nothing: PostgreSQL's own limit is 1 GiB"}
	var fsync, fullPages string
	err := q.QueryRowContext(ctx, `select 'PostgreSQL ' || current_setting('server_version'), current_setting('server_encoding'),
		current_setting('fsync'), current_setting('full_page_writes')`).Scan(&info.version, &info.encoding, &fsync, &fullPages)
	info.asciiOnly = info.encoding == "SQL_ASCII"
	switch {
	case fsync == "off":
		info.volatile = "fsync = off"
	case fullPages == "off":
		info.volatile = "full_page_writes = off"
	}
	return info, err
}

// paramTypes asks the server what it takes each bound value of a statement for.
func (p *postgresDialect) paramTypes(ctx context.Context, c *sql.Conn, statement string) ([]string, error) {
	var oids []uint32
	err := c.Raw(func(dc any) error {
		conn := dc.(*stdlib.Conn).Conn()
		sd, err := conn.PgConn().Prepare(ctx, "", statement, nil)
		if err == nil {
			oids = sd.ParamOIDs
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	types := make([]string, len(oids))
	for i, oid := range oids {
		err := c.QueryRowContext(ctx, `select format_type(case when typbasetype <> 0 then typbasetype else oid end, null) from pg_type where oid = $1::bigint::oid`,
			strconv.FormatUint(uint64(oid), 10)).Scan(&types[i])
		if err != nil {
			return nil, err
		}
	}
	return types, nil
}

// loopback says that a host is this machine, as far as its name tells.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// poolSize is how many connections a Database has at most.
const poolSize = 4

// poolLimits keeps a clinic's server from more than a few connections of ours, and lets an idle daemon have none.
func poolLimits(db *sql.DB) {
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(2)
	db.SetConnMaxIdleTime(time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute)
}
