package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"askara-sync/askara/sandbox"
)

// childEnv names the role in which this program has started itself.
const childEnv = "ASKARA_BENCH_CHILD"

// child runs a role to its end.
func child(role string) {
	roles := map[string]func() error{"server": serve, "loop": plainLoop, "profile": profilePass}
	if err := roles[role](); err != nil {
		fmt.Fprintln(os.Stderr, "bench", role+":", err)
		os.Exit(1)
	}
}

// self returns a command that runs this program in a role. It ends with this process.
func self(ctx context.Context, role string, args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// stock asks the server for a new Askara with these documents.
type stock struct {
	Documents int // spread over the last month
	Recent    int // of the last minute
	Size      int
}

// stocked is what it answers.
type stocked struct {
	Token string
	UUIDs []string // oldest first
}

// seen is what the server has seen since it was stocked.
type seen struct {
	Requests map[string]int
	Total    int
	Listed   time.Time // the first request for a list
	CPU      time.Duration
}

// server is the stand-in for Askara in a process of its own.
type server struct {
	url     string // of the API
	control string
	cmd     *exec.Cmd
	stop    func()
}

func startServer(ctx context.Context) (*server, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, err := self(ctx, "server")
	if err != nil {
		cancel()
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	in, err := cmd.StdinPipe() // the server ends when it is closed, by us or by our death
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	s := &server{cmd: cmd}
	s.stop = func() { in.Close(); _ = cmd.Wait(); cancel() }
	if _, err := fmt.Fscan(out, &s.url, &s.control); err != nil {
		s.stop()
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return s, nil
}

func (s *server) close() { s.stop() }

// ask posts to the server's control and decodes its answer.
func (s *server) ask(path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	resp, err := http.Post(s.control+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("server: %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// restock begins a new Askara.
func (s *server) restock(q stock) (a stocked, err error) { return a, s.ask("/restock", q, &a) }

// add adds documents to the present one.
func (s *server) add(q stock) (a stocked, err error) { return a, s.ask("/add", q, &a) }

// seen returns what it has seen.
func (s *server) seen() (a seen, err error) { return a, s.ask("/seen", nil, &a) }

// serve is the role of the server: the API on one port, its control on another.
func serve() error {
	// What the machine has belongs to those who are measured as well.
	runtime.GOMAXPROCS(max(runtime.NumCPU(), 2))
	h := &host{}
	if _, err := h.restock(stock{}); err != nil {
		return err
	}
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/restock", controlled(h.restock))
	mux.HandleFunc("/add", controlled(h.add))
	mux.HandleFunc("/seen", controlled(h.seen))
	go http.Serve(control, mux)
	go http.Serve(api, h)
	fmt.Printf("http://%s http://%s\n", api.Addr(), control.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// controlled makes a handler of a function.
func controlled[Q, A any](f func(Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a, err := f(q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(a)
	}
}

// host serves whichever Askara was stocked last.
type host struct {
	present atomic.Pointer[sandbox.Server]
	listed  atomic.Int64 // unix nanoseconds of the first list
	pdfs    map[int][]byte
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.present.Load().ServeHTTP(w, r) }

// unlimited is a bucket that nobody empties; its headers are sent all the same.
const unlimited = 100_000_000

func (h *host) restock(q stock) (stocked, error) {
	h.listed.Store(0)
	s := sandbox.New(sandbox.Config{Burst: unlimited, AutoApprove: true, DeviceInterval: time.Second, Seed: 1, OnList: func(int) {
		h.listed.CompareAndSwap(0, time.Now().UnixNano())
	}})
	h.present.Store(s)
	return h.add(q)
}

func (h *host) add(q stock) (a stocked, err error) {
	s := h.present.Load()
	now := time.Now()
	d := sandbox.Document{Bytes: h.pdf(q.Size)}
	a.UUIDs = s.AddHistory(q.Documents, now.Add(-30*24*time.Hour), now.Add(-2*time.Minute), d)
	a.UUIDs = append(a.UUIDs, s.AddHistory(q.Recent, now.Add(-time.Minute), now.Add(-time.Second), d)...)
	a.Token, _ = s.Login("")
	return a, nil
}

// pdf is one file of the size, which all documents share: making it is nobody's cost.
func (h *host) pdf(size int) []byte {
	if h.pdfs == nil {
		h.pdfs = map[int][]byte{}
	}
	if h.pdfs[size] == nil {
		const head, tail = "%PDF-1.4\n", "\n%%EOF\n"
		body := make([]byte, max(size-len(head)-len(tail), 0))
		_, _ = rand.NewChaCha8([32]byte{}).Read(body) // as good as compressed, which a PDF's content is
		h.pdfs[size] = slices.Concat([]byte(head), body, []byte(tail))
	}
	return h.pdfs[size]
}

func (h *host) seen(struct{}) (a seen, err error) {
	st := h.present.Load().Stats()
	a.Requests = map[string]int{}
	for k, n := range st.Requests {
		a.Requests[k.String()] = n
	}
	a.Total = st.Total
	if at := h.listed.Load(); at != 0 {
		a.Listed = time.Unix(0, at)
	}
	var use syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	a.CPU = cpu(&use)
	return a, err
}

// cpu is the processor time that was used.
func cpu(u *syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
