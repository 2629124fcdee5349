package sink

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

var (
	// mysqlColumn finds the column at the end of a message, behind any value that is quoted in it.
	mysqlColumn = regexp.MustCompile("(?:column|Column|Field) ['`]?(?:[^'` ]+`\\.`)*([A-Za-z_][A-Za-z0-9_]*)['`]?(?: at row \\d+| cannot be null| doesn't have a default value| in '[^']*')?$")
	// mysqlDenied finds the right that is missing.
	mysqlDenied = regexp.MustCompile(`^([A-Z]+(?:, [A-Z]+)*) command denied`)
	// mysqlTable finds the table in "Table 'db.name' doesn't exist".
	mysqlTable = regexp.MustCompile(`^Table '(?:[^'.]+\.)?([A-Za-z_][A-Za-z0-9_]*)' doesn't exist$`)
)

func (m *mysqlDialect) diagnose(err error) trouble {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		switch {
		case errors.Is(err, mysql.ErrPktTooLarge):
			return trouble{kind: troubleTooLarge, note: "max_allowed_packet"}
		case errors.Is(err, mysql.ErrNoTLS):
			return trouble{kind: troubleDown, note: "it does not speak TLS"}
		}
		if t, ok := transport(err); ok {
			return t
		}
		if errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, mysql.ErrMalformPkt) || errors.Is(err, mysql.ErrPktSync) || errors.Is(err, mysql.ErrBusyBuffer) {
			return trouble{kind: troubleLost}
		}
		return trouble{}
	}
	t := trouble{kind: mysqlKind(e.Number), code: strconv.Itoa(int(e.Number))}
	switch t.kind {
	case troubleDenied:
		if found := mysqlDenied.FindStringSubmatch(e.Message); found != nil {
			t.note = found[1]
		}
	case troubleNoTable:
		if found := mysqlTable.FindStringSubmatch(e.Message); found != nil {
			t.table = found[1]
		}
	case troubleTooLong, troubleBadValue, troubleRequired, troubleNoColumn:
		if found := mysqlColumn.FindStringSubmatch(e.Message); found != nil {
			t.column = found[1]
		}
		if e.Number == 1366 && strings.HasPrefix(e.Message, "Incorrect string value") {
			t.kind = troubleEncoding
		}
	case troubleTooLarge:
		t.note = "max_allowed_packet"
		if e.Number == 1118 {
			t.note = "innodb_log_file_size"
		}
	case troubleOther:
		if strings.Contains(e.Message, "max_allowed_packet") {
			t.kind, t.note = troubleTooLarge, "max_allowed_packet"
		}
	}
	return t
}

// mysqlKind sorts the error numbers of MySQL and MariaDB.
func mysqlKind(number uint16) troubleKind {
	switch number {
	case 1213, 1020, 1637:
		return troubleTransient
	case 1205, 1969, 3024, 1317:
		return troubleTimeout
	case 1053, 1077, 1078, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031:
		return troubleLost
	case 1040, 1203, 1226, 1129, 1135, 1042, 1043, 1012, 1015, 1016, 1030, 1033, 1034, 1035, 1194, 1195, 3, 5, 6, 1026:
		return troubleDown
	case 1045, 1130, 1131, 1132, 1251, 1275, 1698, 1820, 1862, 4151:
		return troubleLogin
	case 1044, 1049:
		return troubleNoDatabase
	case 1021, 1037, 1038, 1041, 1114:
		return troubleFull
	case 1290, 1792, 1836, 3100:
		return troubleReadOnly
	case 1142, 1143, 1227, 1370:
		return troubleDenied
	case 1146:
		return troubleNoTable
	case 1054:
		return troubleNoColumn
	case 1064, 1136, 1149, 1210, 1235, 1305:
		return troubleStatement
	case 1062, 1169, 1586:
		return troubleDuplicate
	case 1216, 1452:
		return troubleReference
	case 1048, 1364, 1263:
		return troubleRequired
	case 3819, 4025, 1644, 1643, 1369:
		return troubleCheck
	case 1406:
		return troubleTooLong
	case 1264, 1265, 1292, 1366, 1411, 1416, 1426, 1427, 1441, 3140, 3141, 3144, 4078:
		return troubleBadValue
	case 1267, 1300, 3854:
		return troubleEncoding
	case 1118, 1153, 1301, 1705:
		return troubleTooLarge
	}
	return troubleOther
}
