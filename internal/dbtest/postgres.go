package dbtest

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// postgres is PostgreSQL as Debian installs it, or as PATH has it.
type postgres struct{ bin string }

// Postgres starts a cluster of its own for the test.
func Postgres(t testing.TB) *Server {
	t.Helper()
	return start(t, &postgres{})
}

func (p *postgres) name() string { return "postgres" }

func (p *postgres) find() error {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.Sort(found)
	if len(found) > 0 {
		p.bin = filepath.Dir(found[len(found)-1])
		return nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return errors.New("initdb is not installed (Debian: apt-get install postgresql)")
	}
	p.bin = filepath.Dir(initdb)
	return nil
}

func (p *postgres) create(s *Server) error {
	return s.run(filepath.Join(p.bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-U", "postgres", "--auth-local=trust",
		"--encoding=UTF8", "--locale=C", "--no-instructions", "--no-sync")
}

func (p *postgres) command(s *Server) *exec.Cmd {
	return exec.Command(filepath.Join(p.bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-k", s.dir,
		"-c", "listen_addresses=", "-c", "fsync=on", "-c", "shared_buffers=32MB", "-c", "max_connections=40", "-c", "log_min_messages=warning")
}

func (p *postgres) ready(ctx context.Context, s *Server) error {
	driver, dsn := p.admin(s, "postgres")
	return ping(ctx, driver, dsn)
}

func (p *postgres) stopSignal() syscall.Signal { return syscall.SIGINT } // "fast": sessions are ended

func (p *postgres) dsn(s *Server, user, password, database string) string {
	return "host=" + s.dir + " port=5432 user=" + user + " password=" + password + " dbname=" + database + " sslmode=disable"
}

func (p *postgres) admin(s *Server, database string) (driver, dsn string) {
	return "pgx", p.dsn(s, "postgres", "unused", database)
}
