package cli

import (
	"context"
	"path/filepath"

	"askara-sync/askara"
	"askara-sync/sink"
	"askara-sync/store"
)

// noNotes is the notebook of an installation without a ledger: nothing was ever written.
type noNotes struct{}

func (noNotes) Note(context.Context, string) (string, bool, error) { return "", false, nil }
func (noNotes) SetNote(context.Context, string, string) error      { return nil }

// sinks reports on every destination.
func (d *doctor) sinks(ctx context.Context, ledger *store.Store) {
	var seen []Sink
	for _, a := range d.cfg.Accounts {
		known := false
		for _, s := range seen {
			known = known || samePlace(s, a.Sink)
		}
		if known {
			continue
		}
		seen = append(seen, a.Sink)
		suffix := ""
		if len(d.cfg.Accounts) > 1 {
			suffix = " (" + a.Name + ")"
		}
		findings, err := d.probe(ctx, ledger, a)
		if err != nil {
			d.report.failed(a.Sink.Type+suffix, err, "")
		}
		for _, f := range findings {
			switch f.Level {
			case sink.LevelOK:
				d.report.ok(f.Name+suffix, "%s", f.Text)
			case sink.LevelWarn:
				d.report.warn(f.Name+suffix, f.Text, f.Remedy)
			default:
				d.report.fail(f.Name+suffix, askara.FaultDestination, f.Text, f.Remedy)
			}
		}
	}
}

// probe looks at one destination without preparing it.
func (d *doctor) probe(ctx context.Context, ledger *store.Store, acc Account) ([]sink.Finding, error) {
	a := &App{Config: d.cfg, Store: ledger, Logger: d.Logger}
	var folder *sink.Folder
	if s := acc.Sink; s.Directory() != "" {
		c := sink.FolderConfig{LedgerID: "none yet", Notebook: noNotes{}}
		if ledger != nil {
			c = a.folderConfig(s)
		} else {
			c.Path, c.Staging, c.Name, c.Sidecar, c.FileMode, c.Group = s.Path, s.Staging, s.Name, s.Sidecar, s.FileMode, s.Group
			c.MaxSize, c.MinFree, c.Location, c.Logger = int64(d.cfg.Limits.MaxDocumentSize), int64(s.MinFree), d.cfg.Location, d.Logger
		}
		if s.Type != "folder" {
			c.Path = s.Directory()
		}
		var err error
		if folder, err = sink.NewFolder(c); err != nil {
			return nil, err
		}
		if s.Type == "folder" {
			return folder.Probe(ctx), nil
		}
	}
	s := acc.Sink
	c := sink.DatabaseConfig{
		Type: s.Type, Path: s.Path, FileMode: s.FileMode, Group: s.Group, DSN: s.DSN, Table: s.Table, Insert: s.Insert,
		Exists: s.Exists, Content: s.Content, Folder: folder, Spool: filepath.Join(d.cfg.StateDir, "spool", escaped(acc.Name)),
		Ledger: filepath.Join(d.cfg.StateDir, ledgerFile), LedgerID: "none yet",
		MaxSize: int64(d.cfg.Limits.MaxDocumentSize), Logger: d.Logger,
	}
	if ledger != nil {
		c.LedgerID = ledger.ID()
	}
	db, err := sink.OpenDatabase(ctx, c)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return db.Probe(ctx), nil
}
