package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"askara-sync/askara"
)

func newInstallFolderCmd(r *Run) *cobra.Command {
	var f folderInstall
	cmd := &cobra.Command{
		Use:   "install-folder PATH",
		Short: "Lets the service write into the import folder",
		Long: strings.TrimSpace(`
Lets the service write into the folder that the practice software imports from: it makes the staging folder beside it, checks
that the service's user may write there, and writes a systemd drop-in, since the unit may write nowhere but to its state.
The folder itself stays as it is; where it does not exist yet it is made.`),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &UsageError{Problem: "install-folder needs one folder", Remedy: "askara-sync install-folder /srv/askara/inbox"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			f.path, f.user, f.dropIn = filepath.Clean(args[0]), ServiceUser, dropInFile
			f.say = func(format string, args ...any) { fmt.Fprintf(r.Stdout, format+"\n", args...) }
			if err := f.install(cmd.Context()); err != nil || f.dryRun {
				return err
			}
			return adoptFolder(cmd.Context(), r, f.path)
		},
	}
	cmd.Flags().StringVar(&f.group, "group", "", "the `GROUP` through which the service may write (default: the folder's own)")
	cmd.Flags().StringVar(&f.staging, "staging", "", "the staging `FOLDER`, as in sink.staging (default: beside PATH)")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

// folderInstall prepares one import folder.
type folderInstall struct {
	path, staging, group string
	user                 string // that the service runs as
	dropIn               string
	dryRun               bool
	say                  func(format string, args ...any)

	uid, gid  int   // of user
	groupID   int   // of group
	groups    []int // what the service will have
	makesPath bool
}

// installError is what keeps the service from using a folder.
type installError struct{ problem, remedy string }

func (e *installError) Error() string       { return e.problem }
func (e *installError) Hint() string        { return e.remedy }
func (e *installError) Fault() askara.Fault { return askara.FaultConfiguration }

func (f *folderInstall) install(ctx context.Context) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.makesPath {
		if err := f.makeDir(f.path, 0o770, f.groupID); err != nil {
			return err
		}
	}
	if err := f.checkAccess(ctx); err != nil {
		return err
	}
	if err := f.makeStaging(); err != nil {
		return err
	}
	if err := f.writeDropIn(); err != nil {
		return err
	}
	if err := f.reload(ctx); err != nil {
		return err
	}
	f.say("\nIn %s:\n\n  [sink]\n  path  = %q\n  group = %q\n\nThen: sudo systemctl restart askara-sync", ConfigFile, f.path, f.group)
	return nil
}

// check looks at everything before anything is changed.
func (f *folderInstall) check() error {
	switch {
	case !filepath.IsAbs(f.path) || strings.ContainsAny(f.path, "\n\r\x00"):
		return &UsageError{Problem: "the folder must be an absolute path", Remedy: "askara-sync install-folder /srv/askara/inbox"}
	case f.path == "/":
		return &UsageError{Problem: "the root of the file system is no import folder"}
	case os.Geteuid() != 0 && !f.dryRun:
		return &UsageError{Problem: "only root can set up a folder for the service", Remedy: "run it with sudo, or look first with --dry-run"}
	}
	f.staging = cmp.Or(f.staging, filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".askara-staging"))
	if !filepath.IsAbs(f.staging) || inside(f.staging, f.path) || inside(f.path, f.staging) {
		return &UsageError{Problem: "the staging folder must be an absolute path outside the folder, and must not hold it"}
	}
	if slices.Contains([]string{"/", "/home", "/root", "/run", "/run/user", "/etc", "/usr", "/var", "/boot"}, commonDir(f.path, f.staging)) {
		return &UsageError{
			Problem: "folder and staging folder have nothing in common but " + commonDir(f.path, f.staging) + ", which is not to be opened to the service",
			Remedy:  "put both into a folder of their own, such as /srv/askara/inbox",
		}
	}
	owner, err := user.Lookup(f.user)
	if err != nil {
		return &installError{"there is no user " + f.user + " on this machine", "install the package, or: sudo systemd-sysusers askara-sync.conf"}
	}
	f.uid, _ = strconv.Atoi(owner.Uid)
	f.gid, _ = strconv.Atoi(owner.Gid)
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.makesPath = true
	case err != nil:
		return fmt.Errorf("look at the folder: %w", err)
	case !info.IsDir():
		return &UsageError{Problem: f.path + " is not a folder"}
	}
	return f.findGroup(info, owner)
}

// findGroup decides through which group the service writes.
func (f *folderInstall) findGroup(info fs.FileInfo, owner *user.User) error {
	id := owner.Gid
	if stat, ok := infoStat(info); ok && stat.Gid != 0 {
		id = strconv.Itoa(int(stat.Gid))
	}
	if f.group != "" {
		g, err := user.LookupGroup(f.group)
		if err != nil {
			return &UsageError{Problem: "there is no group " + quote(f.group) + " on this machine", Remedy: "getent group lists them"}
		}
		id = g.Gid
	}
	f.groupID, _ = strconv.Atoi(id)
	f.group = id
	if g, err := user.LookupGroupId(id); err == nil {
		f.group = g.Name
	}
	gids, err := groupsOf(uint32(f.uid), uint32(f.gid), nil)
	if err != nil {
		return err
	}
	if !slices.Contains(gids, f.groupID) {
		gids = append(gids, f.groupID)
	}
	f.groups = gids
	return nil
}

func infoStat(info fs.FileInfo) (*syscall.Stat_t, bool) {
	if info == nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return stat, ok
}

// makeDir makes a folder of the service's user.
func (f *folderInstall) makeDir(dir string, mode fs.FileMode, gid int) error {
	f.say("make the folder %s (owner %s, mode %04o)", dir, f.user, mode)
	if f.dryRun {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	if err := os.Lchown(dir, f.uid, gid); err != nil {
		return fmt.Errorf("give a folder to the service: %w", err)
	}
	return os.Chmod(dir, mode) // not subject to the umask
}

// checkAccess asks the kernel, as the service's user, so that access lists and the folders above count too.
func (f *folderInstall) checkAccess(ctx context.Context) error {
	if os.Geteuid() != 0 || f.dryRun && f.makesPath {
		f.say("not checked: whether %s may write into %s", f.user, f.path)
		return nil
	}
	groups := make([]uint32, 0, len(f.groups))
	for _, g := range f.groups {
		groups = append(groups, uint32(g))
	}
	cmd := exec.CommandContext(ctx, "test", "-r", f.path, "-a", "-w", f.path, "-a", "-x", f.path)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(f.uid), Gid: uint32(f.gid), Groups: groups}}
	err := cmd.Run()
	if _, refused := errors.AsType[*exec.ExitError](err); refused && ctx.Err() == nil {
		return &installError{
			fmt.Sprintf("the service's user %s may not write into %s through the group %s", f.user, f.path, f.group),
			fmt.Sprintf("name a group that may with --group, or: sudo chgrp %s %s && sudo chmod g+rwx %s; the folders above need x for it",
				f.group, shellQuote(f.path), shellQuote(f.path)),
		}
	}
	if err != nil {
		return fmt.Errorf("try whether the service may write into the folder: %w", err)
	}
	return nil
}

// makeStaging makes the staging folder, or checks the one that is there.
func (f *folderInstall) makeStaging() error {
	info, err := os.Lstat(f.staging)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.makeDir(f.staging, 0o700, f.gid); err != nil {
			return err
		}
		info, err = os.Lstat(f.staging)
		if f.dryRun {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("look at the staging folder: %w", err)
	}
	stat, ok := infoStat(info)
	target, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("look at the folder: %w", err)
	}
	there, _ := infoStat(target)
	switch {
	case !info.IsDir() || !ok || int(stat.Uid) != f.uid:
		return &installError{
			fmt.Sprintf("%s is there and is no folder of %s", f.staging, f.user),
			"move it away, or name another with --staging and as sink.staging",
		}
	case there != nil && stat.Dev != there.Dev:
		return &installError{
			f.staging + " is on another file system than the folder, so that files could not be moved in one step",
			"name one on the same file system with --staging and as sink.staging",
		}
	}
	return nil
}
