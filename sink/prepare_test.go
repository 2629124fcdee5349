package sink_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"askara-sync/askara"
	"askara-sync/sink"

	"golang.org/x/sys/unix"
)

func root(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting and giving files away takes root")
	}
}

// tmpfs mounts a file system of its own.
func tmpfs(t testing.TB, dir, options string) {
	t.Helper()
	root(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

func openError(t testing.TB, c sink.FolderConfig) error {
	t.Helper()
	_, err := sink.OpenFolder(t.Context(), c)
	return err
}

// prepareError opens a folder whose trouble only Prepare tells.
func prepareError(t testing.TB, c sink.FolderConfig) error {
	t.Helper()
	f, err := sink.OpenFolder(t.Context(), c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	err = f.Prepare(t.Context())
	if _, serr := f.Stage(t.Context(), deliveryOf(1), strings.NewReader("%PDF-1.4"), -1); serr == nil && err != nil {
		t.Error("staged though the folder is not ready")
	}
	return err
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	tests := []struct {
		name string
		set  func(*sink.FolderConfig)
		hint string
	}{
		{"no path", func(c *sink.FolderConfig) { c.Path = "" }, "sink.path"},
		{"root", func(c *sink.FolderConfig) { c.Path = "/" }, "sink.path"},
		{"name", func(c *sink.FolderConfig) { c.Name = "{{.Titel}}" }, "sink.name"},
		{"sidecar", func(c *sink.FolderConfig) { c.Sidecar = "xml" }, "sink.sidecar"},
		{"mode", func(c *sink.FolderConfig) { c.FileMode = 0o755 }, "sink.file_mode"},
		{"unreadable mode", func(c *sink.FolderConfig) { c.FileMode = 0o040 }, "sink.file_mode"},
		{"group", func(c *sink.FolderConfig) { c.Group = "no-such-group" }, "sink.group"},
		{"staging is the folder", func(c *sink.FolderConfig) { c.Staging = c.Path }, "sink.staging"},
		{"staging inside", func(c *sink.FolderConfig) { c.Staging = filepath.Join(c.Path, "a", "b") }, "sink.staging"},
		{"staging inside by a link", func(c *sink.FolderConfig) {
			link := filepath.Join(filepath.Dir(c.Path), "link")
			_ = os.Symlink(c.Path, link)
			c.Staging = filepath.Join(link, "staging")
		}, "sink.staging"},
		{"folder inside staging", func(c *sink.FolderConfig) { c.Staging = filepath.Dir(c.Path) }, "sink.staging"},
		{"folder is a file", func(c *sink.FolderConfig) { _ = os.WriteFile(c.Path, nil, 0o600) }, "sink.path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := config(t)
			tt.set(&c)
			wantFault(t, openError(t, c), askara.FaultConfiguration, tt.hint)
		})
	}
}

func TestStagingOnAnotherFileSystemIsRefused(t *testing.T) {
	c := config(t)
	c.Staging = filepath.Join(t.TempDir(), "elsewhere")
	tmpfs(t, c.Staging, "size=1m")
	wantFault(t, openError(t, c), askara.FaultConfiguration, "sink.staging")
}

func TestFolderThatIsAMountPointIsRefused(t *testing.T) {
	c := config(t)
	tmpfs(t, c.Path, "size=1m")
	wantFault(t, openError(t, c), askara.FaultConfiguration, filepath.Join(c.Path, "inbox"))
}

// A bind mount has the device number of what it shows, and yet nothing can be renamed into it.
func TestStagingAcrossABindMountIsRefused(t *testing.T) {
	root(t)
	c := config(t)
	if err := os.Mkdir(c.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(c.Path, c.Path, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(c.Path, unix.MNT_DETACH) })
	wantFault(t, openError(t, c), askara.FaultConfiguration, "ReadWritePaths=")
}

func TestTwoInstallationsCannotShareStaging(t *testing.T) {
	c := config(t)
	open(t, c)
	other := c
	other.LedgerID, other.Notebook = "ledger-2", &notes{}
	wantFault(t, openError(t, other), askara.FaultConfiguration, "install-folder")

	if err := sink.Adopt(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	open(t, other)
	wantFault(t, openError(t, c), askara.FaultConfiguration, "install-folder")
}

func TestFolderThatVanishedIsNotMadeAgain(t *testing.T) {
	c := config(t)
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	if err := os.RemoveAll(c.Path); err != nil {
		t.Fatal(err)
	}
	for _, err := range f.Deliver(t.Context(), []askara.Delivery{d}) {
		wantFault(t, err, askara.FaultDestination, "mounted")
	}
	wantFault(t, f.Prepare(t.Context()), askara.FaultDestination, "mounted")
	wantFault(t, prepareError(t, c), askara.FaultDestination, "mounted")
	if _, err := os.Stat(c.Path); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the folder was made again")
	}
	// Back again, it goes on where it was.
	if err := os.Mkdir(c.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Settle(t.Context(), &d); err != nil || got != askara.SettledStaged {
		t.Fatalf("settled as %v, %v", got, err)
	}
	deliver(t, f, []askara.Delivery{d})
}

func TestFolderBelowAMissingDirectoryWaits(t *testing.T) {
	c := config(t)
	c.Path = filepath.Join(c.Path, "a", "b")
	wantFault(t, prepareError(t, c), askara.FaultDestination, "mount")
}

// The classic: the share is not mounted, and its empty mount point must not be filled.
func TestEmptyMountPointIsNotFilled(t *testing.T) {
	c := config(t)
	share := filepath.Dir(c.Path)
	tmpfs(t, share, "size=8m")
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	if err := unix.Unmount(share, 0); err != nil {
		t.Fatalf("the folder keeps its file system from being unmounted: %v", err)
	}
	if err := os.Mkdir(c.Path, 0o755); err != nil { // the empty mount point, with the folder's name
		t.Fatal(err)
	}
	for _, err := range f.Deliver(t.Context(), []askara.Delivery{d}) {
		wantFault(t, err, askara.FaultDestination, "mounted")
	}
	_, err := f.Stage(t.Context(), d, strings.NewReader("%PDF-1.4"), -1)
	wantFault(t, err, askara.FaultDestination, "mounted")
	wantFault(t, prepareError(t, c), askara.FaultDestination, "install-folder")
	// Even where someone has made a staging directory too.
	if err := os.Mkdir(sink.StagingOf(f), 0o700); err != nil {
		t.Fatal(err)
	}
	wantFault(t, prepareError(t, c), askara.FaultDestination, "install-folder")
	if got := list(t, c.Path); len(got) != 0 {
		t.Errorf("the mount point was filled with %q", got)
	}
	if err := sink.Adopt(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	open(t, c)
}

// TestStagingReplacedWhileRunningIsNotUsed: Prepare comes first, and says what is wrong.
func TestStagingReplacedWhileRunningIsNotUsed(t *testing.T) {
	c := config(t)
	f := open(t, c)
	if err := errors.Join(os.Rename(sink.StagingOf(f), sink.StagingOf(f)+".away"), os.Mkdir(sink.StagingOf(f), 0o700)); err != nil {
		t.Fatal(err)
	}
	_, err := f.Stage(t.Context(), deliveryOf(1), strings.NewReader("%PDF-1.4"), -1)
	wantFault(t, err, askara.FaultDestination, "mounted")
	if got := list(t, sink.StagingOf(f)); len(got) != 0 {
		t.Errorf("it was filled with %q", got)
	}
}

// A folder that was exchanged may be the wrong one; Prepare decides, and it knows staging.
func TestFolderReplacedWhileRunningIsPreparedFirst(t *testing.T) {
	c := config(t)
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	if err := errors.Join(os.Rename(c.Path, c.Path+".away"), os.Mkdir(c.Path, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, err := range f.Deliver(t.Context(), []askara.Delivery{d}) {
		wantFault(t, err, askara.FaultDestination, "mounted")
	}
	if _, err := f.Settle(t.Context(), &d); askara.FaultOf(err) != askara.FaultDestination {
		t.Errorf("settled: %v", err)
	}
	if err := f.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliver(t, f, []askara.Delivery{d})
}

// TestReplacedStagingIsSaid: nothing is wrong with the disk, only the staging directory is gone.
func TestReplacedStagingIsSaid(t *testing.T) {
	c := config(t)
	f := open(t, c)
	if err := os.RemoveAll(sink.StagingOf(f)); err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	open(t, c)
	if !strings.Contains(logged.String(), "level=WARN") || !strings.Contains(logged.String(), "replaced") {
		t.Errorf("logged %q", logged.String())
	}
}

func TestFolderUnderTwoNames(t *testing.T) {
	c := config(t)
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(c.Path), link); err != nil {
		t.Fatal(err)
	}
	c.Path = filepath.Join(link, "inbox")
	f = open(t, c)
	if got, err := f.Settle(t.Context(), &d); err != nil || got != askara.SettledStaged {
		t.Fatalf("settled as %v, %v", got, err)
	}
	deliver(t, f, []askara.Delivery{d})
}

func TestReadOnlyFileSystemWaits(t *testing.T) {
	c := config(t)
	share := filepath.Dir(c.Path)
	tmpfs(t, share, "size=8m")
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", share, "", unix.MS_REMOUNT|flags, "size=8m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	_, err := f.Stage(t.Context(), deliveryOf(2), strings.NewReader("%PDF-1.4"), -1)
	wantFault(t, err, askara.FaultDestination, "writable")
	for _, err := range f.Deliver(t.Context(), []askara.Delivery{d}) {
		wantFault(t, err, askara.FaultDestination, "writable")
	}
	wantFault(t, f.Prepare(t.Context()), askara.FaultDestination, "writable")
	remount(0)
	if err := f.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliver(t, f, []askara.Delivery{d})
}

func TestNotebookThatFailsIsSaid(t *testing.T) {
	c := config(t)
	c.Notebook = brokenNotes{}
	if err := openError(t, c); !errors.Is(err, errNotes) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(c.Path); err == nil {
		t.Error("the folder was made though it could not be noted")
	}
}

var errNotes = errors.New("notes are gone")

type brokenNotes struct{}

func (brokenNotes) Note(context.Context, string) (string, bool, error) { return "", false, errNotes }
func (brokenNotes) SetNote(context.Context, string, string) error      { return errNotes }

func TestGroupIsGivenToFiles(t *testing.T) {
	root(t)
	gid := func(path string) int {
		t.Helper()
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return int(st.Gid)
	}
	for _, tt := range []struct {
		name, group string
		setgid      bool
		want        int
	}{{"configured", "12345", false, 12345}, {"of a setgid folder", "", true, 12346}, {"configured wins", "12345", true, 12345}, {"neither", "", false, os.Getgid()}} {
		t.Run(tt.name, func(t *testing.T) {
			c := config(t)
			c.Group, c.Sidecar = tt.group, "json"
			if err := errors.Join(os.Mkdir(c.Path, 0o755), os.Chown(c.Path, 0, 12346)); err != nil {
				t.Fatal(err)
			}
			if tt.setgid {
				if err := os.Chmod(c.Path, 0o775|os.ModeSetgid); err != nil {
					t.Fatal(err)
				}
			}
			f := open(t, c)
			d := deliveryOf(1)
			stage(t, f, &d, pdf(1))
			if got := gid(filepath.Join(sink.StagingOf(f), sink.TrayOf("default"), d.Receipt.Staged)); got != tt.want {
				t.Errorf("before the move: got group %d, want %d", got, tt.want)
			}
			deliver(t, f, []askara.Delivery{d})
			names := list(t, c.Path)
			if len(names) != 2 {
				t.Fatalf("the folder holds %q", names)
			}
			for _, name := range names {
				if got := gid(filepath.Join(c.Path, name)); got != tt.want {
					t.Errorf("got group %d, want %d", got, tt.want)
				}
			}
		})
	}
}

func TestProbe(t *testing.T) {
	c := config(t)
	f, err := sink.OpenFolder(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	before := list(t, sink.StagingOf(f))
	byName := map[string]sink.Finding{}
	for _, finding := range f.Probe(t.Context()) {
		byName[finding.Name] = finding
		if finding.Level == sink.LevelFail || (finding.Level == sink.LevelOK) != (finding.Remedy == "") {
			t.Errorf("%+v", finding)
		}
	}
	for _, name := range []string{"folder", "file system", "free space", "staging", "delivering"} {
		if byName[name].Text == "" {
			t.Errorf("nothing is said about %q", name)
		}
	}
	if after := list(t, sink.StagingOf(f)); len(after) != len(before) {
		t.Errorf("staging held %q, then %q", before, after)
	}
	// And of a folder that is wrong.
	if err := os.RemoveAll(c.Path); err != nil {
		t.Fatal(err)
	}
	if got := f.Probe(t.Context()); len(got) != 1 || got[0].Level != sink.LevelFail || !strings.Contains(got[0].Remedy, "mounted") {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(c.Path); err == nil {
		t.Error("looking made the folder")
	}
}

func TestProbeBeforeFirstUseMakesNothing(t *testing.T) {
	c := config(t)
	f := open(t, c)
	if err := errors.Join(os.RemoveAll(c.Path), os.RemoveAll(sink.StagingOf(f))); err != nil {
		t.Fatal(err)
	}
	c.Notebook.(*notes).m = nil
	if got := f.Probe(t.Context()); len(got) != 1 || got[0].Level != sink.LevelWarn {
		t.Errorf("got %+v", got)
	}
	if got := list(t, filepath.Dir(c.Path)); len(got) != 0 {
		t.Errorf("looking made %q", got)
	}
}

// The note is kept in the ledger for years; its form must stay readable.
func TestNote(t *testing.T) {
	c := config(t)
	open(t, c)
	value, ok, _ := c.Notebook.Note(t.Context(), "folder:"+c.Path)
	var note struct {
		Type int64  `json:"type"`
		FSID string `json:"fsid"`
	}
	if err := json.Unmarshal([]byte(value), &note); !ok || err != nil || note.Type == 0 || len(note.FSID) != 16 {
		t.Errorf("got %q, %v, %v", value, ok, err)
	}
}
