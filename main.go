// Command fullstory-export-mcp is an MCP server through which an AI assistant
// plans, schedules, tracks and fetches Fullstory segment exports.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	_ "time/tzdata" // zones on machines without a zone database

	"fullstory-export-mcp/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command.Run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(command.Status(err))
}
