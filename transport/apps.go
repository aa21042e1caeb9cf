package transport

import (
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// apps is the extension of the protocol by which a client says that it shows MCP Apps.
const apps = "io.modelcontextprotocol/ui"

// SetShowsApps keeps that the client said in initialize that it shows MCP Apps.
func (c *call) SetShowsApps(shows bool) { c.conversation.apps.Store(shows) }

// ShowsApps reports whether the client of the conversation shows MCP Apps.
func (c *call) ShowsApps() bool { return c.conversation.apps.Load() }

// sharedApps returns how initialize changes the shared state of a session whose client shows
// MCP Apps; nil if it does not.
func sharedApps(in incoming) func(*sharedState) {
	var about struct {
		Params struct{ Capabilities json.RawMessage }
	}
	var declared mcp.ClientCapabilities
	if in.message.method != methodInitialize || json.Unmarshal(in.raw, &about) != nil ||
		json.Unmarshal(about.Params.Capabilities, &declared) != nil {
		return nil
	}
	if _, shows := declared.Extensions[apps]; !shows {
		return nil
	}
	return func(n *sharedState) { n.Apps = true }
}
