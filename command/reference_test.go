package command

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestCommandReference compares docs/commands.md with the commands. With -update it writes
// the file.
func TestCommandReference(t *testing.T) {
	const path = "../docs/commands.md"
	var c commands
	parser, err := newParser(&c, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the program: `go test ./command -run Reference -update`.\n")
	for _, node := range parser.Model.Leaves(true) {
		writeCommand(&b, parser.Model, node)
	}
	b.WriteString("\n## Flags of all commands\n\n" + flagTable(t))
	fmt.Fprintf(&b, "\n## Exit status\n%s", exitStatuses)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != b.String() {
		t.Errorf("%s is stale, %v; run: go test ./command -run Reference -update", path, err)
	}
}

// writeCommand writes the section of a command.
func writeCommand(b *strings.Builder, model *kong.Application, node *kong.Node) {
	name := strings.TrimPrefix(node.Path(), "fullstory-export-mcp ")
	fmt.Fprintf(b, "\n## %s\n\n%s\n", name, node.Help)
	if node.Detail != "" {
		fmt.Fprintf(b, "\n```\n%s\n```\n", node.Detail)
	}
	fmt.Fprintf(b, "\n```\nfullstory-export-mcp %s\n```\n\n", strings.TrimPrefix(node.Summary(), "fullstory-export-mcp "))
	var rows []string
	for _, p := range node.Positional {
		rows = append(rows, fmt.Sprintf("| `%s` | %s |\n", strings.ToUpper(p.Name), cell(p.Help)))
	}
	own := node.Flags
	if node.Parent != model.Node {
		own = append(usedOf(node.Name, node.Parent.Flags), own...)
	}
	for _, f := range own {
		flag := "`--" + f.Name + "`"
		if f.Short != 0 {
			flag += ", `-" + string(f.Short) + "`"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s |\n", flag, cell(f.Help)))
	}
	if len(rows) > 0 {
		b.WriteString("| argument or flag | |\n|---|---|\n" + strings.Join(rows, ""))
	}
	var shared []string
	for _, f := range usedOf(node.Name, model.Flags) {
		if f.Name != "help" && !strings.HasPrefix(f.Name, anySandboxFlag) {
			shared = append(shared, "`--"+f.Name+"`")
		}
	}
	if len(shared) > 0 {
		fmt.Fprintf(b, "\nFlags of all commands that it uses: %s.\n", strings.Join(shared, ", "))
	}
}

// cell writes a text into a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }
