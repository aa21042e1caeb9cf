package command

import (
	"context"
	"fmt"
)

type stdioCommand struct{}

// Run serves MCP over stdin and stdout until the host closes its end.
func (stdioCommand) Run(ctx context.Context, t *terminal) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	c.goOn(ctx, t, "")
	s, err := newServer(c)
	if err != nil {
		return err
	}
	if isTerminal(t.stdin) {
		fmt.Fprintln(t.stderr, "This is an MCP server: a host such as Claude Desktop starts it and speaks JSON on stdin. `fullstory-export-mcp doctor` prints the configuration; `fullstory-export-mcp demo` shows what it does.")
	}
	return serveStdio(ctx, s, t.stdin, t.stdout, t.log)
}
