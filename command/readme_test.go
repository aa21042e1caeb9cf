package command

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/sandbox"
	"fullstory-export-mcp/tools"
)

var update = flag.Bool("update", false, "rewrite the generated parts of README.md")

// TestReadme compares the generated parts of README.md and docs/ with the program. With
// -update it rewrites them.
func TestReadme(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{
		"tools": toolTable(t), "host": hostBlocks(false, "claude-desktop"), "hosts": hostBlocks(false, hostNames()...),
		"sandbox-hosts": hostBlocks(true, hostNames()...), "lint": lintTable(), "grants": grantBlock(),
		"faults": sandbox.FaultsText(), "quirks": sandbox.QuirksText(),
	}
	found := map[string]bool{}
	for _, path := range append(pages, "../README.md") {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for name, want := range parts {
			part := regexp.MustCompile(`(?s)(<!-- ` + name + ` -->\n).*?(<!-- /` + name + ` -->)`).FindString(text)
			whole := "<!-- " + name + " -->\n" + want + "<!-- /" + name + " -->"
			found[name] = found[name] || part != ""
			switch {
			case part == "":
			case *update:
				text = strings.Replace(text, part, whole, 1)
			case part != whole:
				t.Errorf("%s in %s is stale; run: go test ./command -run Readme -update\ngot:\n%s\nwant:\n%s", name, path, part,
					whole)
			}
		}
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name := range parts {
		if !found[name] {
			t.Errorf("no page has a place for %s", name)
		}
	}
}

func toolTable(t *testing.T) string {
	t.Helper()
	all, err := tools.All(func(context.Context) (*exports.Account, error) { return nil, nil }, tools.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| tool | effect | does |\n|---|---|---|\n")
	for _, d := range all {
		effect := map[tools.Effect]string{tools.Read: "reads", tools.Write: "adds", tools.Destroy: "ends"}[d.Effect]
		does, _, _ := strings.Cut(d.Served.Tool.Description, ". ")
		fmt.Fprintf(&b, "| `%s` | %s | %s. |\n", d.Served.Tool.Name, effect, strings.TrimSuffix(does, "."))
	}
	return b.String()
}

// grantBlock lists what `migrate --grant-to exports_server` grants.
func grantBlock() string {
	var b strings.Builder
	b.WriteString("```sql\n")
	for _, s := range ledger.GrantStatements("public", "exports_server") {
		if strings.HasPrefix(s, "GRANT ") {
			b.WriteString(strings.ReplaceAll(s, `"`, "") + ";\n")
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func lintTable() string {
	var b strings.Builder
	b.WriteString("| code | level | when |\n|---|---|---|\n")
	for _, c := range preflight.Codes() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Code, cmp.Or(string(c.Level), "error"), c.When)
	}
	return b.String()
}

func hostBlocks(sandbox bool, names ...string) string {
	var b strings.Builder
	l := launch{env: map[string]string{apiKey: yourKey}}
	if sandbox {
		l = launch{flags: []string{"--sandbox"}}
	}
	for _, h := range configurations("/path/to/fullstory-export-mcp", l) {
		if !slices.Contains(names, h.id) {
			continue
		}
		fence := "```" + h.language
		if h.where == "in a shell" {
			fence = "<!-- not executed: needs the host -->\n```sh"
		}
		fmt.Fprintf(&b, "**%s** (%s)\n\n%s\n%s\n```\n\n", h.name, h.where, fence, h.config)
	}
	return b.String()
}

// flagTable lists the flags that all commands share.
func flagTable(t *testing.T) string {
	t.Helper()
	var c commands
	parser, err := newParser(&c, func(name string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| flag | environment | |\n|---|---|---|\n")
	for _, f := range parser.Model.Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		help, env, variable := strings.Cut(f.Help, " ($")
		if variable {
			env = "`" + strings.TrimSuffix(env, ")") + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", f.Name, env, help)
	}
	return b.String()
}
