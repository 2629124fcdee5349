package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"askara-sync/askara"
)

// configuration reports on the file, and on those of its secrets.
func (d *doctor) configuration() {
	cfg := d.cfg
	d.report.ok("configuration", "%s, %d %s", cfg.File, len(cfg.Accounts), plural(len(cfg.Accounts), "account", "accounts"))
	for _, w := range cfg.Warnings {
		d.report.warn("configuration", w, "correct "+cfg.File)
	}
	if data, info, err := readBounded(cfg.File, maxConfigSize); err == nil {
		d.report.lines = contractLines{file: cfg.File, there: keyLines(data)}
		if info.Mode().Perm()&0o020 != 0 {
			d.report.warn("configuration", fmt.Sprintf("its group may change it (mode %04o)", info.Mode().Perm()), "chmod g-w "+cfg.File)
		}
	}
	secrets := map[string]string{"api.client_secret_file": cfg.API.ClientSecretFile}
	for _, a := range cfg.Accounts {
		if a.Sink.Type == "postgres" || a.Sink.Type == "mysql" {
			secrets["sink.dsn_file"] = a.Sink.DSNFile
		}
	}
	for _, key := range []string{"api.client_secret_file", "sink.dsn_file"} {
		file := secrets[key]
		if file == "" {
			continue
		}
		// They were read before root was given up, if it was; the service never is root.
		if unix.Access(file, unix.R_OK) != nil {
			d.report.fail("secrets", askara.FaultConfiguration, key+": the service's user cannot read "+file,
				fmt.Sprintf("sudo chgrp %s %s && sudo chmod 0640 %s", ServiceUser, file, file))
			continue
		}
		d.report.ok("secrets", "%s: %s, closed to others", key, file)
	}
	if cfg.API.ClientSecret == "" {
		d.report.warn("secrets", "there is no client secret", "set api.client_secret_file, unless Askara gave you none")
	}
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

const (
	// stateLow and stateFull are how much room the state directory needs: the ledger, its log, and three backups.
	stateLow  = 256 << 20
	stateFull = 16 << 20
)

// state reports on the state directory and the files in it.
func (d *doctor) state() {
	dir := d.cfg.StateDir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.report.warn("state directory", dir+" is not there yet", "the first login makes it; run it with sudo")
		return
	}
	if err != nil {
		d.report.fail("state directory", askara.FaultConfiguration, dir+": "+plain(err), "set state_dir, or correct its permissions")
		return
	}
	owner, mine := ownerOf(info)
	switch perm := info.Mode().Perm(); {
	case !info.IsDir():
		d.report.fail("state directory", askara.FaultConfiguration, dir+" is not a directory", "set state_dir")
		return
	case !mine:
		d.report.fail("state directory", askara.FaultConfiguration, fmt.Sprintf("%s belongs to %s and not to the user of this command", dir, owner),
			"run doctor with sudo, or: sudo chown -R "+ServiceUser+": "+dir)
		return
	case perm&0o022 != 0:
		d.report.fail("state directory", askara.FaultConfiguration, fmt.Sprintf("others may write to %s (mode %04o)", dir, perm), "chmod 0700 "+dir)
	case perm&0o055 != 0:
		d.report.warn("state directory", fmt.Sprintf("others may look into %s (mode %04o)", dir, perm), "chmod 0700 "+dir)
	default:
		d.report.ok("state directory", "%s, owner %s, mode %04o", dir, owner, perm)
	}
	d.stateFiles(dir)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	text := humanBytes(free) + " free for the state directory"
	switch {
	case free < stateFull:
		d.report.fail("state space", askara.FaultDestination, text, "free space (see: df -h "+dir+")")
	case free < stateLow:
		d.report.warn("state space", text, "free space (see: df -h "+dir+")")
	default:
		d.report.ok("state space", "%s", text)
	}
}

// ownerOf names the owner of a file, and says whether it is the user of this process.
func ownerOf(info fs.FileInfo) (name string, mine bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "nobody known", false
	}
	name = strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return name, int(st.Uid) == os.Geteuid()
}

// stateFiles reports files that others may open, or that belong to somebody else.
func (d *doctor) stateFiles(dir string) {
	var open, foreign []string
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary one
		}
		if err != nil {
			return err
		}
		files++
		if info.Mode().Perm()&0o077 != 0 {
			open = append(open, path)
		}
		if _, mine := ownerOf(info); !mine {
			foreign = append(foreign, path)
		}
		return nil
	})
	switch {
	case err != nil:
		d.report.fail("state files", askara.FaultConfiguration, "they cannot be looked at: "+plain(err), "run doctor with sudo")
	case len(foreign) > 0:
		d.report.fail("state files", askara.FaultConfiguration, fmt.Sprintf("%s, and %d in all, belong to another user", foreign[0], len(foreign)),
			"sudo chown -R "+ServiceUser+": "+dir)
	case len(open) > 0:
		d.report.fail("state files", askara.FaultConfiguration, fmt.Sprintf("others may open %s, and %d in all", open[0], len(open)),
			"chmod 0600 "+strings.Join(open[:min(len(open), 5)], " "))
	case files > 0:
		d.report.ok("state files", "%d, closed to others", files)
	}
}
