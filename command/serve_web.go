package command

import (
	"slices"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/transport"
	"fullstory-export-mcp/web"
)

// serveWeb has the server that o describes serve the web page, unless it is switched off.
func (s *serveCommand) serveWeb(o *transport.Options, d *deps) {
	if !s.Web {
		return
	}
	o.Limits = auth.NewLimits()
	options := web.Options{
		Account: d.account, Gate: auth.Gate{Callers: o.Callers, Issuer: o.Issuer}, Limits: o.Limits, Key: o.Key,
		Address: transport.AddressOf, File: o.Files.Path, Sandbox: d.app.config.Sandbox, Log: d.app.log,
		Control: d.offers("control_bulk_export"), Sync: d.offers("sync_export"),
	}
	if o.Shared != nil {
		options.Shared = o.Shared
	}
	if s.WebClient != "" && o.Issuer != nil {
		options.Code = auth.NewCodeFlow(o.Issuer, s.WebClient)
	}
	o.Pages = &transport.Pages{Handler: web.New(options), Routes: web.Routes()}
}

// offers reports whether the server may offer a tool that changes something: what an operator keeps
// from assistants, the web page does not offer either.
func (d *deps) offers(tool string) bool {
	only := d.settings.Only
	return !d.settings.ReadOnly && (len(only) == 0 || slices.Contains(only, tool))
}
