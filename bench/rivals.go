package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// errand is what everybody has to fetch.
type errand struct {
	url   string // of the API
	token string
	uuids []string
	dir   string // where to
}

func (e errand) pdf(uuid string) string { return e.url + "/documents/" + uuid + "/pdf" }

// curlLoop is what cron scripts do: one process a document.
func curlLoop(ctx context.Context, e errand) (outcome, error) {
	script := `while read -r uuid; do curl -sf -H "Authorization: Bearer $TOKEN" -o "$DIR/$uuid.pdf" "$API/documents/$uuid/pdf" || exit; done`
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Env = append(os.Environ(), "TOKEN="+e.token, "DIR="+e.dir, "API="+e.url)
	cmd.Stdin = strings.NewReader(strings.Join(e.uuids, "\n") + "\n")
	return timed(cmd)
}

// curlParallel is one curl with eight transfers at once. It syncs nothing.
func curlParallel(ctx context.Context, e errand) (outcome, error) {
	var config strings.Builder
	fmt.Fprintf(&config, "header = \"Authorization: Bearer %s\"\n", e.token)
	for _, uuid := range e.uuids {
		fmt.Fprintf(&config, "url = %q\noutput = %q\n", e.pdf(uuid), filepath.Join(e.dir, uuid+".pdf"))
	}
	list := e.dir + ".curl"
	if err := os.WriteFile(list, []byte(config.String()), 0o600); err != nil {
		return outcome{}, err
	}
	defer os.Remove(list)
	return timed(exec.CommandContext(ctx, "curl", "-sfZ", "--parallel-max", "8", "-K", list))
}

// goLoop is a careful program without a ledger, in a process of its own.
func goLoop(ctx context.Context, e errand) (outcome, error) {
	cmd, err := self(ctx, "loop", e.url, e.token, e.dir)
	if err != nil {
		return outcome{}, err
	}
	cmd.Stdin = strings.NewReader(strings.Join(e.uuids, "\n"))
	return timed(cmd)
}

// plainLoop is the role of goLoop: eight workers, each document into a temporary file that is synced, renamed, and its directory
// synced.
func plainLoop() error {
	list, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	e := errand{url: os.Args[1], token: os.Args[2], dir: os.Args[3], uuids: strings.Fields(string(list))}
	const workers = 8
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = workers
	client := &http.Client{Transport: transport}
	work := make(chan string)
	errs := make([]error, workers)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for uuid := range work {
				errs[i] = errors.Join(errs[i], e.fetch(client, uuid))
			}
		})
	}
	for _, uuid := range e.uuids {
		work <- uuid
	}
	close(work)
	group.Wait()
	return errors.Join(errs...)
}

// fetch brings one document and makes it durable.
func (e errand) fetch(client *http.Client, uuid string) error {
	req, err := http.NewRequest(http.MethodGet, e.pdf(uuid), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+e.token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	f, err := os.CreateTemp(e.dir, ".partial-")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(e.dir, uuid+".pdf")); err != nil {
		return err
	}
	d, err := os.Open(e.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
