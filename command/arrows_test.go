package command

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows are the packages of this module that each package may import.
var arrows = map[string][]string{
	"":          {"command"},
	"command":   {"tools", "prompts", "remote", "sandbox", "preflight", "mirror", "archive", "plan", "ledger", "client"},
	"tools":     {"bulk", "preflight", "mirror", "archive", "ledger", "plan", "client", "schema"},
	"bulk":      {"ledger", "mirror", "archive", "plan", "client"},
	"mirror":    {"archive"},
	"preflight": {"plan", "client"},
}

// TestArrows keeps the map of the code: packages know only those below them,
// and the simulated Fullstory shares nothing with the client, so that one
// misreading of the API is not in both.
func TestArrows(t *testing.T) {
	const module = "fullstory-export-mcp"
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}", "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	speaking := 0
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		from := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		for _, imported := range strings.Fields(imports) {
			to, ours := strings.CutPrefix(imported, module+"/")
			if ours && !slices.Contains(arrows[from], to) {
				t.Errorf("%s imports %s; it may import %q, because arrows point to what knows less", path, to, arrows[from])
			}
		}
	}
	files, err := exec.Command("go", "list", "-f", `{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`, "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for file := range strings.Lines(string(files)) {
		code, err := os.ReadFile(strings.TrimSpace(file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(code), `"github.com/mark3labs/mcp-go/`) {
			speaking++
		}
	}
	if speaking == 0 || speaking > 6 {
		t.Errorf("%d files import mcp-go, want at most 6: what is about exports need not know the protocol", speaking)
	}
}
