package dbtest

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// mariadb is MariaDB.
type mariadb struct{ install, server string }

// MariaDB starts a cluster of its own for the test.
func MariaDB(t testing.TB) *Server {
	t.Helper()
	return start(t, &mariadb{})
}

func (m *mariadb) name() string { return "mariadb" }

func (m *mariadb) find() error {
	var err error
	if m.install, err = exec.LookPath("mariadb-install-db"); err != nil {
		return errors.New("mariadb-install-db is not installed (Debian: apt-get install mariadb-server)")
	}
	if m.server, err = exec.LookPath("mariadbd"); err == nil {
		return nil
	}
	if m.server, err = exec.LookPath("/usr/sbin/mariadbd"); err != nil {
		return errors.New("mariadbd is not installed (Debian: apt-get install mariadb-server)")
	}
	return nil
}

func (m *mariadb) create(s *Server) error {
	return s.run(m.install, "--no-defaults", "--datadir="+filepath.Join(s.dir, "data"), "--auth-root-authentication-method=normal",
		"--skip-test-db", "--innodb-log-file-size=16M", "--innodb-fast-shutdown=0")
}

func (m *mariadb) socket(s *Server) string { return filepath.Join(s.dir, "socket") }

func (m *mariadb) command(s *Server) *exec.Cmd {
	return exec.Command(m.server, "--no-defaults", "--datadir="+filepath.Join(s.dir, "data"), "--socket="+m.socket(s), "--skip-networking",
		"--pid-file="+filepath.Join(s.dir, "pid"), "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=96M", "--innodb-flush-log-at-trx-commit=1",
		"--sync-binlog=1", "--character-set-server=latin1")
}

func (m *mariadb) ready(ctx context.Context, s *Server) error {
	driver, dsn := m.admin(s, "")
	return ping(ctx, driver, dsn)
}

func (m *mariadb) stopSignal() syscall.Signal { return syscall.SIGTERM }

func (m *mariadb) dsn(s *Server, user, password, database string) string {
	return user + ":" + password + "@unix(" + m.socket(s) + ")/" + database
}

func (m *mariadb) admin(s *Server, database string) (driver, dsn string) {
	return "mysql", "root@unix(" + m.socket(s) + ")/" + database
}
