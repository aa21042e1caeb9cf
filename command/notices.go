package command

import (
	"fmt"
	"io"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/preflight"
)

// showNotices prints each notice on a line.
func showNotices(out io.Writer, notices []preflight.Notice) {
	for _, n := range notices {
		fmt.Fprintf(out, "%s %s: %s\n", n.Level, n.Code, exports.ForTerminal(n.Message+" "+n.Fix))
	}
}
