package proof_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestLoginInABrowser logs in to the demo as a person does, in a real browser: once with its code and once with --browser.
func TestLoginInABrowser(t *testing.T) {
	if !long() {
		t.Skip("a browser is only started with ASKARA_SYNC_PROOFS=1; it needs chromium and chromedriver")
	}
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	config := serveDemo(t, bin)
	b := startBrowser(t)

	t.Run("device", func(t *testing.T) {
		login := startLogin(t, bin, config, "login")
		page := login.find(t, `http://127\.0\.0\.1:\d+/device\S*`)
		code := login.find(t, `\b[B-DF-HJ-NP-TV-Z]{4}-?[B-DF-HJ-NP-TV-Z]{4}\b`)
		b.open(t, page)
		b.fill(t, "user_code", code)
		b.click(t, "approve")
		login.succeeds(t)
	})
	t.Run("browser", func(t *testing.T) {
		login := startLogin(t, bin, config, "login", "--browser")
		b.open(t, login.find(t, `http://127\.0\.0\.1:\d+/authorize\S*`))
		b.click(t, "approve")
		login.succeeds(t)
		if text := b.text(t); !strings.Contains(text, "window") {
			t.Errorf("the browser ends on a page that does not say that it can be closed: %q", text)
		}
	})
	t.Run("denied", func(t *testing.T) {
		login := startLogin(t, bin, config, "login", "--browser")
		b.open(t, login.find(t, `http://127\.0\.0\.1:\d+/authorize\S*`))
		b.click(t, "deny")
		if code := login.wait(t); code != 77 {
			t.Errorf("a login that was refused ends with exit code %d, want 77\n%s", code, login.String())
		}
	})
	if out, err := exec.Command(bin, "--config", config, "--once").CombinedOutput(); err != nil {
		t.Errorf("a pass after the logins: %v\n%s", err, out)
	}
}

// serveDemo runs the demo until the test ends and returns its configuration.
func serveDemo(t *testing.T, bin string) (config string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demo")
	cmd := exec.Command(bin, "demo", "--serve", "--documents", "3", "--dir", dir)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo ended badly: %v\n%s", err, out.String())
		}
	})
	out.find(t, `run until Ctrl-C`)
	return filepath.Join(dir, "config.toml")
}

// output is what a process has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// find waits until the output holds the pattern and returns what matched.
func (o *output) find(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m := re.FindString(o.String()); m != "" {
			return m
		}
	}
	t.Fatalf("nothing like %s in\n%s", pattern, o.String())
	return ""
}

// loginProcess is a running login.
type loginProcess struct {
	output
	cmd *exec.Cmd
}

func startLogin(t *testing.T, bin, config string, args ...string) *loginProcess {
	t.Helper()
	p := &loginProcess{cmd: exec.Command(bin, append([]string{"--config", config}, args...)...)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *loginProcess) wait(t *testing.T) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		_ = p.cmd.Process.Kill()
		<-done
		t.Errorf("the login did not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *loginProcess) succeeds(t *testing.T) {
	t.Helper()
	if code := p.wait(t); code != 0 || !strings.Contains(p.String(), "is logged in as") {
		t.Errorf("exit code %d\n%s", code, p.String())
	}
}

// browser is a headless Chromium, driven over WebDriver.
type browser struct{ session string }

func startBrowser(t *testing.T) *browser {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	driver := exec.Command("chromedriver", fmt.Sprintf("--port=%d", port))
	driver.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the browser is its child
	if err := driver.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-driver.Process.Pid, syscall.SIGKILL)
		_ = driver.Wait()
	})
	b := &browser{session: fmt.Sprintf("http://127.0.0.1:%d/session", port)}
	flags := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir(),
	}
	body := map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"goog:chromeOptions": map[string]any{"binary": chromium, "args": flags},
	}}}
	var answer struct{ SessionID string }
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := b.call(t, http.MethodPost, "", body, &answer)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("start the browser: %v", err)
		}
	}
	b.session += "/" + answer.SessionID
	t.Cleanup(func() { _ = b.call(t, http.MethodDelete, "", nil, nil) })
	return b
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// call sends one command to the driver.
func (b *browser) call(t *testing.T, method, path string, body, value any) error {
	t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // t's own is over during cleanup
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.session+path, in)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, raw)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(raw, &struct{ Value any }{value})
}

func (b *browser) must(t *testing.T, method, path string, body, value any) {
	t.Helper()
	if err := b.call(t, method, path, body, value); err != nil {
		t.Fatal(err)
	}
}

func (b *browser) open(t *testing.T, url string) {
	t.Helper()
	b.must(t, http.MethodPost, "/url", map[string]string{"url": url}, nil)
}

// element returns the path of the element with the id.
func (b *browser) element(t *testing.T, selector string) string {
	t.Helper()
	var found map[string]string
	b.must(t, http.MethodPost, "/element", map[string]string{"using": "css selector", "value": selector}, &found)
	for _, id := range found {
		return "/element/" + id
	}
	t.Fatalf("no element %s", selector)
	return ""
}

func (b *browser) fill(t *testing.T, id, text string) {
	t.Helper()
	e := b.element(t, "#"+id)
	b.must(t, http.MethodPost, e+"/clear", map[string]string{}, nil)
	b.must(t, http.MethodPost, e+"/value", map[string]string{"text": text}, nil)
}

func (b *browser) click(t *testing.T, id string) {
	t.Helper()
	b.must(t, http.MethodPost, b.element(t, "#"+id)+"/click", map[string]string{}, nil)
}

func (b *browser) text(t *testing.T) string {
	t.Helper()
	var text string
	b.must(t, http.MethodGet, b.element(t, "body")+"/text", nil, &text)
	return text
}
