// Package dbtest runs real database servers for tests: a PostgreSQL and a MariaDB cluster of their own, in a temporary directory,
// reached over a unix socket, with every safety of the disk on. They can be killed like a machine that loses its power, and
// started again. They end with the test, and with the test's process however that ends.
package dbtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Enabled is the variable that switches the tests with real servers on.
const Enabled = "ASKARA_SYNC_PROOFS"

// patience is how long a server may take to start, crash recovery included, or to end. Only a broken one takes it.
const patience = 2 * time.Minute

// Server is a database server. It is used by one test at a time.
type Server struct {
	t    testing.TB
	kind kind
	dir  string
	cmd  *exec.Cmd
	done chan struct{}
	log  *os.File
}

// kind is what differs between the two.
type kind interface {
	name() string
	// find looks for the programs; the error says what to install.
	find() error
	// create makes the cluster in dir/data.
	create(s *Server) error
	// command is the server itself.
	command(s *Server) *exec.Cmd
	// ready asks once whether it takes connections.
	ready(ctx context.Context, s *Server) error
	// stopSignal ends it in an orderly way.
	stopSignal() syscall.Signal
	dsn(s *Server, user, password, database string) string
	admin(s *Server, database string) (driver, dsn string)
}

// require skips the test where servers are not asked for.
func require(t testing.TB) {
	t.Helper()
	if os.Getenv(Enabled) != "1" {
		t.Skip("needs a real database server: set " + Enabled + "=1")
	}
}

func start(t testing.TB, k kind) *Server {
	t.Helper()
	require(t)
	if err := k.find(); err != nil {
		t.Fatalf("%s: %v", k.name(), err)
	}
	dir, err := os.MkdirTemp("", "askara-"+k.name()+"-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, kind: k, dir: dir}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.log.Close() })
	if os.Getuid() == 0 {
		for _, f := range []string{dir, s.log.Name()} {
			if err := os.Chown(f, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := k.create(s); err != nil {
		t.Fatalf("create cluster: %v\n%s", err, s.Log())
	}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// nobody is the unprivileged user of every Linux; neither server runs as root.
const nobody = 65534

// attributes make a child an unprivileged process group that dies with us.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		a.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: false}
	}
	return a
}

// run executes a program that creates the cluster.
func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	s.equip(cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread that started the child
		defer runtime.UnlockOSThread()
		started <- cmd.Run()
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("run %s: %w", filepath.Base(program), err)
	}
	return nil
}

func (s *Server) equip(cmd *exec.Cmd) {
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.dir, s.log, s.log, attributes()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + s.dir, "TMPDIR=" + s.dir}
}

// Start starts a server that was killed or stopped and waits until it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s.launch()
		err := s.await(deadline)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s did not start: %v\n%s", s.kind.name(), err, s.Log())
		}
		// A server whose predecessor's children are not quite gone refuses to start; the next try will.
	}
}

// launch starts the process. The goroutine keeps its thread until the process has ended.
func (s *Server) launch() {
	s.t.Helper()
	s.cmd, s.done = s.kind.command(s), make(chan struct{})
	s.equip(s.cmd)
	started := make(chan error)
	cmd, done := s.cmd, s.done
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatalf("start %s: %v", s.kind.name(), err)
	}
}

// await returns nil once the server takes connections, an error once it has ended or the deadline has passed.
func (s *Server) await(deadline time.Time) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		err := s.kind.ready(ctx, s)
		cancel()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-s.done:
			return fmt.Errorf("it ended: %w", err)
		case <-tick.C:
		}
	}
}

// Kill ends the server and all of its processes with SIGKILL, as if the machine had lost its power but for the page cache.
func (s *Server) Kill() {
	pid := s.cmd.Process.Pid
	children := childrenOf(pid)
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	<-s.done
}

// Stop ends the server in an orderly way, and by force if it takes too long.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(s.kind.stopSignal())
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		s.Kill()
	}
}

// childrenOf lists the processes that a process has started.
func childrenOf(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var out []int
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// pid (command) state ppid …: the command may hold anything but is the last thing in brackets.
		rest := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(rest) > 1 && rest[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// Log is the end of what the server has said.
func (s *Server) Log() string {
	const most = 8 << 10
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-most):])
}

// DSN is the connection string of a user.
func (s *Server) DSN(user, password, database string) string {
	return s.kind.dsn(s, user, password, database)
}
