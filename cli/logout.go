package cli

import (
	"context"
	"fmt"
	"io"

	"askara-sync/askara"
)

// logoutFlow is one run of the verb logout.
type logoutFlow struct {
	Out     io.Writer
	Account string
	Custody *askara.Custody
}

// run forgets the account's login.
func (f *logoutFlow) run(ctx context.Context) error {
	before, err := f.Custody.Login(ctx)
	if err != nil {
		return err
	}
	if err := f.Custody.Forget(ctx); err != nil {
		return err
	}
	if before.State == askara.LoginRequired {
		fmt.Fprintf(f.Out, "Account %s was not logged in.\n", f.Account)
		return nil
	}
	fmt.Fprintf(f.Out, "Account %s is logged out, and its tokens are gone from this machine.\n", f.Account)
	fmt.Fprintf(f.Out, "Askara itself may keep the permission: whoever gave it can withdraw it there.\n")
	return nil
}
