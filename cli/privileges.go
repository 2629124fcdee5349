package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"askara-sync/askara"
)

// ServiceUser is the user that the unit runs as.
const ServiceUser = "askara-sync"

// dropRoot makes a process that was started by root, as with sudo, go on as the owner of the state directory, for good and on all
// threads: a file that root left in there would stop the service. The groups of the configuration stay open to it, since the unit gives
// the service the import folder's group in the same way, and so does the key. It does nothing for anybody but root, for root's own state
// directory, and where there is none yet. Nothing may have been opened for writing before.
func dropRoot(c *Config) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(c.StateDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the state directory: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return nil
	}
	gids, err := groupsOf(stat.Uid, stat.Gid, c.Groups())
	if err != nil {
		return err
	}
	if c.StateKeyFile != "" {
		if c.StateKeyFile, err = carryOver(c.StateKeyFile, int(stat.Uid)); err != nil {
			return fmt.Errorf("read the credential state_key: %w", err)
		}
	}
	return become(int(stat.Uid), gids)
}

// become gives up root. In this order: without user 0 the groups could not be changed any more.
func become(uid int, gids []int) error {
	if err := syscall.Setgroups(gids); err != nil {
		return fmt.Errorf("give up root's groups: %w", err)
	}
	if err := syscall.Setresgid(gids[0], gids[0], gids[0]); err != nil {
		return fmt.Errorf("give up root's group: %w", err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("give up being root: %w", err)
	}
	return nil
}

// carryOver copies a file that root alone can read into memory, where the user can read it under the returned name until the process ends.
// The unit hands a credential to the service in much the same way.
func carryOver(file string, uid int) (string, error) {
	data, _, err := readBounded(file, maxSecretSize)
	if err != nil {
		return "", err
	}
	fd, err := unix.MemfdCreate("credential", unix.MFD_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("make a file in memory: %w", err)
	}
	name := fmt.Sprintf("/proc/self/fd/%d", fd) // stays open
	_, err = unix.Write(fd, data)
	if err := errors.Join(err, unix.Fchmod(fd, 0o400), unix.Fchown(fd, uid, 0)); err != nil {
		unix.Close(fd)
		return "", fmt.Errorf("write a file in memory: %w", err)
	}
	return name, nil
}

// groupsOf returns a user's groups, the primary one first, and those named. A user without an entry has the directory's group.
func groupsOf(uid, gid uint32, named []string) ([]int, error) {
	gids := []int{int(gid)}
	if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		if primary, err := strconv.Atoi(u.Gid); err == nil {
			gids[0] = primary
		}
		ids, err := u.GroupIds()
		if err != nil {
			return nil, fmt.Errorf("look up the groups of %s: %w", u.Username, err)
		}
		for _, id := range ids {
			if n, err := strconv.Atoi(id); err == nil && !slices.Contains(gids, n) {
				gids = append(gids, n)
			}
		}
	}
	for _, name := range named {
		g, err := user.LookupGroup(name)
		if err != nil {
			return nil, &groupError{name: name}
		}
		if n, err := strconv.Atoi(g.Gid); err == nil && !slices.Contains(gids, n) {
			gids = append(gids, n)
		}
	}
	return gids, nil
}

// groupError is a sink.group that this machine does not have.
type groupError struct{ name string }

func (e *groupError) Error() string {
	return fmt.Sprintf("sink.group: no such group on this machine (got %s)", quote(e.name))
}
func (e *groupError) Fault() askara.Fault { return askara.FaultConfiguration }
func (e *groupError) Hint() string {
	return "getent group lists them; sudo groupadd NAME makes one"
}
