package cli

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"askara-sync/askara"
	"askara-sync/store"
)

func newLoginCmd(r *Run) *cobra.Command {
	var name string
	var browser, force bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Logs an account in to Askara, with any browser on any device",
		Long: strings.TrimSpace(`
Logs an account in to Askara. It shows a page and a code, to be opened on any device, since a server has no browser; with
--browser it waits for one on this machine, or for the address that one elsewhere was sent to. A running daemon goes on with the
new login by itself.`),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLogin(cmd.Context(), r, name, func(ctx context.Context, app *App, acc *account) error {
				if force {
					if err := discardUnreadable(ctx, r, app, acc); err != nil {
						return err
					}
				}
				page, err := url.Parse(app.Config.API.AuthorizeURL)
				if err != nil {
					return err // checked with the configuration
				}
				flow := &loginFlow{
					Out: r.Stdout, Screen: r.Stderr, In: r.Stdin, Terminal: isTerminal(r.Stderr), Interactive: isTerminal(r.Stdin),
					Account: acc.Name, Endpoint: app.Tokens, Custody: acc.custody, Me: app.me, Browser: browser, Force: force,
					Authorize: askara.AuthorizeConfig{
						Page: page, ClientID: app.Config.API.ClientID, RedirectURI: app.Config.API.RedirectURI,
						Scopes: app.Config.API.Scopes, PKCE: app.Config.API.Contract.PKCE,
					},
				}
				return flow.run(ctx)
			})
		},
	}
	cmd.Flags().StringVar(&name, "account", "", "the account, by `NAME` (default: the only one)")
	cmd.Flags().BoolVar(&browser, "browser", false, "log in with a browser on this machine instead of a code")
	cmd.Flags().BoolVar(&force, "force", false, "log in as another person than before without asking; give up tokens whose key is lost")
	return cmd
}

// discardUnreadable gives up logins that were sealed with a key which is gone, where this account's is among them.
func discardUnreadable(ctx context.Context, r *Run, app *App, acc *account) error {
	_, err := acc.custody.Login(ctx)
	if _, ok := errors.AsType[*store.KeyError](err); !ok {
		return nil // whatever else is wrong, the login itself meets with it
	}
	names, err := app.Store.DiscardSealed(ctx)
	if err != nil {
		return err
	}
	r.Logger.Warn("logins given up, since the key that sealed them is gone", "accounts", strings.Join(names, " "))
	return nil
}

func newLogoutCmd(r *Run) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Forgets an account's login",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withLogin(cmd.Context(), r, name, func(ctx context.Context, _ *App, acc *account) error {
				return (&logoutFlow{Out: r.Stdout, Account: acc.Name, Custody: acc.custody}).run(ctx)
			})
		},
	}
	cmd.Flags().StringVar(&name, "account", "", "the account, by `NAME` (default: the only one)")
	return cmd
}

// withLogin runs f on an account's login and then wakes a running daemon, which reads the login anew by itself but not at once.
func withLogin(ctx context.Context, r *Run, name string, f func(context.Context, *App, *account) error) error {
	cfg, err := r.Configure()
	if err != nil {
		return err
	}
	app, err := OpenApp(ctx, AppConfig{Config: cfg, Logger: r.Logger})
	if err != nil {
		return err
	}
	defer app.Close()
	acc, err := app.only(name)
	if err != nil {
		return err
	}
	if err := f(ctx, app, acc); err != nil {
		return err
	}
	daemon, err := DialControl(ctx, cfg.StateDir)
	if err != nil {
		return nil // none runs, or it finds out with its next pass
	}
	defer daemon.Close()
	if err := daemon.Do(ctx, ControlRequest{Verb: ControlWake, Account: acc.Name}, func(ControlEvent) {}); err != nil {
		r.Logger.Debug("daemon not woken", "error", err)
	}
	return nil
}

// only returns the account of that name; for "" the only one there is.
func (a *App) only(name string) (*account, error) {
	if name == "" && len(a.accounts) > 1 {
		var names []string
		for _, acc := range a.accounts {
			names = append(names, acc.Name)
		}
		return nil, &UsageError{Problem: "there are several accounts: " + strings.Join(names, ", "), Remedy: "name one with --account"}
	}
	list, err := a.chosen(name)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// me asks whose token it is.
func (a *App) me(ctx context.Context, access askara.Secret) (askara.Me, error) {
	return a.client(granted(access)).Me(ctx)
}

// granted is a token that was just granted and has no successor yet.
type granted askara.Secret

// Token implements askara.TokenSource.
func (g granted) Token(context.Context) (askara.Secret, error) { return askara.Secret(g), nil }

// Renew implements askara.TokenSource.
func (g granted) Renew(context.Context, askara.Secret) (askara.Secret, error) {
	return "", errors.New("Askara does not accept the token that it has just granted")
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
