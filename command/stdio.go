package command

import (
	"context"
	"fmt"
	"time"

	"fullstory-export-mcp/tools"
	"fullstory-export-mcp/transport"
)

// stdioCommand is the default command: MCP over stdin and stdout, for a host.
type stdioCommand struct{}

// resumeDelay is how long after the start unfinished bulk exports are resumed. The host
// waits for the answer to initialize, which comes first.
const resumeDelay = 200 * time.Millisecond

// Run serves MCP until the host closes stdin or has ended, or ctx ends.
func (stdioCommand) Run(ctx context.Context, a *app) error {
	d, err := newDeps(a)
	if err != nil && a.environment.inBundle() {
		d, err = unusableDeps(a, err)
	}
	if err != nil {
		return err
	}
	defer d.close()
	defer time.AfterFunc(resumeDelay, func() { d.resume(ctx, "") }).Stop()
	if _, err := d.listTools(); err != nil {
		return err
	}
	subscriptions := tools.NewSubscriptions(d.account, nil)
	s, err := tools.NewServer(d.serverOptions(subscriptions, countNothing))
	if err != nil {
		return err
	}
	if isTerminal(a.stdin) {
		fmt.Fprintln(a.stderr, "This is an MCP server: a host such as Claude Desktop starts it and sends JSON to stdin. "+
			"`fullstory-export-mcp doctor` prints the configuration; `fullstory-export-mcp demo` shows what it does.")
	}
	hosted, stop := withParent(ctx, a.log)
	defer stop()
	o := transport.StdioOptions{MCP: s, Stopping: tools.ErrStopping, Ended: subscriptions.End, Log: a.log}
	return transport.ServeStdio(hosted, o, a.stdin, a.stdout)
}

// unusableDeps returns the dependencies of a whose settings are wrong, as err says. They open no
// account: each call that needs one fails with err. The host of a bundle would show no reason if
// the program ended instead.
func unusableDeps(a *app, err error) (*deps, error) {
	a.log.Error("the settings cannot be used; the calls of tools say so", "error", err)
	a.config.Timezone, a.config.Sandbox = "UTC", false
	d, failed := newDeps(a)
	if failed != nil {
		return nil, err
	}
	d.accounts.unknown = err
	return d, nil
}
