package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"askara-sync/askara"
)

const (
	// defaultRedirectURI is where the browser comes back to unless api.redirect_uri says otherwise. Of a loopback address the port may
	// differ from the registered one (RFC 8252, section 7.3).
	defaultRedirectURI = "http://127.0.0.1/callback"
	// browserPatience is how long a browser login waits for the browser. Askara's code, once it comes, lives for minutes.
	browserPatience = 30 * time.Minute
)

// returned is what the browser came back with.
type returned struct {
	code string
	err  error
}

// browse logs in with a browser that comes back to this machine, or whose address is pasted here.
func (f *loginFlow) browse(ctx context.Context) (askara.Tokens, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, browserPatience, &askara.NoLoginError{Reason: "nobody has logged in within 30 minutes"})
	defer cancel()
	c := f.Authorize
	if c.RedirectURI == "" {
		c.RedirectURI = defaultRedirectURI
	}
	ln, redirect, err := listenForBrowser(waiting, c.RedirectURI)
	if err != nil {
		return askara.Tokens{}, err
	}
	c.RedirectURI = redirect
	cb := askara.AuthorizeURL(c)
	var came <-chan returned // nil, so that nothing ever comes, where there is no listener
	if ln != nil {
		var stop func()
		came, stop = serveBrowser(waiting, ln, cb)
		defer stop()
	}
	f.showBrowser(cb, ln != nil)
	code, err := f.awaitBrowser(waiting, cb, came)
	if err != nil {
		return askara.Tokens{}, err
	}
	return f.Endpoint.ExchangeCode(ctx, code, cb.RedirectURI, cb.Verifier.Reveal())
}

// showBrowser tells the person what to open, and what to do where the browser cannot come back by itself.
func (f *loginFlow) showBrowser(cb askara.Callback, listening bool) {
	fmt.Fprintf(f.Screen, "To log in to account %s, open this page in a browser:\n\n%s\n\n", f.Account, cb.URL)
	if listening {
		fmt.Fprintf(f.Screen, "If the browser is on another machine, it will end on a page that cannot be shown. Then\n")
	} else {
		fmt.Fprintf(f.Screen, "At the end ")
	}
	fmt.Fprintf(f.Screen, "copy the whole address from its address bar, paste it here and press Enter.\n")
}

// awaitBrowser returns the code, whichever way it comes first.
func (f *loginFlow) awaitBrowser(ctx context.Context, cb askara.Callback, came <-chan returned) (string, error) {
	lines := f.input(ctx)
	for {
		select {
		case r := <-came:
			return r.code, r.err
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case line, ok := <-lines:
			if !ok {
				if came == nil {
					return "", &askara.NoLoginError{Reason: "no address was entered"}
				}
				lines = nil
				continue
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			code, err := cb.Code(line)
			if err == nil || final(err) {
				return code, err
			}
			fmt.Fprintf(f.Screen, "That is not it: %v. Paste the whole address that the browser ended on.\n", err)
		}
	}
}

// final says that what the browser came back with ends the login, rather than being somebody's slip or somebody else's.
func final(err error) bool { return askara.FaultOf(err) != askara.FaultUnexpected }

// listenForBrowser opens a port of this machine for a redirect URI on it, and returns the URI with that port. Where the URI names a port
// it is that one, otherwise any. A URI elsewhere needs, and gets, no listener.
func listenForBrowser(ctx context.Context, redirect string) (net.Listener, string, error) {
	u, err := url.Parse(redirect)
	if err != nil {
		return nil, "", &askara.Error{Op: "read api.redirect_uri", Kind: askara.FaultConfiguration, Err: errors.New("not an address")}
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); u.Scheme != "http" || ip == nil || !ip.IsLoopback() {
		return nil, redirect, nil
	}
	port := u.Port()
	if port == "" {
		port = "0"
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, "", &askara.Error{Op: "wait for the browser", Kind: askara.FaultConfiguration,
			Err: fmt.Errorf("the port of api.redirect_uri cannot be had: %w", err)}
	}
	_, port, err = net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return nil, "", errors.Join(err, ln.Close())
	}
	u.Host = net.JoinHostPort(u.Hostname(), port)
	return ln, u.String(), nil
}

// serveBrowser answers the browser that comes back, once. What does not belong to this login changes nothing. stop closes the
// listener, after the page has been delivered.
func serveBrowser(ctx context.Context, ln net.Listener, cb askara.Callback) (came <-chan returned, stop func()) {
	u, _ := url.Parse(cb.RedirectURI) // listenForBrowser made it
	path := u.Path
	if path == "" {
		path = "/"
	}
	results := make(chan returned, 1)
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog:    log.New(io.Discard, "", 0), // what strangers send to the port is no news
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path || r.Method != http.MethodGet {
				http.NotFound(w, r)
				return
			}
			code, err := cb.Code(r.URL.RequestURI())
			if err != nil && !final(err) {
				writePage(w, http.StatusBadRequest, pageForeign)
				return
			}
			select {
			case results <- returned{code, err}:
			default:
				writePage(w, http.StatusGone, pageForeign) // one use: the first answer counts
				return
			}
			if err != nil {
				writePage(w, http.StatusOK, pageRefused)
				return
			}
			writePage(w, http.StatusOK, pageDone)
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // ends with stop; until then a pasted address still works
	}()
	return results, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
		<-done
	}
}

// The pages that a browser login ends on.
var (
	pageDone = [2]string{"Vous pouvez fermer cette fenêtre et revenir au terminal.", "You can close this window and go back to the terminal."}
	// pageRefused: the terminal says why.
	pageRefused = [2]string{"La connexion a été refusée. Le terminal dit pourquoi.", "The login was refused. The terminal says why."}
	pageForeign = [2]string{"Cette adresse n’appartient pas à la connexion en cours.", "This address does not belong to the login under way."}
)

// writePage writes a page in French and English. The address in the browser's bar holds a code: it is neither stored nor passed on.
func writePage(w http.ResponseWriter, status int, text [2]string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width">`+
		`<title>askara-sync</title><body style="font:1.2rem system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem">`+
		"<p>"+text[0]+`</p><p lang="en">`+text[1]+"</p></body></html>\n")
}
