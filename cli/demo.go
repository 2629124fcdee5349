package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
)

// demo runs everything against an Askara in memory: no account, no configuration, no network.
type demo struct {
	*Run
	documents int
	dir       string
	serve     bool

	server *sandbox.Server
	url    string
}

func newDemoCmd(r *Run) *cobra.Command {
	d := &demo{Run: r}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Shows everything against a built-in Askara, with no account and no configuration",
		Long: strings.TrimSpace(`
Starts a built-in stand-in for Askara on a loopback address, logs in to it, delivers its documents into a folder and shows
where they are. With --serve the stand-in and the daemon go on until Ctrl-C: a new document comes now and then, and the command
lines that are shown work against it, so that login, status and --once can be tried for real.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	cmd.Flags().IntVar(&d.documents, "documents", 25, "how many documents there are to begin with")
	cmd.Flags().StringVar(&d.dir, "dir", "", "where everything goes, `DIR` (default: a new temporary directory, which is kept)")
	cmd.Flags().BoolVar(&d.serve, "serve", false, "go on as daemon and Askara, with new documents now and then")
	return cmd
}

// demoHistory is over how long the first documents were validated.
const demoHistory = 30 * 24 * time.Hour

func (d *demo) run(ctx context.Context) (err error) {
	if d.documents < 0 || d.documents > 100_000 {
		return &UsageError{Problem: fmt.Sprintf("%d documents are not possible", d.documents), Remedy: "askara-sync demo --documents 25"}
	}
	if err := d.prepare(); err != nil {
		return err
	}
	stop, err := d.start()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(d.Stdout, "A stand-in for Askara runs at %s and has %d validated documents.\n\n", d.url, d.documents)

	if err := d.step(ctx, "login"); err != nil {
		return err
	}
	began := time.Now()
	if err := d.step(ctx, "--once"); err != nil {
		return err
	}
	took := time.Since(began)
	if err := d.show(took); err != nil {
		return err
	}
	if !d.serve {
		fmt.Fprintf(d.Stdout, "\nTo see it as a service: askara-sync demo --serve\n")
		return nil
	}
	return d.daemon(ctx)
}

// prepare makes the directory and a configuration in it.
func (d *demo) prepare() (err error) {
	if d.dir == "" {
		d.dir, err = os.MkdirTemp("", "askara-sync-demo-")
	} else if d.dir, err = filepath.Abs(d.dir); err == nil {
		err = os.MkdirAll(d.dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make the demo's directory: %w", err)
	}
	if _, err := os.Stat(d.path("config.toml")); err == nil {
		return &UsageError{Problem: d.dir + " holds an earlier demo, whose Askara is gone", Remedy: "name another --dir, or remove that one"}
	}
	return nil
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// start serves the sandbox on a loopback port and writes the configuration that leads to it.
func (d *demo) start() (stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a loopback port: %w", err)
	}
	d.url = "http://" + listener.Addr().String()
	d.server = sandbox.New(sandbox.Config{AutoApprove: true, DeviceInterval: time.Second, Seed: uint64(time.Now().UnixNano())})
	now := time.Now()
	d.server.AddHistory(d.documents, now.Add(-demoHistory), now.Add(-time.Minute), sandbox.Document{})
	h := &http.Server{Handler: d.server, ReadHeaderTimeout: 10 * time.Second}
	var group errgroup.Group
	group.Go(func() error {
		if err := h.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	if err := os.WriteFile(d.path("config.toml"), []byte(d.config()), 0o600); err != nil {
		h.Close()
		return nil, fmt.Errorf("write the demo's configuration: %w", err)
	}
	if err := os.WriteFile(d.path("client_secret"), []byte(sandbox.DefaultClientSecret+"\n"), 0o600); err != nil {
		h.Close()
		return nil, fmt.Errorf("write the demo's client secret: %w", err)
	}
	return func() { h.Close(); _ = group.Wait() }, nil
}

func (d *demo) config() string {
	return fmt.Sprintf(`# The configuration of this demo; config.example.toml shows every key.
state_dir = %q
schedule  = "@every 10s"
jitter    = "0s"
log_level = %q

[api]
base_url           = %q
authorize_url      = %q
client_id          = %q
client_secret_file = %q

[sink]
path = %q
`, d.path("state"), d.level(), d.url, d.url+"/authorize", sandbox.DefaultClientID, d.path("client_secret"), d.path("inbox"))
}

// level keeps a line per document off the screen, except where they trickle in.
func (d *demo) level() string {
	if d.serve {
		return "info"
	}
	return "warn"
}

// step runs one of our own command lines, as a person would, and shows it.
func (d *demo) step(ctx context.Context, args ...string) error {
	fmt.Fprintf(d.Stdout, "$ askara-sync --config %s %s\n", d.path("config.toml"), strings.Join(args, " "))
	env := d.Env
	env.Args = append([]string{"--config", d.path("config.toml")}, args...)
	r := newRun(env)
	cmd := r.command()
	cmd.SetArgs(env.Args)
	err := cmd.ExecuteContext(ctx)
	fmt.Fprintln(d.Stdout)
	return err
}

// show lists what is in the folder.
func (d *demo) show(took time.Duration) error {
	entries, err := os.ReadDir(d.path("inbox"))
	if err != nil {
		return fmt.Errorf("read the demo's folder: %w", err)
	}
	const some = 8
	fmt.Fprintf(d.Stdout, "%d documents are in %s, delivered and confirmed in %s:\n", len(entries), d.path("inbox"), took.Round(time.Millisecond))
	for i, e := range entries {
		if i == some {
			fmt.Fprintf(d.Stdout, "  … and %d more\n", len(entries)-some)
			break
		}
		fmt.Fprintf(d.Stdout, "  %s\n", e.Name())
	}
	if want := d.confirmed(); want != d.documents {
		return fmt.Errorf("only %d of %d documents were confirmed", want, d.documents)
	}
	return nil
}

// confirmed counts what the stand-in was told.
func (d *demo) confirmed() int {
	n := 0
	for _, doc := range d.server.Documents() {
		if doc.Confirmed() {
			n++
		}
	}
	return n
}

// demoPause is how long it is from one new document to the next.
const demoPause = 20 * time.Second

// daemon runs the service against the stand-in until ctx ends, and lets documents appear.
func (d *demo) daemon(ctx context.Context) error {
	fmt.Fprintf(d.Stdout, `
The service and its Askara now run until Ctrl-C; a document comes every %d seconds. Try in another terminal:

  askara-sync --config %[2]s status
  askara-sync --config %[2]s --once
  askara-sync --config %[2]s login            (a page to approve it opens at the address that it shows)
  askara-sync --config %[2]s login --browser

`, int(demoPause.Seconds()), d.path("config.toml"))
	d.server.SetAutoApprove(false)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		tick := time.NewTicker(demoPause)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				d.server.AddDocument(sandbox.Document{})
			}
		}
	})
	group.Go(func() error {
		env := d.Env
		env.Args = []string{"--config", d.path("config.toml")}
		r := newRun(env)
		r.ConfigFile = d.path("config.toml")
		return runDaemon(ctx, r)
	})
	err := group.Wait()
	if errors.Is(err, context.Canceled) && askara.FaultOf(err) == askara.FaultUnexpected {
		return nil
	}
	return err
}
