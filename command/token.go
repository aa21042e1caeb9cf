package command

import (
	"errors"
	"fmt"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/local"
)

// tokenCommand is `serve token`: a new or changed caller.
type tokenCommand struct {
	Name    string `arg:"" help:"Name of the caller: letters, digits, '.', '_', '@', '-'."`
	Account string `help:"Account of the caller. Its key is FULLSTORY_API_KEY_NAME, in capitals. Default: the account of FULLSTORY_API_KEY." placeholder:"NAME"`
	Links   bool   `help:"The caller may also get signed links to files. A link works for anyone until it expires."`
	Metrics bool   `help:"The caller reads /metrics, of all accounts, and can do nothing else. For Prometheus."`
}

// Run gives a caller a new token and prints it on stdout. Only its hash is stored, so it
// cannot be printed again. With --read-only, tools that change something are not
// offered to the caller.
func (c *tokenCommand) Run(a *app, s *serveCommand) error {
	if s.Callers == "" {
		return &exitError{statusUsage, errors.New("--callers FILE is missing; the hash of the token is written to that file")}
	}
	caller := auth.Caller{
		Name: c.Name, Account: c.Account, ReadOnly: a.config.ReadOnly, Links: c.Links, Metrics: c.Metrics,
	}
	token, replaced, err := auth.NewToken(s.Callers, caller)
	if err != nil {
		return &exitError{statusUsage, err}
	}
	fmt.Fprintln(a.stdout, token)
	what := "is a new caller in"
	if replaced {
		what = "has a new token (the old one is no longer valid) in"
	}
	fmt.Fprintf(a.stderr, "%s %s %s. The token is shown only now; clients send it as\n"+
		"  Authorization: Bearer TOKEN\n", c.Name, what, local.Shown(s.Callers))
	return nil
}
