package command

import (
	"image/color"

	"charm.land/lipgloss/v2"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/preflight"
)

// showNotices prints each notice as a paragraph: its level, text and code.
func showNotices(v view, notices []preflight.Notice) {
	colours := map[preflight.Level]color.Color{
		preflight.Blocker: lipgloss.Red, preflight.Warn: lipgloss.Yellow, preflight.Note: lipgloss.Cyan,
	}
	for _, n := range notices {
		v.marked(sign(colours[n.Level], string(n.Level)+":"), exports.ForTerminal(n.Message+" "+n.Fix)+" ("+n.Code+")")
	}
}
