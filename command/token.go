package command

import (
	"errors"
	"fmt"

	"fullstory-export-mcp/remote"
)

type tokenCommand struct {
	Name    string `arg:"" help:"Who calls: letters, digits, '.', '_', '@', '-'."`
	Account string `help:"Whose Fullstory key the caller uses: FULLSTORY_API_KEY_NAME, in capitals. Default: FULLSTORY_API_KEY." placeholder:"NAME"`
}

// Run gives a caller a new token, and prints it: it is not kept anywhere. With
// --read-only the caller is offered only what changes nothing.
func (c *tokenCommand) Run(t *terminal, s *serveCommand) error {
	if s.Callers == "" {
		return &exit{2, errors.New("--callers FILE is missing: the file that the hash of the token is written to")}
	}
	caller := remote.Caller{Name: c.Name, Account: c.Account, ReadOnly: t.config.ReadOnly}
	token, replaced, err := remote.NewToken(s.Callers, caller)
	if err != nil {
		return &exit{2, err}
	}
	fmt.Fprintln(t.stdout, token)
	what := "is a new caller in"
	if replaced {
		what = "has a new token, the old one is not valid any more, in"
	}
	fmt.Fprintf(t.stderr, "%s %s %s. The token is shown only now; clients send it as\n  Authorization: Bearer TOKEN\n", c.Name, what, s.Callers)
	return nil
}
