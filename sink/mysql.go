package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlDialect speaks to MariaDB 10.5 and MySQL 8 and later.
type mysqlDialect struct {
	config  *mysql.Config
	timeout time.Duration
}

// newMySQL reads a connection string. Beside the driver's own parameters it knows tls_ca, tls_cert and tls_key, which name PEM
// files. Its errors never quote it.
func newMySQL(dsn string, timeout time.Duration) (*mysqlDialect, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("the connection string cannot be read; it looks like user:password@tcp(host:3306)/database?tls=true")
	}
	if config.DBName == "" {
		return nil, errors.New("the connection string names no database; it looks like user:password@tcp(host:3306)/database?tls=true")
	}
	if err := mysqlTLS(config); err != nil {
		return nil, err
	}
	if config.Timeout == 0 {
		config.Timeout = timeout
	}
	config.MaxAllowedPacket = 0 // ask the server
	config.MultiStatements, config.InterpolateParams, config.ParseTime = false, false, false
	config.AllowAllFiles, config.RejectReadOnly, config.ClientFoundRows = false, false, false
	config.Logger = &mysql.NopLogger{}
	if config.Params == nil {
		config.Params = map[string]string{}
	}
	seconds := strconv.Itoa(max(1, int(timeout.Round(time.Second)/time.Second)))
	for name, value := range map[string]string{
		// Strict: what does not fit is an error, never cut. The rest of the modes decides how quotes in a statement are read.
		"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
		"time_zone":                "'+00:00'",
		"innodb_lock_wait_timeout": seconds,
		"lock_wait_timeout":        seconds,
		"foreign_key_checks":       "1",
		"unique_checks":            "1",
		"autocommit":               "1",
	} {
		config.Params[name] = value
	}
	if err := config.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, errors.New("the connection string cannot be read")
	}
	return &mysqlDialect{config, timeout}, nil
}

// mysqlTLS turns our own parameters of the connection string into the driver's.
func mysqlTLS(config *mysql.Config) error {
	take := func(name string) string {
		v := config.Params[name]
		delete(config.Params, name)
		return v
	}
	ca, cert, key := take("tls_ca"), take("tls_cert"), take("tls_key")
	if ca == "" && cert == "" && key == "" {
		return nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if host, _, err := net.SplitHostPort(config.Addr); err == nil {
		t.ServerName = host
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("read tls_ca of the connection string: %w", bare(err))
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("tls_ca of the connection string holds no certificate")
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return errors.New("tls_cert and tls_key of the connection string are not a certificate and its key")
		}
		t.Certificates = []tls.Certificate{pair}
	}
	config.TLS = t
	return nil
}

func (m *mysqlDialect) kind() string                 { return "mysql" }
func (m *mysqlDialect) placeholder(int) string       { return "?" }
func (m *mysqlDialect) quote(n string) string        { return "`" + n + "`" }
func (m *mysqlDialect) sha256() string               { return "sha2(content, 256)" }
func (m *mysqlDialect) lanes() int                   { return poolSize / 2 }
func (m *mysqlDialect) guard() (func() error, error) { return noGuard() }
func (m *mysqlDialect) lexis() lexis {
	return lexis{backtick: true, backslash: true, hash: true, spacedDash: true, forbidden: "?"}
}

func (m *mysqlDialect) user() string {
	return "'" + strings.ReplaceAll(m.config.User, "'", "''") + "'@'the host it connects from'"
}

func (m *mysqlDialect) exposed() bool {
	host, _, err := net.SplitHostPort(m.config.Addr)
	plain := m.config.TLS == nil && (m.config.TLSConfig == "" || m.config.TLSConfig == "false") || m.config.AllowFallbackToPlaintext
	return plain && m.config.Net != "unix" && (err != nil || !loopback(host))
}

func (m *mysqlDialect) place() string {
	if m.config.Net == "unix" {
		return "socket " + m.config.Addr
	}
	return m.config.Addr
}

func (m *mysqlDialect) open() (*sql.DB, error) {
	connector, err := mysql.NewConnector(m.config)
	if err != nil {
		return nil, errors.New("the connection string cannot be used")
	}
	db := sql.OpenDB(connector)
	poolLimits(db)
	return db, nil
}

// insertNew fails on a key that is there: "ignore" would also cut values that do not fit, and "on duplicate key update" would
// need the right to update.
func (m *mysqlDialect) insertNew(table tableName, columns []string) string {
	return insertInto(m, table, columns)
}

func (m *mysqlDialect) ddl(table tableName, columns []field, comment string) []string {
	return []string{createTable(m, table, columns, "", " engine = InnoDB default character set = utf8mb4 comment = '"+comment+"'")}
}

func (m *mysqlDialect) sqlType(f field) string {
	switch f.kind {
	case wordValue:
		// Compared byte by byte: the key must not take two documents for one.
		return "varchar(191) character set utf8mb4 collate utf8mb4_bin"
	case intValue:
		return "bigint"
	case timeValue:
		return "datetime(6)"
	case dateValue:
		return "date"
	case jsonValue:
		return "json"
	case bytesValue:
		return "longblob"
	}
	return "text"
}

func (m *mysqlDialect) bind(k valueKind, v any) any { return bindText(v, plainTime, k) }

func (m *mysqlDialect) fits(k valueKind, sqlType string) bool {
	base, _, _ := strings.Cut(sqlType, "(")
	switch base, _, _ := strings.Cut(base, " "); base {
	case "varchar", "char", "tinytext", "text", "mediumtext", "longtext":
		return k != bytesValue
	case "enum", "uuid":
		return k == textValue || k == wordValue
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double":
		return k == intValue || k == textValue
	case "datetime", "timestamp", "date":
		return k == timeValue || k == dateValue
	case "json":
		return k == jsonValue
	case "mediumblob", "longblob":
		return k == bytesValue
	case "tinyblob", "blob", "binary", "varbinary":
		return false // too small for a PDF
	case "year", "time", "bit", "set", "geometry":
		return false
	}
	return true
}

func (m *mysqlDialect) inspect(ctx context.Context, q querier, table tableName) (tableInfo, error) {
	info := tableInfo{columns: map[string]columnInfo{}}
	const place = " table_schema = coalesce(nullif(?, ''), database()) and table_name = ?"
	var engine, kind string
	err := q.QueryRowContext(ctx, "select coalesce(table_comment, ''), coalesce(engine, ''), table_type from information_schema.tables where"+place,
		table.schema, table.name).Scan(&info.comment, &engine, &kind)
	if errors.Is(err, sql.ErrNoRows) {
		return info, nil
	}
	if err != nil {
		return info, err
	}
	info.exists = true
	if kind == "BASE TABLE" && !strings.EqualFold(engine, "InnoDB") && !strings.EqualFold(engine, "ROCKSDB") {
		info.engine = engine
	}
	err = eachRow(ctx, q, func(scan func(...any) error) error {
		var name, nullable, extra string
		var def sql.NullString
		var c columnInfo
		if err := scan(&name, &c.sqlType, &c.limit, &nullable, &def, &extra); err != nil {
			return err
		}
		c.needed = nullable == "NO" && !def.Valid && extra == ""
		info.columns[strings.ToLower(name)] = c
		return nil
	}, `select column_name, column_type, coalesce(character_maximum_length, 0), is_nullable, column_default, coalesce(extra, '')
		from information_schema.columns where`+place, table.schema, table.name)
	if err != nil {
		return info, err
	}
	err = eachRow(ctx, q, func(scan func(...any) error) error {
		var columns string
		if err := scan(&columns); err != nil {
			return err
		}
		info.unique = append(info.unique, strings.Split(strings.ToLower(columns), ","))
		return nil
	}, `select group_concat(column_name order by seq_in_index) from information_schema.statistics
		where non_unique = 0 and sub_part is null and`+place+` group by index_name`, table.schema, table.name)
	return info, err
}

// missing leaves it to the statements: the server checks their rights when they are prepared, and names what is missing.
func (m *mysqlDialect) missing(context.Context, querier, tableName, ...string) ([]string, error) {
	return nil, nil
}

// packetOverhead is what the rest of a row takes at most beside the PDF.
const packetOverhead = 64 << 10

func (m *mysqlDialect) server(ctx context.Context, q querier) (serverInfo, error) {
	info := serverInfo{maxSetting: "max_allowed_packet", encoding: "utf8mb4"}
	var packet int64
	var flush int
	err := q.QueryRowContext(ctx, "select version(), @@max_allowed_packet, @@innodb_flush_log_at_trx_commit").Scan(&info.version, &packet, &flush)
	info.maxContent = packet - packetOverhead
	if flush != 1 {
		info.volatile = "innodb_flush_log_at_trx_commit = " + strconv.Itoa(flush)
	}
	return info, err
}
