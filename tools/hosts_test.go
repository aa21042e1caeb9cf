package tools

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/schema"
)

var changes = flag.Int("changes", 5000, "how many changes TestHostsChangeCalls makes")

// field is what a published schema says about a value.
type field struct {
	Type       string           `json:"type"`
	Properties map[string]field `json:"properties"`
	Required   []string         `json:"required"`
	Items      *field           `json:"items"`
	Enum       []any            `json:"enum"`
	Format     string           `json:"format"`
	Pattern    string           `json:"pattern"`
	Minimum    json.Number      `json:"minimum"`
	MinLength  int              `json:"minLength"`
}

// sample returns a value that f accepts, with every field inside it.
func (f field) sample(r *rand.Rand) any {
	switch f.Type {
	case "object":
		object := map[string]any{}
		for name, inner := range f.Properties {
			object[name] = inner.sample(r)
		}
		return object
	case "array":
		list := make([]any, 1+r.IntN(2))
		for i := range list {
			if list[i] = f.Items.sample(r); f.Items.Type == "string" && len(f.Items.Enum) == 0 {
				list[i] = "UserId" // a list in a string is not the name of a field
			}
		}
		return list
	case "integer", "number":
		if f.Minimum != "" {
			return f.Minimum
		}
		return json.Number("3")
	case "boolean":
		return r.IntN(2) == 0
	}
	switch {
	case len(f.Enum) > 0:
		return f.Enum[r.IntN(len(f.Enum))]
	case f.Format == "date-time":
		return "2026-10-01T00:00:00Z"
	}
	return []string{"2026-10-01", "3", "true", "null", "{}", `{"a":1}`, "[1]", "day"}[r.IntN(8)]
}

// mayBeEmpty reports whether f accepts an empty string.
func (f field) mayBeEmpty() bool {
	return f.Type == "string" && len(f.Enum) == 0 && f.Format == "" && f.Pattern == "" && f.MinLength == 0
}

// place is a field of a call: the object that has it, and its path.
type place struct {
	field
	object   map[string]any
	name     string
	path     string // as an error names it
	optional bool
}

// places returns all fields of an object and of the objects inside it.
func (f field) places(object map[string]any, path string) (all []place) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		inner := f.Properties[name]
		p := place{inner, object, name, strings.TrimPrefix(path+"."+name, "."), !slices.Contains(f.Required, name)}
		all = append(all, p)
		switch v := object[name].(type) {
		case map[string]any:
			all = append(all, inner.places(v, p.path)...)
		case []any:
			for i, item := range v {
				if o, ok := item.(map[string]any); ok {
					all = append(all, inner.Items.places(o, fmt.Sprintf("%s[%d]", p.path, i))...)
				}
			}
		}
	}
	return all
}

// change changes a field as a host or a model would.
type change struct {
	name  string
	does  func(place) bool // false: it does not fit this field
	wrong bool             // it must be rejected with the name of the field
	gone  bool             // the author did not give the field
}

// text returns v as JSON in a string.
func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// hostChanges are the changes that hosts and models make to one field.
func hostChanges() []change {
	set := func(p place, v any) bool { p.object[p.name] = v; return true }
	notText := func(p place) bool { return p.Type != "string" }
	return []change{
		{name: "null", gone: true, does: func(p place) bool { return p.optional && set(p, nil) }},
		{name: "an empty string", gone: true, does: func(p place) bool {
			return p.optional && !p.mayBeEmpty() && set(p, "")
		}},
		{name: "JSON in a string", does: func(p place) bool { return notText(p) && set(p, text(p.object[p.name])) }},
		{name: "JSON in a string in a string", does: func(p place) bool {
			return notText(p) && set(p, text(text(p.object[p.name])))
		}},
		{name: "JSON with spaces in a string", does: func(p place) bool {
			return notText(p) && set(p, " \n"+text(p.object[p.name])+"\t")
		}},
		{name: "a fraction of zero", does: func(p place) bool {
			return p.Type == "integer" && set(p, text(p.object[p.name])+".0")
		}},
		{name: "a capital letter", does: func(p place) bool {
			return p.Type == "boolean" && set(p, strings.ToUpper(text(p.object[p.name])[:1])+text(p.object[p.name])[1:])
		}},
		{name: "one item", does: func(p place) bool {
			list, ok := p.object[p.name].([]any)
			return ok && len(list) == 1 && set(p, list[0])
		}},
		{name: "null where a value is required", wrong: true, does: func(p place) bool { return !p.optional && set(p, nil) }},
		{name: "an empty string where a value is required", wrong: true, does: func(p place) bool {
			return !p.optional && !p.mayBeEmpty() && p.Type != "array" && set(p, "")
		}},
		{name: "a number in words", wrong: true, does: func(p place) bool {
			return (p.Type == "integer" || p.Type == "number") && set(p, "three")
		}},
		{name: "yes", wrong: true, does: func(p place) bool { return p.Type == "boolean" && set(p, "yes") }},
		{name: "an object", wrong: true, does: func(p place) bool {
			return p.Type != "object" && set(p, map[string]any{"value": 1})
		}},
		{name: "a misspelt name", wrong: true, does: func(p place) bool {
			return set(place{object: p.object, name: p.name + "s"}, p.object[p.name])
		}},
		{name: "half of the JSON in a string", wrong: true, does: func(p place) bool {
			whole := text(p.object[p.name])
			return (p.Type == "object" && len(p.Properties) > 0 || p.Type == "boolean") && set(p, whole[:len(whole)/2])
		}},
	}
}

// TestHostsChangeCalls changes valid calls of every tool as hosts do: they mean the
// same as before, or are rejected with the name of the field.
func TestHostsChangeCalls(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 3))
	made := map[string]int{}
	tools := listed(t, Settings{})
	for n := range *changes {
		d := tools[n%len(tools)]
		var f field
		if err := json.Unmarshal(d.Served.Tool.RawInputSchema, &f); err != nil {
			t.Fatal(err)
		}
		if len(f.Properties) == 0 {
			continue
		}
		call := f.sample(r).(map[string]any)
		kinds := hostChanges()
		made[changeCall(t, r, d.Arguments, f, call, kinds[r.IntN(len(kinds))])]++
		if t.Failed() {
			t.Fatalf("%s: %s", d.Served.Tool.Name, text(call))
		}
	}
	for _, k := range hostChanges() {
		if made[k.name] == 0 {
			t.Errorf("no field was changed to %s", k.name)
		}
	}
}

// changeCall changes one field of a call, sometimes also adds what hosts add and puts the
// whole into a string, and checks how it decodes. It returns the name of the change; ""
// if it fits no field.
func changeCall(t *testing.T, r *rand.Rand, s *schema.Schema, f field, call map[string]any, k change) string {
	t.Helper()
	places := f.places(call, "")
	r.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	for _, p := range places {
		if k.gone && !p.optional {
			continue
		}
		before := text(call)
		meant, was := decoded(t, s, before), p.object[p.name]
		if k.gone {
			delete(p.object, p.name)
			meant = decoded(t, s, text(call))
			p.object[p.name] = was
		}
		if !k.does(p) {
			continue
		}
		if r.IntN(3) == 0 {
			for _, name := range []string{"toolCallId", "sessionId", "chatInput", "_meta"} {
				call[name] = "x"
			}
		}
		changed := text(call)
		if r.IntN(5) == 0 {
			changed = text(changed)
		}
		k.check(t, p.path, changed, s, meant)
		return k.name
	}
	return ""
}

// check checks how a call with a changed field decodes.
func (k change) check(t *testing.T, path, changed string, s *schema.Schema, meant map[string]any) {
	t.Helper()
	var got map[string]any
	err := s.Decode(json.RawMessage(changed), &got)
	var invalid *schema.Invalid
	switch {
	case k.wrong && err == nil:
		t.Errorf("%s in %s was accepted: %s", k.name, path, changed)
	case k.wrong && (!errors.As(err, &invalid) || !names(invalid, path)):
		t.Errorf("%s in %s was rejected without its name: %v", k.name, path, err)
	case !k.wrong && err != nil:
		t.Errorf("%s in %s was rejected: %v", k.name, path, err)
	case !k.wrong && !cmp.Equal(meant, got):
		t.Errorf("%s in %s: (-meant +got)\n%s", k.name, path, cmp.Diff(meant, got))
	}
}

// names reports whether a problem is about the field at path or one inside it.
func names(e *schema.Invalid, path string) bool {
	return slices.ContainsFunc(e.Problems, func(p schema.Problem) bool { return strings.HasPrefix(p.Field, path) })
}

func decoded(t *testing.T, s *schema.Schema, args string) (v map[string]any) {
	t.Helper()
	if err := s.Decode(json.RawMessage(args), &v); err != nil {
		t.Fatalf("a valid call was rejected: %s: %v", args, err)
	}
	return v
}

// TestEveryFieldAsHostsSendIt changes each field of each tool in every way that fits.
func TestEveryFieldAsHostsSendIt(t *testing.T) {
	for _, d := range listed(t, Settings{}) {
		var f field
		if err := json.Unmarshal(d.Served.Tool.RawInputSchema, &f); err != nil {
			t.Fatal(err)
		}
		sample := func() map[string]any { return f.sample(rand.New(rand.NewPCG(17, 3))).(map[string]any) }
		for _, one := range f.places(sample(), "") {
			for _, k := range hostChanges() {
				only := k
				only.does = func(p place) bool { return p.path == one.path && k.does(p) }
				changeCall(t, rand.New(rand.NewPCG(17, 3)), d.Arguments, f, sample(), only)
			}
		}
	}
}
