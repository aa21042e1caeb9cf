package command

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors are the packages of this module, from the top. A package imports only
// packages of lower floors.
var floors = [][]string{
	{"", "packaging/licences"}, // programs
	{"command"},
	{"tools", "transport", "web", "views", "sandbox"},
	{"exports", "prompts", "auth"},
	{"bulk", "delta", "landing", "load", "preflight", "query", "mirror", "probe"},
	{"archive", "destination", "download", "keys", "merge"},
	{"profile"},
	{"rows", "ledger", "client", "plan", "schema", "personal", "columnar", "hosts"},
	{"local"},
}

// beside are the imports within a floor, by importer.
var beside = map[string][]string{
	"tools":   {"views"},
	"web":     {"views"},
	"bulk":    {"mirror"},
	"delta":   {"mirror"},
	"landing": {"delta"},
}

// only are the packages that import less of this module than their floor
// allows, and why.
var only = map[string]struct {
	imports []string
	reason  string
}{
	"":          {[]string{"command"}, "main only delegates"},
	"transport": {[]string{"auth", "views"}, "the wire knows nothing of exports"},
	"destination": {
		[]string{"columnar"}, "a database gets what Parquet files have, and knows nothing of where they are from",
	},
	"web":   {[]string{"auth", "exports", "views"}, "a page shows what use cases return, and nothing else"},
	"hosts": {[]string{"local"}, "the files of other programs have nothing to do with exports"},
	"auth":  {[]string{"local"}, "who may call has nothing to do with what is called"},
	"sandbox": {
		[]string{"local"}, "one misreading of the API must not be both in the client and in what it is tested against",
	},
}

// speakers are the packages that may import the MCP library.
var speakers = []string{"tools", "transport", "prompts"}

// TestArrows keeps the map of the code: packages know only those below them,
// and few know the protocol.
func TestArrows(t *testing.T) {
	const module, library = "fullstory-export-mcp", "github.com/mark3labs/mcp-go/"
	const format = "{{if .GoFiles}}{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}{{end}}"
	out, err := exec.Command("go", "list", "-f", format, "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	spoken := false
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		from := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if floorOf(from) < 0 {
			t.Errorf("%s is on no floor", path)
		}
		for _, imported := range strings.Fields(imports) {
			if to, ours := strings.CutPrefix(imported, module+"/"); ours {
				checkArrow(t, from, to)
			}
			if strings.HasPrefix(imported, library) {
				spoken = true
				if !slices.Contains(speakers, from) {
					t.Errorf("%s imports %s; only %q do: the others need not know the protocol", path, imported, speakers)
				}
			}
		}
	}
	if !spoken {
		t.Errorf("nothing imports %s: is its name right?", library)
	}
}

// checkArrow fails when from may not import to.
func checkArrow(t *testing.T, from, to string) {
	t.Helper()
	if floorOf(to) <= floorOf(from) && !slices.Contains(beside[from], to) {
		t.Errorf("%q imports %q, which is not below it: arrows point to what knows less", from, to)
	}
	if rule, ok := only[from]; ok && !slices.Contains(rule.imports, to) {
		t.Errorf("%q imports %q; it may import %q alone: %s", from, to, rule.imports, rule.reason)
	}
}

// floorOf returns the number of a package's floor from the top, or -1.
func floorOf(name string) int {
	return slices.IndexFunc(floors, func(floor []string) bool { return slices.Contains(floor, name) })
}
