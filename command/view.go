package command

import (
	"image/color"
	"io"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"fullstory-export-mcp/local"
)

// view writes text for people. On a terminal it wraps lines between words and may use
// colours; elsewhere it does neither. Texts that it gets cannot control the terminal. A
// write does not outlast the end of the program. It is for one goroutine.
type view struct {
	out   io.Writer // removes colours if there are to be none
	width int       // columns of the terminal; 0: it is none
}

// newView returns the view of a stream, coloured as --color and NO_COLOR say.
func (a *app) newView(out io.Writer) view {
	colours := &colorprofile.Writer{Forward: &interruptible{w: out, done: a.environment.done}, Profile: colorprofile.NoTTY}
	if a.coloured(out) {
		colours.Profile = colorprofile.ANSI // the 16 colours of the terminal's own theme
	}
	return view{out: colours, width: columns(out)}
}

// columns returns the width of a terminal; 0 if out is none.
func columns(out io.Writer) (width int) {
	if file, ok := out.(interface{ Fd() uintptr }); ok && isTerminal(out) {
		width, _, _ = term.GetSize(int(file.Fd()))
	}
	return width
}

// coloured reports whether text on a stream has colours.
func (a *app) coloured(out io.Writer) bool {
	switch a.config.Color {
	case "always":
		return true
	case "never":
		return false
	}
	return isTerminal(out) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

// line writes a paragraph. What does not fit the width continues on lines of their own.
func (v view) line(text string) { v.marked("", text) }

// good writes a paragraph about what is as it should be, bad about what is not, and warn
// about what the user should look at.
func (v view) good(text string) { v.marked(sign(lipgloss.Green, "✓"), text) }
func (v view) bad(text string)  { v.marked(sign(lipgloss.Red, "✗"), text) }
func (v view) warn(text string) { v.marked(sign(lipgloss.Yellow, "!"), text) }

// sign returns what begins a paragraph, in a colour.
func sign(c color.Color, text string) string {
	return lipgloss.NewStyle().Foreground(c).Render(text) + " "
}

// marked writes a paragraph after a mark, below which its other lines are indented.
func (v view) marked(lead, text string) {
	indent := ansi.StringWidth(lead)
	for paragraph := range strings.SplitSeq(text, "\n") {
		paragraph = local.Printable(paragraph)
		if v.width > indent {
			paragraph = wrapped(paragraph, v.width-indent)
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			_, _ = io.WriteString(v.out, lead+strings.TrimRight(line, " ")+"\n")
			lead = strings.Repeat(" ", indent)
		}
	}
}

// wholeHyphen replaces a hyphen while text is wrapped: a name such as --segment-window or a
// path stays on one line, so that it can be copied.
const wholeHyphen = "\uE000"

// wrapped breaks text between words.
func wrapped(text string, width int) string {
	text = ansi.Wordwrap(strings.ReplaceAll(text, "-", wholeHyphen), width, "")
	return strings.ReplaceAll(text, wholeHyphen, "-")
}

// table writes rows in columns, below a head unless that is nil. Numbers are the columns that are aligned to
// the right. A cell is cleaned here, so it may come from outside.
func (v view) table(head []string, rows [][]string, numbers ...int) {
	for _, row := range rows {
		for i := range row {
			row[i] = local.Printable(row[i])
		}
	}
	right := map[int]bool{}
	for _, n := range numbers {
		right[n] = true
	}
	t := table.New().Rows(rows...).Border(lipgloss.HiddenBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderHeader(false).BorderColumn(false).
		StyleFunc(func(row, column int) lipgloss.Style {
			style := lipgloss.NewStyle().PaddingRight(2)
			if len(rows) > 0 && column == len(rows[0])-1 {
				style = lipgloss.NewStyle()
			}
			if right[column] {
				style = style.Align(lipgloss.Right)
			}
			if row == table.HeaderRow {
				return style.Bold(true)
			}
			return style
		})
	if head != nil {
		t = t.Headers(head...)
	}
	text := t.String()
	if v.width > 0 && lipgloss.Width(text) > v.width {
		text = t.Width(v.width).Wrap(true).String()
	}
	for l := range strings.SplitSeq(text, "\n") {
		_, _ = io.WriteString(v.out, strings.TrimRight(l, " ")+"\n")
	}
}
