package command

import (
	"context"

	"fullstory-export-mcp/tools"
)

// countNothing counts nothing: the metrics of a server on stdio cannot be read.
func countNothing(string) (done func(failure string)) { return func(string) {} }

// serverOptions returns the options of an MCP server that works with d. Each call of
// a tool is traced, and passed to count.
func (d *deps) serverOptions(
	s *tools.Subscriptions, count func(tool string) (done func(failure string)),
) tools.ServerOptions {
	settings := d.settings
	settings.Around = func(
		ctx context.Context, tool string, meta map[string]any,
	) (_ context.Context, done func(failure string)) {
		ctx, traced := traced(ctx, tool, meta)
		counted := count(tool)
		return ctx, func(failure string) {
			counted(failure)
			traced(failure)
		}
	}
	return tools.ServerOptions{Settings: settings, Accounts: d.account, Subscriptions: s, Version: version()}
}

// listTools returns the tools that the configuration allows. It fails with exit
// status 2 if the configuration names an unknown tool.
func (d *deps) listTools() ([]tools.Listing, error) {
	listed, err := tools.Listed(d.settings)
	if err != nil {
		return nil, &exitError{statusUsage, err}
	}
	return listed, nil
}

// writeTools returns the tools that change something.
func writeTools(listed []tools.Listing) (names []string) {
	for _, tool := range listed {
		if tool.Effect != tools.Read {
			names = append(names, tool.Name)
		}
	}
	return names
}
