package command

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/schema"
	"fullstory-export-mcp/tools"
)

// TestToolsReference compares docs/tools-reference.md with the published definitions of the
// tools. With -update it writes the file.
func TestToolsReference(t *testing.T) {
	const path = "../docs/tools-reference.md"
	all, err := tools.All(func(context.Context) (*exports.Account, error) { return nil, nil }, tools.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	r := toolsReference{t: t, meanings: fieldMeanings(), used: map[string]bool{}}
	r.WriteString(toolsReferenceHead)
	for _, d := range all {
		r.tool(d)
	}
	r.WriteString("\n## Objects in results\n\nResults of several tools have these.\n")
	objectOf[exports.Description](&r, "export", "What an export consists of, with defaults written out.")
	objectOf[preflight.Notice](&r, "warnings", "A list of [notices](tools.md#notices). "+
		"Those that you have just seen have only code and level.")
	objectOf[exports.Estimate](&r, "estimate", "The expected size of an export, measured in stored ones.")
	objectOf[exports.UnevenChunk](&r, "uneven", "A list of the chunks that are shorter or longer than the others.")
	for name := range r.meanings {
		if !r.used[name] {
			t.Errorf("fieldMeanings describes %s, which no tool has, or which has a description", name)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(r.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != r.String() {
		t.Errorf("%s is stale, %v; run: go test ./command -run Reference -update", path, err)
	}
}

const toolsReferenceHead = `# Tools, every field

Made from the definitions that the server publishes: ` + "`go test ./command -run Reference -update`" + `.
[Tools](tools.md) explains ranges, chunks, notices and what results have in common.

A bold argument is required. ` + "`a.b`" + ` is the field ` + "`b`" + ` of the object ` + "`a`" + `, and
` + "`a[].b`" + ` that of each object of the list ` + "`a`" + `. A result leaves out what is empty, except
the fields that a program needs. Times in results are RFC 3339 with a zone.
`

// toolsReference is the page while it is written.
type toolsReference struct {
	strings.Builder

	t        *testing.T
	meanings map[string]string
	used     map[string]bool
}

// tool writes the section of a tool.
func (r *toolsReference) tool(d tools.Declaration) {
	tool := d.Served.Tool
	effect := map[tools.Effect]string{
		tools.Read:    "Reads: it changes nothing, and a server with `--read-only` has it.",
		tools.Write:   "Adds: it starts or stores something, and changes or removes nothing.",
		tools.Destroy: "Ends: it may end or change what is under way. Hosts usually ask first.",
	}[d.Effect]
	fmt.Fprintf(r, "\n## %s\n\n%s\n\n*%s*\n", tool.Name, wrapped(tool.Description, 119), effect)
	in, out := r.parse(d.Arguments.JSON()), r.parse(d.Results.JSON())
	if in.Properties.Len() == 0 {
		r.WriteString("\nIt has no arguments.\n")
	} else {
		r.WriteString("\n| argument | type, values and default | |\n|---|---|---|\n")
		r.arguments("", in)
	}
	r.WriteString("\n| result | type | |\n|---|---|---|\n")
	r.results(tool.Name, "", out)
	if tool.Name == "control_bulk_export" { // publishes one of them, because a model has read the others
		r.WriteString("\nThe other fields are those of [get_bulk_export](#get_bulk_export).\n")
	}
}

// objectOf writes the section of an object that results have, of type T.
func objectOf[T any](r *toolsReference, name, meaning string) {
	s, err := schema.Output[T]()
	if err != nil {
		r.t.Fatal(err)
	}
	fmt.Fprintf(r, "\n### %s\n\n%s\n\n| field | type | |\n|---|---|---|\n", name, meaning)
	fields := r.parse(s.JSON())
	if columns, ok := fields.Properties.Get("fields"); ok { // is written as a list, or as its length
		*columns = jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}}
	}
	r.results(name, "", fields)
}

func (r *toolsReference) parse(raw json.RawMessage) *jsonschema.Schema {
	var s jsonschema.Schema
	if err := json.Unmarshal(raw, &s); err != nil {
		r.t.Fatal(err)
	}
	return &s
}

// arguments writes a row for each property of s, and those of the objects in it.
func (r *toolsReference) arguments(prefix string, s *jsonschema.Schema) {
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		name := "`" + prefix + p.Key + "`"
		for _, required := range s.Required {
			if required == p.Key {
				name = "**" + name + "**"
			}
		}
		fmt.Fprintf(r, "| %s | %s%s%s | %s |\n", name, typeWords(p.Value), allowed(p.Value), defaultOf(p.Value),
			proseCell(p.Value.Description))
		if p.Value.Properties != nil {
			r.arguments(prefix+p.Key+".", p.Value)
		}
	}
}

// results writes a row for each property of s, and those of the objects in it. of is the
// tool or object that has them.
func (r *toolsReference) results(of, prefix string, s *jsonschema.Schema) {
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		name, inner := prefix+p.Key, p.Value
		fmt.Fprintf(r, "| `%s` | %s | %s |\n", name, typeWords(inner), proseCell(r.meaning(of, name, inner.Description)))
		below := name + "."
		if inner.Items != nil {
			inner, below = inner.Items, name+"[]."
		}
		if inner.Properties != nil {
			r.results(of, below, inner)
		}
	}
}

// meaning returns the description of a field: the published one, or that of fieldMeanings
// for the tool, or for all tools.
func (r *toolsReference) meaning(of, name, published string) string {
	if published != "" {
		return published
	}
	for _, key := range []string{of + " " + name, name} {
		if text, ok := r.meanings[key]; ok {
			r.used[key] = true
			return text
		}
	}
	r.t.Errorf("the result %s of %s has no description; add it to fieldMeanings", name, of)
	return ""
}

// proseCell writes a text that is not Markdown into a cell of a table.
func proseCell(text string) string { return strings.ReplaceAll(cell(text), "*", "\\*") }

// typeWords returns the type of s in words.
func typeWords(s *jsonschema.Schema) string {
	if s.Type == "array" && s.Items != nil && s.Items.Type != "" {
		return "list of " + s.Items.Type + "s"
	}
	if s.Type == "" {
		return "any"
	}
	return s.Type
}

// allowed returns what follows the type of s: the values that are accepted; "" for all.
func allowed(s *jsonschema.Schema) string {
	var parts []string
	for _, v := range s.Enum {
		parts = append(parts, fmt.Sprintf("`%v`", v))
	}
	if len(parts) > 0 {
		parts[0] = "one of " + parts[0]
	}
	switch least, most := s.Minimum.String(), s.Maximum.String(); {
	case least != "" && most != "":
		parts = append(parts, least+" to "+most)
	case least != "":
		parts = append(parts, "from "+least)
	}
	if s.MaxLength != nil {
		parts = append(parts, fmt.Sprintf("up to %d characters", *s.MaxLength))
	}
	if s.MaxItems != nil {
		parts = append(parts, fmt.Sprintf("up to %d", *s.MaxItems))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

// defaultOf returns what follows the values of s: its default; "" if it has none.
func defaultOf(s *jsonschema.Schema) string {
	if s.Default == nil {
		return ""
	}
	return fmt.Sprintf("; default `%v`", s.Default)
}
