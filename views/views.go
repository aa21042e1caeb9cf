// Package views has the page on which people look at exports: progress, a calendar of
// windows, rows and problems. It is plain HTML, CSS and JavaScript without any address, and
// is served as an MCP App (package tools) and as a web page (package web).
//
// view.js defines FullstoryView(root, actions), which draws into the element root and returns
//
//	show(data)   draws data, and does nothing if it is equal to the last
//	say(text)    writes a line that screen readers read out
//	shown()      the data that is drawn
//	moving(item) whether an item changes without a request
//
// data is an exports.Drawing as JSON:
//
//	items      results of get_bulk_export or entries of list_syncs; one is drawn whole, several
//	           as a list, from which one is opened
//	calendars  exports.Calendar by bulk_id; may lack any
//	simulated  whether the data is that of the sandbox
//	can        what the caller may do: pause, resume, retry; without them no button is drawn
//	title      of a list; may be absent
//
// actions has what the surroundings can do. Both may be absent:
//
//	act(item, action)  pause, resume or retry; returns a Promise of nothing, or of new data,
//	                   or fails with an Error, whose message is shown
//	open(item)         an item of a list was opened; it fetches more and calls show
//
// Texts of data are hostile: names and problems come from others. They are only ever set as
// textContent or as the value of an attribute that is text.
package views

import (
	_ "embed"
	"strings"
)

//go:embed view.html
var page string

//go:embed view.css
var style string

//go:embed view.js
var script string

//go:embed host.js
var host string

// Style returns the style sheet.
func Style() string { return squeezed(style) }

// Script returns the script that defines FullstoryView.
func Script() string { return squeezed(script) }

// App returns the MCP App: one document with its style and scripts, which needs no network.
func App() string {
	return strings.NewReplacer(
		"<!-- style -->", "<style>\n"+Style()+"</style>",
		"<!-- script -->", "<script>\n"+Script()+"</script>\n<script>\n"+squeezed(host)+"</script>",
	).Replace(page)
}

// squeezed returns a script or style without indentation and without lines that are
// comments. No text in them spans lines.
func squeezed(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		if line = strings.TrimLeft(line, " "); line != "\n" && !strings.HasPrefix(line, "//") {
			b.WriteString(line)
		}
	}
	return b.String()
}
