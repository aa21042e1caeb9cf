package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// manCommand is `man`, which packages call when they are built.
type manCommand struct{}

// Run prints the manual page of the program in roff, section 1.
func (manCommand) Run(a *app) error {
	parser, err := newParser(&commands{}, func(string) string { return "" })
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, manPage(parser.Model))
	return err
}

// manPage returns the manual page of the program. It has no date, so that two builds of a
// commit are equal.
func manPage(model *kong.Application) string {
	p := page{}
	fmt.Fprintf(&p, ".TH FULLSTORY-EXPORT-MCP 1 \"\" \"fullstory-export-mcp %s\" \"User Commands\"\n", roff(version()))
	p.section("NAME")
	p.text("fullstory-export-mcp - export the data of Fullstory, for assistants and terminals")
	p.section("SYNOPSIS")
	p.WriteString(".B fullstory-export-mcp\n[\\fICOMMAND\\fR] [\\fIFLAGS\\fR]\n")
	p.section("DESCRIPTION")
	p.text(model.Help)
	p.text("Without a command it serves MCP over stdin and stdout: that is what a host starts.")
	p.section("COMMANDS")
	for _, node := range model.Leaves(true) {
		p.command(model, node)
	}
	p.section("FLAGS OF ALL COMMANDS")
	p.text("A flag wins over its variable, which ends its text. Each command shows with --help which of them it uses.")
	p.flags(model.Flags)
	p.section("EXIT STATUS")
	p.text(strings.TrimPrefix(strings.TrimSpace(exitStatuses), "Exit status: "))
	return p.String()
}

// page is a manual page in the making.
type page struct{ strings.Builder }

func (p *page) section(name string) { p.WriteString(".SH " + name + "\n") }

// text writes paragraphs, which empty lines separate.
func (p *page) text(text string) {
	for _, paragraph := range strings.Split(text, "\n\n") {
		p.WriteString(".PP\n" + roff(strings.TrimSpace(paragraph)) + "\n")
	}
}

// command writes a command with its arguments and its own flags.
func (p *page) command(model *kong.Application, node *kong.Node) {
	p.WriteString(".SS \"" + roff(strings.TrimPrefix(node.Summary(), "fullstory-export-mcp ")) + "\"\n")
	p.WriteString(roff(node.Help) + "\n")
	if node.Detail != "" {
		p.WriteString(".PP\n.EX\n" + roff(node.Detail) + "\n.EE\n")
	}
	for _, argument := range node.Positional {
		p.item(roff(strings.ToUpper(argument.Name)), argument.Help)
	}
	if node.Parent != model.Node {
		p.flags(usedOf(node.Name, node.Parent.Flags))
	}
	p.flags(node.Flags)
}

func (p *page) flags(flags []*kong.Flag) {
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name := "\\fB\\-\\-" + roff(f.Name) + "\\fR"
		if f.Short != 0 {
			name = "\\fB\\-" + string(f.Short) + "\\fR, " + name
		}
		if !f.IsBool() {
			name += "=\\fI" + roff(f.FormatPlaceHolder()) + "\\fR"
		}
		p.item(name, f.Help)
	}
}

// item writes an entry of a list. The term is in roff already.
func (p *page) item(term, help string) { p.WriteString(".TP\n" + term + "\n" + roff(help) + "\n") }

// roff writes a text so that nothing in it is taken for a request or an escape.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "…", `\[u2026]`, "–", `\(en`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
