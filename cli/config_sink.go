package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"askara-sync/sink"
)

// checkSink finds what is wrong with a destination; path is the name of its table in the file, for the messages. What an account has
// from [sink] is reported there, once.
func checkSink(s *Sink, path, stateDir string, f *faults) {
	key := func(name string) string {
		if _, own := f.lines[path+"."+name]; own {
			return path + "." + name
		}
		return "sink." + name
	}
	bad := func(name string, err error, got string) {
		if err != nil {
			f.add(key(name), err.Error(), got)
		}
	}
	bad("type", oneOf(s.Type, "folder", "sqlite", "postgres", "mysql"), quote(s.Type))
	bad("sidecar", oneOf(s.Sidecar, "none", "json"), quote(s.Sidecar))
	bad("content", oneOf(s.Content, "inline", "file"), quote(s.Content))
	if _, err := sink.ParseName(s.Name); err != nil {
		f.add(key("name"), "no template for a file name: "+err.Error(), quote(s.Name))
	}
	if s.FileMode&0o600 != 0o600 {
		f.add(key("file_mode"), "must let the owner read and write, 0600", fmt.Sprintf("%#o", s.FileMode))
	} else if s.FileMode&0o002 != 0 {
		f.add(key("file_mode"), "must not let everybody change a medical document", fmt.Sprintf("%#o", s.FileMode))
	}
	if strings.ContainsFunc(s.Group, notPrintable) || strings.ContainsRune(s.Group, ':') {
		f.add(key("group"), "must be the name of a group", quote(s.Group))
	}
	checkSize(f, key("min_free"), s.MinFree, 0, 1<<50)
	if s.Type != "folder" {
		checkStatements(s, bad)
	}
	if s.DSNFile != "" && !filepath.IsAbs(s.DSNFile) {
		f.add(key("dsn_file"), "must be the absolute path of a file that holds the connection string, not the string itself", "")
	}
	if s.Exists != "" && s.Insert == "" {
		f.add(key("exists"), "is of use only together with insert", "")
	}
	checkSinkPaths(s, key, stateDir, f)
}

// checkStatements checks what can be known of a table and of an integrator's statements without their database.
func checkStatements(s *Sink, bad func(name string, err error, got string)) {
	bad("table", sink.ParseTable(s.Table), quote(s.Table))
	if oneOf(s.Type, "sqlite", "postgres", "mysql") != nil {
		return // the statements' language is not known
	}
	if s.Insert != "" {
		bad("insert", sink.ParseInsert(s.Type, s.Insert, s.Content), quote(s.Insert))
	}
	if s.Exists != "" {
		bad("exists", sink.ParseExists(s.Type, s.Exists), quote(s.Exists))
	}
}

func checkSinkPaths(s *Sink, key func(string) string, stateDir string, f *faults) {
	if (s.Type == "folder" || s.Type == "sqlite") && !checkAbsolute(f, key("path"), s.Path) {
		return
	}
	from := "path" // the key that names the folder
	if s.Type != "folder" {
		if s.Content != "file" {
			return
		}
		if s.Folder == "" && s.Type == "sqlite" {
			f.add(key("folder"), "is missing: content = \"file\" needs a folder for the files", "")
			return
		}
		if s.Folder != "" {
			from = "folder"
		}
	}
	dir := s.Directory()
	if !checkAbsolute(f, key(from), dir) {
		return
	}
	if inside(stateDir, dir) || inside(dir, stateDir) {
		f.add(key(from), "must not be, hold or be inside state_dir", quote(dir))
	}
	if s.Staging == "" || !checkAbsolute(f, key("staging"), s.Staging) {
		return
	}
	if inside(s.Staging, dir) {
		f.add(key("staging"), "must be outside sink."+from+", or the importer would see unfinished files", quote(s.Staging))
	}
	if inside(dir, s.Staging) {
		f.add(key("staging"), "must not hold sink."+from, quote(s.Staging))
	}
}
