// Package prompts holds what a person can start a conversation with: one
// Markdown file a prompt, and this file, which serves them.
package prompts

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

//go:embed *.md
var files embed.FS

var (
	segment  = mcp.PromptArgument{Name: "segment", Description: "Segment id, exact name or Fullstory URL; everyone is all people", Required: true}
	start    = mcp.PromptArgument{Name: "start", Description: "Where the range starts, such as 2026-10-01", Required: true}
	end      = mcp.PromptArgument{Name: "end", Description: "Where it ends, excluded: 2026-11-01 ends October", Required: true}
	rows     = mcp.PromptArgument{Name: "type", Description: "TYPE_EVENT, TYPE_PAGES, TYPE_SESSIONS or TYPE_INDIVIDUAL"}
	format   = mcp.PromptArgument{Name: "format", Description: "FORMAT_NDJSON, FORMAT_JSON or FORMAT_CSV"}
	timezone = mcp.PromptArgument{Name: "timezone", Description: "IANA zone in which dates are meant, such as Europe/Berlin"}
	chunk    = mcp.PromptArgument{Name: "chunk", Description: "hour, day, week, month, or a duration such as PT6H"}
)

// All returns the prompts in reading order. Each refuses a call that leaves
// out a required argument or names one that it does not have.
func All() []server.ServerPrompt {
	return []server.ServerPrompt{
		prompt("export_segment", "Export a segment", "Export one segment over one range: check, create, track, fetch and look at the file.",
			segment, start, end, rows, format, timezone),
		prompt("bulk_export", "Export a long range", "Export weeks or years of a segment chunk by chunk, planned first.",
			segment, start, end, chunk, rows, format, timezone),
		prompt("troubleshoot_export", "Find out why an export does not work", "Find the cause of a failed, stuck, empty or refused export and its remedy.",
			mcp.PromptArgument{Name: "operation_id", Description: "The operation in question, if there is one"},
			mcp.PromptArgument{Name: "problem", Description: "What was seen, in your own words"}),
	}
}

// prompt serves the file name.md, a template over its arguments.
func prompt(name, title, description string, args ...mcp.PromptArgument) server.ServerPrompt {
	text := template.Must(template.New(name+".md").Option("missingkey=zero").ParseFS(files, name+".md"))
	return server.ServerPrompt{
		Prompt: mcp.Prompt{Name: name, Title: title, Description: description, Arguments: args},
		Handler: func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			if err := checkArguments(args, r.Params.Arguments); err != nil {
				return nil, fmt.Errorf("prompt %s: %w", name, err)
			}
			var b strings.Builder
			if err := text.Execute(&b, r.Params.Arguments); err != nil {
				return nil, fmt.Errorf("prompt %s: %w", name, err)
			}
			return mcp.NewGetPromptResult(description, []mcp.PromptMessage{
				mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(b.String())),
			}), nil
		},
	}
}

func checkArguments(args []mcp.PromptArgument, given map[string]string) error {
	var names []string
	for _, a := range args {
		names = append(names, a.Name)
		if a.Required && strings.TrimSpace(given[a.Name]) == "" {
			return fmt.Errorf("argument %s is missing: %s", a.Name, a.Description)
		}
	}
	for name := range given {
		if !slices.Contains(names, name) {
			return fmt.Errorf("unknown argument %s; there are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}
