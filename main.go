// Command fullstory-export-mcp is an MCP server through which an AI assistant
// plans, schedules, tracks and fetches Fullstory segment exports.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "time/tzdata" // time zones, for machines without a database of them

	"fullstory-export-mcp/command"
)

// sameSignal is how long after the first signal further ones are ignored: timeout(1)
// and other wrappers send one signal both to the process and to its group.
const sameSignal = time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		time.Sleep(sameSignal)
		stop() // from now on a signal ends the process at once
	})
	err := command.Run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(command.Status(err))
}
