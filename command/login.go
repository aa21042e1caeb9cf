package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"golang.org/x/term"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/keys"
)

// loginCommand is `login`: it keeps an API key on this machine.
type loginCommand struct {
	Account string `help:"Account of the key, which callers of serve have. Default: the account without a name." placeholder:"NAME"`
}

// Help is the text that --help prints above the flags.
func (*loginCommand) Help() string {
	return "It asks for the key without showing it, or reads it from stdin if that is not a terminal. A key that " +
		"Fullstory rejects is not kept. FULLSTORY_API_KEY and FULLSTORY_API_KEY_FILE, if they are set, win over the key " +
		"that is kept."
}

// Run asks for a key, checks it and keeps it.
func (c *loginCommand) Run(ctx context.Context, a *app) error {
	if a.config.Sandbox {
		return &exitError{statusUsage, errors.New("login is for a key of Fullstory, and the sandbox needs none; leave " +
			"--sandbox or FULLSTORY_SANDBOX out")}
	}
	if err := auth.CheckAccount(c.Account); err != nil {
		return &exitError{statusUsage, fmt.Errorf("--account: %w", err)}
	}
	key, err := a.askKey(ctx, c.Account)
	if err != nil {
		return err
	}
	me, address, err := a.checkKey(ctx, key)
	if err != nil {
		return err
	}
	kept, err := a.environment.keys.Keep(c.Account, key)
	if err != nil {
		return notKept(err)
	}
	out := a.newView(a.stdout)
	region, _, _ := strings.Cut(regionOf(key), ",")
	out.good(fmt.Sprintf("The key works: organisation %s, role %s, region %s (%s).", me.OrgID, me.Role, region, address))
	if !me.Role.CanExport() {
		out.warn(fmt.Sprintf("Its role is %s, and exports need Architect or Admin: this key can only read.", me.Role))
	}
	text := "The key is kept in " + kept.String()
	if kept.Path != "" {
		text += ", which only you can read"
	}
	if kept.Because != "" {
		text += ", because " + kept.Because
	}
	out.good(text + ".")
	if source := a.environment.variableSource(c.Account); source != nil {
		out.warn(source.String() + " is set and wins over the key that is kept; unset it where this program is started.")
	}
	return nil
}

// notKept is the error of a key that was checked, and could not be kept.
func notKept(err error) error {
	if locked, ok := errors.AsType[*keys.KeychainError](err); ok {
		return fmt.Errorf("%w. The key was not kept: unlock the keychain and run login again, or keep the key in a file "+
			"with --no-keychain", locked)
	}
	return err
}

// checkKey asks Fullstory about a key. It returns the address that it asked, too. The error
// has no key.
func (a *app) checkKey(ctx context.Context, key client.Key) (me client.Me, address string, err error) {
	api, err := client.New(client.Options{
		Key: key, BaseURL: a.config.APIURL, UserAgent: "fullstory-export-mcp/" + version(), Log: a.log,
	})
	if err != nil {
		return me, "", fmt.Errorf("the key was not kept: %w", err)
	}
	me, err = api.Me(ctx)
	if err == nil {
		return me, api.BaseURL(), nil
	}
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == http.StatusUnauthorized {
		return me, "", errors.New("the key was rejected by Fullstory (401), so it was not kept. Copy the complete key in " +
			"Fullstory: Settings, Integrations, API Keys")
	}
	text := strings.TrimSuffix(exports.Explain(err).ForTerminal(), ".")
	return me, "", fmt.Errorf("the key could not be checked, so it was not kept. %s", text)
}

// askKey asks for a key at the terminal without echo, or reads it from stdin.
func (a *app) askKey(ctx context.Context, account string) (client.Key, error) {
	read := func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.stdin, maxKeyFile)) }
	if file, ok := a.stdin.(*os.File); ok && isTerminal(file) {
		fd := int(file.Fd())
		state, err := term.GetState(fd)
		if err != nil {
			return "", fmt.Errorf("the terminal cannot be used: %w", err)
		}
		defer term.Restore(fd, state) // also if it is interrupted
		question := "Fullstory API key"
		if account != "" {
			question += " of the account " + account
		}
		fmt.Fprint(a.stderr, question+" (it is not shown): ")
		defer fmt.Fprintln(a.stderr)
		read = func() ([]byte, error) { return term.ReadPassword(fd) }
	}
	type answer struct {
		key []byte
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		key, err := read()
		answered <- answer{key, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("interrupted; no key was kept")
	case got := <-answered:
		key := strings.TrimSpace(string(got.key))
		if key == "" && (got.err == nil || errors.Is(got.err, io.EOF)) {
			return "", &exitError{statusUsage, errors.New("no key was given; run login in a terminal and paste the key, or " +
				"pipe it in: fullstory-export-mcp login < FILE")}
		}
		return client.Key(key), got.err
	}
}

// logoutCommand is `logout`: it removes what login kept.
type logoutCommand struct {
	Account string `help:"Account of the key. Default: the account without a name." placeholder:"NAME"`
}

// Run removes the key of an account from the keychain and the folder of the configuration.
func (c *logoutCommand) Run(a *app) error {
	if err := auth.CheckAccount(c.Account); err != nil {
		return &exitError{statusUsage, fmt.Errorf("--account: %w", err)}
	}
	from, err := a.environment.keys.Remove(c.Account)
	out := a.newView(a.stdout)
	for _, kept := range from {
		out.good("The key was removed from " + kept.String() + ".")
	}
	if err != nil {
		return fmt.Errorf("a key may still be kept: %w", err)
	}
	if len(from) == 0 {
		out.line("Login has kept no key for this account.")
	}
	if source := a.environment.variableSource(c.Account); source != nil {
		out.warn(source.String() + " is set, and its key is used.")
	}
	return nil
}
