// Package prompts serves the MCP prompts, with which a user can start a
// conversation. Each prompt is a Markdown file, a template over its arguments.
package prompts

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/client"
)

//go:embed *.md
var files embed.FS

// The arguments that several prompts share.
var (
	segment = mcp.PromptArgument{
		Name: "segment", Required: true, Description: "Segment id, exact name or Fullstory URL; everyone is all people",
	}
	start = mcp.PromptArgument{
		Name: "start", Required: true, Description: "Start of the range, such as 2026-10-01",
	}
	end = mcp.PromptArgument{
		Name: "end", Required: true, Description: "End of the range, excluded: 2026-11-01 ends October",
	}
	rows = mcp.PromptArgument{
		Name: "type", Description: "TYPE_EVENT, TYPE_PAGES, TYPE_SESSIONS or TYPE_INDIVIDUAL",
	}
	format = mcp.PromptArgument{
		Name: "format", Description: "FORMAT_NDJSON, FORMAT_JSON or FORMAT_CSV",
	}
	timezone = mcp.PromptArgument{
		Name: "timezone", Description: "IANA zone of the dates, such as Europe/Berlin",
	}
	chunk = mcp.PromptArgument{
		Name: "chunk", Description: "hour, day, week, month, or a duration such as PT6H",
	}
	segmentID = mcp.PromptArgument{
		Name: "segment_id", Required: true, Description: "Segment of the findings: its id, Fullstory link or exact name",
	}
	period = mcp.PromptArgument{
		Name: "period", Required: true, Description: "Period of the findings, such as last_7_days, 2026-10 or " +
			"2026-10-01/2026-10-15",
	}
	problem = mcp.PromptArgument{
		Name: "problem", Description: "The problem, in your own words",
	}
)

// All returns the prompts in reading order. Each rejects a call without a required
// argument or with an unknown one. It panics if a template is malformed, which the
// tests rule out.
func All() []server.ServerPrompt {
	return []server.ServerPrompt{
		prompt("export_segment", "Export a segment",
			"Export one segment over one range: check, create, track, download and inspect the file.",
			segment, start, end, rows, format, timezone),
		prompt("bulk_export", "Export a long range", "Plan and run an export of weeks or years of a segment, chunk by chunk.",
			segment, start, end, chunk, rows, format, timezone),
		prompt("troubleshoot_export", "Find out why an export does not work",
			"Find the cause of a failed, stuck, empty or rejected export and its remedy.",
			mcp.PromptArgument{Name: "operation_id", Description: "Id of the operation, if there is one"},
			problem),
		prompt("export_what_we_found", "Export what we found",
			"Export the segment that this conversation found, such as one that Fullstory's own MCP server saved, over the "+
				"period of the findings.",
			segmentID, period, rows, timezone),
		prompt("explore_export", "Look into an export",
			"Say what is in a stored export, and answer a question about it.",
			mcp.PromptArgument{
				Name: "source", Required: true, Description: "Name or id of a bulk export, or id of an operation",
			},
			mcp.PromptArgument{Name: "question", Description: "Your question about the data"}),
	}
}

// prompt returns the prompt that is defined by the file name.md.
func prompt(name, title, description string, args ...mcp.PromptArgument) server.ServerPrompt {
	text := template.Must(template.New(name+".md").Option("missingkey=zero").ParseFS(files, name+".md"))
	return server.ServerPrompt{
		Prompt: mcp.Prompt{Name: name, Title: title, Description: description, Arguments: args},
		Handler: func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			given, err := checkArguments(name, args, r.Params.Arguments)
			if err != nil {
				return nil, err
			}
			var b strings.Builder
			if err := text.Execute(&b, given); err != nil {
				return nil, fmt.Errorf("prompt %s: %w", name, err)
			}
			return mcp.NewGetPromptResult(description, []mcp.PromptMessage{
				mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(b.String())),
			}), nil
		},
	}
}

// ArgumentError says what is wrong with an argument of a prompt.
type ArgumentError struct{ Prompt, Argument, Problem string }

func (e *ArgumentError) Error() string {
	return fmt.Sprintf("prompt %s: argument %s %s", e.Prompt, e.Argument, e.Problem)
}

const (
	// valueLimit is the most characters of an argument that is a value, such as a date. A
	// longer one is rejected: a part of it has another meaning.
	valueLimit = 500
	// wordsLimit is the most characters of an argument in the user's own words. A longer
	// one is cut.
	wordsLimit = 4000
)

// checkArguments returns the arguments of a prompt as its template needs them: on one
// line, without control characters and invisible ones. It fails with an *ArgumentError
// if a required argument is missing or blank, or an argument is unknown or too long.
func checkArguments(prompt string, args []mcp.PromptArgument, given map[string]string) (map[string]string, error) {
	var names []string
	for _, a := range args {
		names = append(names, a.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			valid := "is unknown; valid arguments are " + strings.Join(names, ", ")
			return nil, &ArgumentError{prompt, client.Clean(name, 80), valid}
		}
	}
	cleaned := map[string]string{}
	for _, a := range args {
		text := strings.TrimSpace(client.Clean(given[a.Name], wordsLimit))
		switch length := utf8.RuneCountInString(text); {
		case text == "" && a.Required:
			return nil, &ArgumentError{prompt, a.Name, "is missing: " + a.Description}
		case text == "":
			continue
		case length > valueLimit && a.Name != problem.Name:
			return nil, &ArgumentError{prompt, a.Name, fmt.Sprintf("is too long; it may have %d characters", valueLimit)}
		}
		cleaned[a.Name] = text
	}
	return cleaned, nil
}
