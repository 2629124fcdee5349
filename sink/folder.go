package sink

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"askara-sync/askara"
)

// DefaultName is the template of file names where none is configured.
const DefaultName = `{{.Date.Format "2006-01-02"}}_{{.Patient.LastName}}_{{.Title}}_{{.ShortID}}.pdf`

// defaultMode is the mode of delivered files where none is configured.
const defaultMode fs.FileMode = 0o640

// Notebook keeps small facts durably: the ledger.
type Notebook interface {
	Note(ctx context.Context, key string) (value string, ok bool, err error)
	SetNote(ctx context.Context, key, value string) error
}

// FolderConfig says where and how documents become files.
type FolderConfig struct {
	// Path is the watched folder. It is made at first use, if the directory above it is there.
	Path string
	// Staging is where files are before they are complete: on the file system of Path and outside of it. "" means
	// ".NAME.askara-staging" beside Path.
	Staging string
	// Name is the template of file names; "" means DefaultName.
	Name string
	// Sidecar is "json" for a file of metadata beside each PDF; "" and "none" mean no such file.
	Sidecar string
	// FileMode is that of delivered files, whatever the umask; 0 means 0640.
	FileMode fs.FileMode
	// Group owns delivered files, by name or number; "" means the group of a setgid Path, else the process's.
	Group string
	// LedgerID is the ledger's; staging is bound to it.
	LedgerID string
	// Notebook remembers which file system the folder is on.
	Notebook Notebook
	// MaxSize is the most a document may have, in bytes; 0 means no limit.
	MaxSize int64
	// MinFree is what always stays free on the folder's file system, in bytes.
	MinFree int64
	// Location is the time zone of dates in names; nil means the machine's.
	Location *time.Location
	// Logger is told what a person should know; nil means silence.
	Logger *slog.Logger
}

// Folder delivers documents as files into a folder. It is safe for concurrent use, several may share one folder, and so may
// several processes of the same installation.
type Folder struct {
	path, staging string
	name          *Name
	sidecar       bool
	mode          fs.FileMode
	gid           int // -1: not configured
	ledger        string
	notebook      Notebook
	maxSize       int64
	minFree       int64
	location      *time.Location
	log           *slog.Logger
	// sync is os.File.Sync except in tests.
	sync func(*os.File) error
	// forced overrides what the file system can do, in tests.
	forced placing

	arriving atomic.Int64 // bytes announced by documents that are being staged
	moving   sync.Mutex   // held while names are chosen and files moved
	// entering is held while a name is made in staging or taken out of it. The kernel lets one in at a time anyway, and the others
	// spin on another processor meanwhile.
	entering sync.Mutex
	desks    desks

	// now is what Prepare found; nil while the folder is not there.
	now atomic.Pointer[prepared]

	mu      sync.Mutex      // guards what follows, and the making of directories in staging
	unready error           // why now is nil
	doubted map[string]bool // identities of trays that are not trusted any more
	names   map[string]slot // final names, folded, that staged files will take
	writing map[slot]bool   // staged files that are being written

	index  index  // of the folder's files by size, for Verify
	memory memory // of the folder's checksums, for Has
}

// slot says which staged file a final name is kept for.
type slot struct{ tray, staged string }

// OpenFolder checks the configuration and prepares the folder. Only an error that a person must correct in the configuration is
// returned; a folder that is merely not there now is Prepare's to report, each time.
func OpenFolder(ctx context.Context, c FolderConfig) (*Folder, error) {
	f, err := newFolder(c)
	if err != nil {
		return nil, err
	}
	if err := f.Prepare(ctx); err != nil && askara.FaultOf(err) != askara.FaultDestination {
		return nil, err
	}
	return f, nil
}

// NewFolder checks the configuration and touches no file: what it returns is good for Probe, and for the rest after Prepare.
func NewFolder(c FolderConfig) (*Folder, error) { return newFolder(c) }

func newFolder(c FolderConfig) (*Folder, error) {
	f := &Folder{
		sidecar: c.Sidecar == "json", mode: c.FileMode, gid: -1, ledger: c.LedgerID, notebook: c.Notebook,
		maxSize: c.MaxSize, minFree: c.MinFree, location: c.Location, log: c.Logger, sync: (*os.File).Sync,
		doubted: map[string]bool{}, names: map[string]slot{}, writing: map[slot]bool{},
		unready: &Error{Op: "prepare the folder", Kind: askara.FaultDestination, Err: errors.New("it has not been prepared")},
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.location == nil {
		f.location = time.Local
	}
	if f.mode == 0 {
		f.mode = defaultMode
	}
	if c.Path == "" {
		return nil, misconfigured("open the folder", "no folder is configured",
			"set sink.path to the folder that the practice software imports from")
	}
	if c.LedgerID == "" || c.Notebook == nil {
		return nil, &Error{Op: "open the folder", Kind: askara.FaultUnexpected, Err: errors.New("it has no ledger")}
	}
	if c.Sidecar != "" && c.Sidecar != "none" && c.Sidecar != "json" {
		return nil, misconfigured("open the folder", "unknown kind of sidecar", `set sink.sidecar to "none" or "json"`)
	}
	if f.mode&^0o666 != 0 || f.mode&0o400 == 0 {
		return nil, misconfigured("open the folder", "the file mode must let the owner read and may hold only rw bits",
			`set sink.file_mode to something like "0640"`)
	}
	name := c.Name
	if name == "" {
		name = DefaultName
	}
	var err error
	if f.name, err = ParseName(name); err != nil {
		return nil, &Error{Op: "read the name template", Kind: askara.FaultConfiguration, Err: err, hint: "correct sink.name"}
	}
	if f.gid, err = groupID(c.Group); err != nil {
		return nil, err
	}
	if f.path, err = filepath.Abs(c.Path); err == nil && c.Staging != "" {
		f.staging, err = filepath.Abs(c.Staging)
	}
	if err != nil {
		return nil, &Error{Op: "open the folder", Kind: askara.FaultConfiguration, Err: bare(err),
			hint: "set sink.path to an absolute path"}
	}
	if f.path == "/" {
		return nil, misconfigured("open the folder", "it is the root of the machine", "set sink.path to a directory of its own")
	}
	if f.staging == "" {
		f.staging = filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".askara-staging")
	}
	return f, nil
}

// groupID finds a group by name or number; -1 for "".
func groupID(group string) (int, error) {
	if group == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return -1, &Error{
			Op: "look up the group", Kind: askara.FaultConfiguration, Err: err,
			hint: "correct sink.group (see: getent group), or give the group's number",
		}
	}
	return strconv.Atoi(g.Gid)
}

func misconfigured(op, what, hint string) error {
	return &Error{Op: op, Kind: askara.FaultConfiguration, Err: errors.New(what), hint: hint}
}
