package sink_test

import (
	"os"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/sink"
)

// finding returns the first finding of a name.
func finding(t *testing.T, found []sink.Finding, name string) sink.Finding {
	t.Helper()
	for _, f := range found {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no finding %q in %+v", name, found)
	return sink.Finding{}
}

func TestDatabaseProbe(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		f := e.fixture(t)
		f.config.MaxSize = 100 << 20
		d := f.open(t)
		before := d.Probe(t.Context())
		if got := finding(t, before, "table"); got.Level == sink.LevelFail || !strings.Contains(got.Text, "first pass") {
			t.Errorf("before the first pass: got %+v", got)
		}
		if e.server == nil {
			if _, err := os.Stat(f.config.Path); err == nil {
				t.Error("probing made the file")
			}
		} else if !strings.Contains(finding(t, before, "table").Remedy, "create table") {
			t.Error("the remedy does not show how to make the table")
		}
		if err := d.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := d.Probe(t.Context())
		for _, name := range []string{"database", "table"} {
			if got := finding(t, after, name); got.Level != sink.LevelOK {
				t.Errorf("got %+v, want ok", got)
			}
		}
		for _, got := range after {
			if got.Level == sink.LevelFail || got.Level != sink.LevelOK && got.Remedy == "" {
				t.Errorf("got %+v", got)
			}
		}
		if e.kind == sink.KindMySQL {
			if got := finding(t, after, "document size"); got.Level != sink.LevelWarn || !strings.Contains(got.Remedy, "max_allowed_packet") {
				t.Errorf("document size: got %+v", got)
			}
		}
		f.exec(t, "alter table askara_documents rename column title to titre")
		if got := finding(t, d.Probe(t.Context()), "table"); got.Level != sink.LevelFail || got.Remedy == "" {
			t.Errorf("a column is missing: got %+v", got)
		}
		if e.server != nil {
			e.server.Kill()
			if got := finding(t, d.Probe(t.Context()), "table"); got.Level != sink.LevelFail {
				t.Errorf("the server is down: got %+v", got)
			}
			e.server.Start()
		}
	})
}

// The schema that an administrator is shown is the one that is made, and it can be run.
func TestSchemaCanBeRun(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *engine) {
		f := e.fixture(t)
		d := f.open(t)
		for statement := range strings.SplitSeq(d.Schema(), ";\n") {
			if strings.TrimSpace(statement) != "" {
				f.exec(t, statement)
			}
		}
		if e.kind == sink.KindPostgres {
			f.exec(t, "grant insert, select on askara_documents to clinic")
		}
		d = f.prepared(t)
		batch := spooledAll(t, d, 1, 3)
		putAll(t, d, batch)
		f.once(t, batch)
	})
}

func TestWrongDatabaseSettings(t *testing.T) {
	good := func() sink.DatabaseConfig {
		return sink.DatabaseConfig{Type: sink.KindSQLite, Path: t.TempDir() + "/x.db", Spool: t.TempDir()}
	}
	for _, c := range []struct {
		key    string
		change func(c *sink.DatabaseConfig)
	}{
		{"sink.type", func(c *sink.DatabaseConfig) { c.Type = "oracle" }},
		{"sink.path", func(c *sink.DatabaseConfig) { c.Path = "" }},
		{"sink.table", func(c *sink.DatabaseConfig) { c.Table = `x"; drop table y` }},
		{"sink.table", func(c *sink.DatabaseConfig) { c.Table = strings.Repeat("x", 60) }},
		{"sink.insert", func(c *sink.DatabaseConfig) { c.Insert = "insert into x values (:contant)" }},
		{"sink.exists", func(c *sink.DatabaseConfig) { c.Exists = "select 1 where 1 = :uuid" }},
		{"sink.content", func(c *sink.DatabaseConfig) { c.Content = "both" }},
		{"sink.content", func(c *sink.DatabaseConfig) { c.Content = sink.ContentFile }},
		{"sink.dsn_file", func(c *sink.DatabaseConfig) { c.Type, c.DSN = sink.KindPostgres, "postgres://u:s3cret@h:SECRET/x" }},
		{"sink.dsn_file", func(c *sink.DatabaseConfig) { c.Type, c.DSN = sink.KindMySQL, "u:s3cret@tcp(SECRET" }},
		{"sink.dsn_file", func(c *sink.DatabaseConfig) { c.Type, c.DSN = sink.KindMySQL, "u:s3cret@tcp(h:1)/" }},
		{"sink.dsn_file", func(c *sink.DatabaseConfig) { c.Type, c.DSN = sink.KindMySQL, "u:s3cret@tcp(h:1)/db?tls_ca=/nowhere" }},
	} {
		config := good()
		c.change(&config)
		_, err := sink.OpenDatabase(t.Context(), config)
		wantTrouble(t, err, askara.FaultConfiguration, c.key)
	}
	d, err := sink.OpenDatabase(t.Context(), good())
	if err != nil {
		t.Fatalf("what is right: %v", err)
	}
	d.Close()
}
