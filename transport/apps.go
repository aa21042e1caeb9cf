package transport

// apps is the extension of the protocol by which a client says that it shows MCP Apps.
const apps = "io.modelcontextprotocol/ui"

// SetShowsApps keeps that the client said in initialize that it shows MCP Apps.
func (c *call) SetShowsApps(shows bool) { c.conversation.apps.Store(shows) }

// ShowsApps reports whether the client of the conversation shows MCP Apps.
func (c *call) ShowsApps() bool { return c.conversation.apps.Load() }
