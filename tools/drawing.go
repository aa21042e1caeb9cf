package tools

import (
	"context"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/views"
)

const (
	// appsExtension is the extension of the protocol for views that a host shows beside a result.
	appsExtension = "io.modelcontextprotocol/ui"
	// appType is the content type of such a view.
	appType = "text/html;profile=mcp-app"
	// viewURI is the address of the view.
	viewURI = "ui://fullstory-export/view"
	// viewKey is the field of the _meta of a result that has a drawing.
	viewKey = "fullstory-export-mcp/view"
)

// drawer returns the drawing of a result; nil if there is nothing to draw.
type drawer func(ctx context.Context, out any) (*exports.Drawing, error)

// drawBulks returns the drawer of results about bulk exports, whose ids are those that ids
// returns.
func drawBulks(accounts Accounts, ids func(out any) []string) drawer {
	return func(ctx context.Context, out any) (*exports.Drawing, error) {
		list := slices.DeleteFunc(ids(out), func(id string) bool { return id == "" })
		a, err := accounts(ctx)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		d, err := a.DrawBulks(ctx, list...)
		return &d, err
	}
}

// drawSyncs returns the drawer of results about syncs.
func drawSyncs(accounts Accounts, syncs func(out any) []exports.SyncStatus) drawer {
	return func(ctx context.Context, out any) (*exports.Drawing, error) {
		list := syncs(out)
		a, err := accounts(ctx)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		d, err := a.DrawSyncs(ctx, list...)
		return &d, err
	}
}

// drawing returns the _meta of a result with its drawing, if the client of the call shows MCP
// Apps: models do not read it. A drawing that fails is left out, because the result is complete
// without it.
func (s Settings) drawing(ctx context.Context, draws drawer, out any) *mcp.Meta {
	if draws == nil || !showsApps(ctx) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit/2)
	defer cancel()
	d, err := draws(ctx, out)
	if err != nil {
		s.log().WarnContext(ctx, "a result cannot be drawn", "error", err)
	}
	if err != nil || d == nil {
		return nil
	}
	if s.offers("control_bulk_export") {
		d.Can = append(d.Can, "pause", "resume", "retry")
	}
	return mcp.NewMetaFromMap(map[string]any{viewKey: d})
}

// offers reports whether s offers a tool that changes something.
func (s Settings) offers(tool string) bool {
	return !s.ReadOnly && (len(s.Only) == 0 || slices.Contains(s.Only, tool))
}

// drawnBy returns the _meta of a tool whose results the view draws. The second field is that of
// hosts from before the extension was final.
func drawnBy() map[string]any {
	return map[string]any{"ui": map[string]any{"resourceUri": viewURI}, "ui/resourceUri": viewURI}
}

// viewResource returns the view. It needs no network, so its hosts allow none.
func viewResource() mcp.ResourceContents {
	return mcp.TextResourceContents{
		URI: viewURI, MIMEType: appType, Text: views.App(),
		Meta: map[string]any{"ui": map[string]any{
			"csp":           map[string]any{"connectDomains": []string{}, "resourceDomains": []string{}},
			"prefersBorder": true,
		}},
	}
}

// appsSession is a session that knows whether its client shows MCP Apps.
type appsSession interface {
	SetShowsApps(bool)
	ShowsApps() bool
}

// declaresApps reports whether a client shows MCP Apps.
func declaresApps(c mcp.ClientCapabilities) bool {
	_, shows := c.Extensions[appsExtension]
	return shows
}

// showsApps reports whether the client of a request shows MCP Apps: it says so in each request
// from protocol 2026-07-28 on, and in initialize before.
func showsApps(ctx context.Context) bool {
	if p := server.RequestProtocolInfoFromContext(ctx); p != nil && p.ClientCapabilities != nil {
		return declaresApps(*p.ClientCapabilities)
	}
	s, ok := server.ClientSessionFromContext(ctx).(appsSession)
	return ok && s.ShowsApps()
}

// followApps records which clients show MCP Apps, and leaves the view out of the lists of tools
// of the others: every model pays for each byte of them.
func followApps(h *server.Hooks) {
	h.AddAfterInitialize(func(ctx context.Context, _ any, m *mcp.InitializeRequest, _ *mcp.InitializeResult) {
		if s, ok := server.ClientSessionFromContext(ctx).(appsSession); ok {
			s.SetShowsApps(declaresApps(m.Params.Capabilities))
		}
	})
	h.AddAfterListTools(func(ctx context.Context, _ any, _ *mcp.ListToolsRequest, r *mcp.ListToolsResult) {
		if showsApps(ctx) {
			return
		}
		r.Tools = slices.Clone(r.Tools)
		for i := range r.Tools {
			r.Tools[i].Meta = nil
		}
	})
}
