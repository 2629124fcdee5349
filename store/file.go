package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"

	"askara-sync/askara"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// checkDir makes the state directory where it is missing. One that others may write to is refused, since they could replace the
// ledger; one that others may read is only remarked on, as every file in it is closed to them.
func checkDir(dir string, log *slog.Logger) error {
	if !filepath.IsAbs(dir) {
		return &Error{Op: "open state directory", Kind: askara.FaultConfiguration, Err: fmt.Errorf("%q is not an absolute path", dir),
			Remedy: "set state_dir to an absolute path"}
	}
	err := os.MkdirAll(dir, dirMode)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist) {
		return &Error{Op: "open state directory", Kind: askara.FaultConfiguration, Err: err, Remedy: "set state_dir to a directory"}
	}
	if err != nil {
		return wrap("create state directory", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return wrap("open state directory", err)
	}
	switch perm := info.Mode().Perm(); {
	case perm&0o022 != 0:
		return &Error{Op: "open state directory", Kind: askara.FaultConfiguration, Err: fmt.Errorf("others may write to %s (mode %04o)", dir, perm),
			Remedy: "chmod 0700 " + dir}
	case perm&0o055 != 0:
		log.Warn("others may look into the state directory", "dir", dir, "mode", fmt.Sprintf("%04o", perm))
	}
	return nil
}

// createFile makes an empty file that only its owner may open, before SQLite would make one that everybody may read. A file that is
// there is closed to others. SQLite gives the files beside it the same mode.
func createFile(path string) error {
	f, err := openOwned(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &Error{Op: "open " + filepath.Base(path), Kind: askara.FaultConfiguration, Err: errors.New("it is not a regular file"),
			Remedy: "move it out of the state directory"}
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return f.Chmod(fileMode)
}

// openOwned opens a file of the state directory, 0600 where it is made. What root makes belongs to the directory's owner, so that a
// command run by root does not lock the daemon out.
func openOwned(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW, fileMode)
	if err != nil || os.Geteuid() != 0 || flags&os.O_CREATE == 0 {
		return f, err
	}
	dir, err := os.Stat(filepath.Dir(path))
	if err == nil {
		if st, ok := dir.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			err = f.Chown(int(st.Uid), int(st.Gid))
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// writeDurable writes a file of the state directory whole: on return it is there, with its content, after a power cut.
// With replace false a file that has the name already is left and reported as fs.ErrExist.
func writeDurable(path string, content []byte, replace bool) error {
	temp := path + ".tmp"
	_ = os.Remove(temp)
	f, err := openOwned(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if replace {
		err = os.Rename(temp, path)
	} else {
		err = os.Link(temp, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openDB opens a database by its path; all that a connection needs is in the name, since every pragma is a connection's own.
func openDB(path string, conns int, query string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query}
	connector, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// readers is how many reads run at once; more would only wait for the same disk.
const readers = 3

// busyMillis is how long a connection waits for another process's write. Writes are short; only a backup of a large ledger or a slow
// disk comes near it.
const busyMillis = "30000"

func openReader(path string) (*reader, error) {
	db, err := openDB(path, readers, "mode=rw&_txlock=deferred&_query_only=1&_busy_timeout="+busyMillis+"&_pragma=cache_size(-128)&_foreign_keys=1")
	if err != nil {
		return nil, err
	}
	return newReader(db), nil
}

// openQuiet opens for reading without making a file. Where no log lies beside the database nobody is writing, and SQLite is told
// that the file does not change, since it would make a log and its index otherwise.
func openQuiet(path string) (*sql.DB, error) {
	query := "mode=ro&_query_only=1&_busy_timeout=" + busyMillis
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		query += "&immutable=1"
	}
	return openDB(path, 1, query)
}

// emptySize: SQLite takes a database of a single byte for an empty one, and throws away the log beside it.
const emptySize = 1

// torn says why the file cannot be all of the database that its header tells of, "" where it can be. SQLite itself fills
// what is missing of the last page with zeros and goes on. A log beside the file may hold what the file lacks.
func torn(path string) (string, error) {
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	header := make([]byte, 100) // its layout is fixed by SQLite's file format
	if _, err := io.ReadFull(f, header); err != nil || !bytes.HasPrefix(header, []byte("SQLite format 3\x00")) {
		return "", nil //nolint:nilerr // what is no database is refused, or repaired, for what it is
	}
	info, err := f.Stat() // after the header: another process may just be making the file longer
	if err != nil {
		return "", err
	}
	size := info.Size()
	page := int64(binary.BigEndian.Uint16(header[16:]))
	if page == 1 {
		page = 65536
	}
	pages := int64(binary.BigEndian.Uint32(header[28:]))
	current := bytes.Equal(header[24:28], header[92:96]) // whoever wrote last kept the number of pages
	switch {
	case page < 512:
		return "", nil
	case size%page != 0:
		return "the file ends within a page", nil
	case current && pages*page > size:
		return fmt.Sprintf("the file has %d pages of %d", size/page, pages), nil
	}
	return "", nil
}

// probe refuses a database that is not a ledger, or one of a newer version, before anything about it is changed.
func probe(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return wrap("open ledger", err)
	}
	if info.Size() <= emptySize {
		return nil // new, or just being made
	}
	if why, err := torn(path); err != nil {
		return wrap("open ledger", err)
	} else if why != "" {
		return wrap("open ledger", damageError(why))
	}
	db, err := openQuiet(path)
	if err != nil {
		return wrap("open ledger", err)
	}
	defer db.Close()
	var application, tables int
	err = db.QueryRowContext(ctx, `select application_id, (select count(*) from sqlite_schema) from pragma_application_id`).Scan(&application, &tables)
	if err != nil {
		return wrap("open ledger", err)
	}
	if application != applicationID && (application != 0 || tables != 0) {
		return &Error{Op: "open ledger", Kind: askara.FaultConfiguration, Err: fmt.Errorf("%s is a database of another program", path),
			Remedy: "set state_dir to a directory of askara-sync's own"}
	}
	version, err := schemaVersion(ctx, db)
	if err != nil {
		return wrap("open ledger", err)
	}
	if application == applicationID && version < 1 || application == 0 && version != 0 {
		return wrap("open ledger", damageError(fmt.Sprintf("the header says schema %d", version)))
	}
	if version > len(migrations) {
		return &Error{Op: "open ledger", Kind: askara.FaultConfiguration,
			Err:    fmt.Errorf("the ledger has schema %d and this version knows %d", version, len(migrations)),
			Remedy: "install the newer version again"}
	}
	return nil
}

func schemaVersion(ctx context.Context, db querier) (version int, err error) {
	err = db.QueryRowContext(ctx, `pragma user_version`).Scan(&version)
	return version, err
}
