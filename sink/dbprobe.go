package sink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"askara-sync/askara"
)

// Probe looks the destination over for a person, and changes nothing in the database: a table that is missing is not made.
func (d *Database) Probe(ctx context.Context) []Finding {
	var out []Finding
	add := func(name string, level Level, remedy, format string, args ...any) {
		out = append(out, Finding{Name: name, Level: level, Text: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	f, err := d.check(ctx, false)
	if f != nil {
		add("database", LevelOK, "", "%s at %s", f.server.version, d.dialect.place())
		d.probeServer(f.server, add)
	}
	switch {
	case errors.Is(err, errNotMade) && d.dialect.kind() == KindSQLite:
		add("table", LevelOK, "", "table %s is made by the first pass", d.proofTable)
	case errors.Is(err, errNotMade):
		add("table", LevelWarn, "nothing, if this user may create tables; otherwise let an administrator run:\n"+d.Schema(),
			"table %s is not there yet; the first pass makes it", d.proofTable)
	case err != nil:
		add("table", LevelFail, askara.HintOf(err), "%v", err)
	default:
		add("table", LevelOK, "", "table %s takes documents", d.target)
	}
	if d.dialect.exposed() {
		add("encryption", LevelWarn, "ask for TLS in the connection string: sslmode=verify-full (PostgreSQL) or tls=true (MySQL)",
			"documents cross the network to %s unencrypted, or would if the server asked for it", d.dialect.place())
	}
	if d.spool == nil {
		return append(out, d.config.Folder.Probe(ctx)...)
	}
	if err := d.probeSpool(); err != nil {
		add("spool", LevelFail, askara.HintOf(err), "%v", err)
	}
	return out
}

func (d *Database) probeServer(s serverInfo, add func(name string, level Level, remedy, format string, args ...any)) {
	if s.volatile != "" {
		add("durability", LevelWarn, "set it to its safe value in the database's configuration",
			"%s: a power cut may take documents that the database has committed, and Askara has been told of", s.volatile)
	}
	switch {
	case s.asciiOnly:
		add("encoding", LevelWarn, "use a database made with encoding UTF8",
			"the database has no encoding (%s): documents with an accented letter in their metadata are refused", s.encoding)
	case !strings.HasPrefix(strings.ToUpper(s.encoding), "UTF"):
		add("encoding", LevelWarn, "use a database made with encoding UTF8",
			"the database's encoding is %s: documents with a character outside of it in their metadata are refused", s.encoding)
	}
	if limit := s.maxContent; limit > 0 && (d.config.MaxSize == 0 || limit < d.config.MaxSize) && d.spool != nil {
		add("document size", LevelWarn, "raise "+s.maxSetting+" in the database's configuration",
			"the database takes documents of up to %d bytes; larger ones are parked", limit)
	}
}

// probeSpool looks whether a document could be put into the spool.
func (d *Database) probeSpool() error {
	if err := os.MkdirAll(d.spool.dir, 0o700); err != nil {
		return failure("make spool", d.spool.dir, err)
	}
	f, err := os.CreateTemp(d.spool.dir, "probe-")
	if err != nil {
		return failure("make spool file", d.spool.dir, err)
	}
	defer os.Remove(f.Name())
	return failure("close spool file", d.spool.dir, f.Close())
}
