// Command fullstory-export-mcp is an MCP server through which an AI assistant
// plans, schedules, tracks and fetches Fullstory segment exports.
package main

import (
	_ "time/tzdata" // time zones, for machines without a database of them

	"fullstory-export-mcp/command"
)

func main() { command.Main() }
