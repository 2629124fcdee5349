package dbtest

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Proxy stands between a client and a server and can cut the connection around a COMMIT.
type Proxy struct {
	listener net.Listener
	server   string
	dir      string

	mu   sync.Mutex
	cut  Cut
	cuts int
	held chan struct{}
	all  []net.Conn
	wait sync.WaitGroup
}

// Cut says where the connection breaks.
type Cut int

const (
	// CutNothing forwards everything.
	CutNothing Cut = iota
	// CutBefore drops the commit: the server never sees it.
	CutBefore
	// CutAfter drops the answer: the server has committed, and the client does not learn of it.
	CutAfter
	// Hold keeps the answer back: the server has committed, and the client waits for as long as it lives. See Held.
	Hold
)

// Proxy starts a proxy to the server. It ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	name, server := ".s.PGSQL.5432", filepath.Join(s.dir, ".s.PGSQL.5432")
	if m, ok := s.kind.(*mariadb); ok {
		name, server = "socket", m.socket(s)
	}
	dir, err := os.MkdirTemp("", "askara-proxy-") // not t.TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, server: server, dir: dir, held: make(chan struct{}, 1)}
	p.wait.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.Break()
		p.wait.Wait()
		os.RemoveAll(dir)
	})
	return p
}

// DSN turns a connection string of the server into one through the proxy.
func (p *Proxy) DSN(dsn string) string {
	if filepath.Base(p.server) == "socket" {
		return string(bytes.ReplaceAll([]byte(dsn), []byte(p.server), []byte(p.listener.Addr().String())))
	}
	return string(bytes.ReplaceAll([]byte(dsn), []byte("host="+filepath.Dir(p.server)), []byte("host="+p.dir)))
}

// Cut arms the proxy for the next COMMIT.
func (p *Proxy) Cut(c Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = c
}

// Cuts is how often it has cut.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Held receives when the server has committed and the client has been left waiting for the answer.
func (p *Proxy) Held() <-chan struct{} { return p.held }

// Break ends all connections.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.all {
		c.Close()
	}
	p.all = nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.all = append(p.all, client, server)
		p.mu.Unlock()
		muted := make(chan Cut, 1)
		p.wait.Go(func() { p.forward(client, server, muted) })
		p.wait.Go(func() { p.answer(server, client, muted) })
	}
}

// forward is the way to the server. A COMMIT comes in one piece, since it is tiny.
func (p *Proxy) forward(client, server net.Conn, muted chan<- Cut) {
	defer client.Close()
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		switch c := p.take(buf[:n]); c {
		case CutBefore:
			return
		case CutAfter, Hold:
			muted <- c
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// take disarms the proxy where the message is the one it waits for.
func (p *Proxy) take(message []byte) Cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut == CutNothing || len(message) > 64 || !bytes.Contains(bytes.ToLower(message), []byte("commit")) {
		return CutNothing
	}
	c := p.cut
	p.cut = CutNothing
	p.cuts++
	return c
}

// answer is the way back. Once muted, the next answer is swallowed and the client cut off, or left waiting.
func (p *Proxy) answer(server, client net.Conn, muted <-chan Cut) {
	defer client.Close()
	defer server.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		select {
		case c := <-muted:
			if c == Hold {
				p.held <- struct{}{}
				_, _ = io.Copy(io.Discard, server) // until one of them ends
			}
			return
		default:
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}
