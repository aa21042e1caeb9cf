package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	validation "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxProblems is the most problems that an Invalid lists, so that its text stays
// short for a model.
const maxProblems = 20

// Invalid is the error about JSON that a schema does not accept.
type Invalid struct {
	Problems []Problem // at least one, in the order of the schema's fields
	More     int       // problems that are not listed
}

// Error lists the problems, one a line.
func (e *Invalid) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// invalid returns an Invalid with one problem.
func invalid(field, got, want string) *Invalid {
	return &Invalid{Problems: []Problem{{Field: field, Got: got, Want: want}}}
}

// Problem is one fault in a document.
type Problem struct {
	Field string   // where the fault is, such as time_range.start or fields[2]
	Got   string   // the value that was given, shortened; empty: the field is missing
	Want  string   // what is accepted; empty: the field is unknown
	Near  string   // the valid name or value closest to what was given; empty: none is close
	Known []string // the valid names or values, if they can be listed
}

// String returns p as a line of text.
func (p Problem) String() string {
	var text string
	switch {
	case p.Want == "" && len(p.Known) == 0:
		return p.Field + ": unknown field; there are no fields"
	case p.Want == "":
		text = p.Field + ": unknown field;"
		if p.Near != "" {
			text += fmt.Sprintf(" did you mean %q?", p.Near)
		}
		return text + " valid fields are " + strings.Join(p.Known, ", ")
	case p.Got == "":
		return fmt.Sprintf("%s: missing; it is required: %s", p.Field, p.Want)
	}
	text = fmt.Sprintf("%s: got %s, want %s", p.Field, p.Got, p.Want)
	if p.Near != "" {
		text += "; nearest: " + p.Near
	}
	return text
}

// fault is a place where a document violates the schema, and how. kind is nil if
// the value is too large to be validated.
type fault struct {
	path []string
	kind validation.ErrorKind
}

// leaves returns the innermost causes of a failed validation. A cause about several
// missing or unknown names becomes one fault for each name.
func leaves(e *validation.ValidationError) []fault {
	if len(e.Causes) > 0 {
		var faults []fault
		for _, cause := range e.Causes {
			faults = append(faults, leaves(cause)...)
		}
		return faults
	}
	var names []string
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		names = k.Properties
	case *kind.Required:
		names = k.Missing
	default:
		return []fault{{e.InstanceLocation, k}}
	}
	faults := make([]fault, len(names))
	for i, name := range names {
		faults[i] = fault{append(slices.Clip(e.InstanceLocation), name), e.ErrorKind}
	}
	return faults
}

// explain turns faults into an Invalid, with at most one problem for each place.
// Unknown names come first in their object, because a misspelt name explains why
// another is missing.
func (s *Schema) explain(faults []fault, doc any) *Invalid {
	slices.SortStableFunc(faults, func(a, b fault) int { return s.root.compare(a.path, b.path) })
	faults = slices.CompactFunc(faults, func(a, b fault) bool { return slices.Equal(a.path, b.path) })
	listed := faults[:min(len(faults), maxProblems)]
	e := &Invalid{More: len(faults) - len(listed)}
	for _, f := range listed {
		e.Problems = append(e.Problems, s.problem(f, doc))
	}
	return e
}

// compare compares paths by the order of their values in the schema. Names that
// the schema does not define come first.
func (n *node) compare(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return cmp.Or(cmp.Compare(n.rank(a[i]), n.rank(b[i])), strings.Compare(a[i], b[i]))
		}
		n = n.at(a[i : i+1])
	}
	return cmp.Compare(len(a), len(b))
}

// rank returns the position of a name or index in n; -1 for an unknown name.
func (n *node) rank(part string) int {
	if n == nil {
		return 0
	}
	if n.Type == "array" {
		i, _ := strconv.Atoi(part)
		return i
	}
	return slices.Index(n.Properties.names, part)
}

// problem describes f, a fault of doc.
func (s *Schema) problem(f fault, doc any) Problem {
	at := s.root.at(f.path)
	last := len(f.path) - 1
	switch k := f.kind.(type) {
	case *kind.AdditionalProperties:
		name := f.path[last]
		quoted := strconv.Quote(shorten(name, 80)) // escapes control characters
		in := s.root.at(f.path[:last])
		p := Problem{
			Field: join(append(slices.Clone(f.path[:last]), quoted[1:len(quoted)-1])),
			Known: append([]string{}, in.Properties.names...),
			Near:  in.nestedName(name),
		}
		if p.Near == "" {
			p.Near = near(name, p.Known)
		}
		return p
	case *kind.Required:
		want := at.describe()
		if other := s.root.unless[f.path[last]]; last == 0 && other != "" {
			want += ", unless " + other + " is given"
		}
		return Problem{Field: join(f.path), Want: want}
	case *kind.Enum:
		got, _ := k.Got.(string)
		return Problem{
			Field: join(f.path), Got: show(k.Got), Want: at.describe(), Near: near(got, at.enum()), Known: at.enum(),
		}
	}
	got := value(doc, f.path)
	p := Problem{Field: join(f.path), Got: show(got), Want: at.describe()}
	if last < 0 {
		return p
	}
	if in := s.root.at(f.path[:last]); got == nil && in.Type == "object" && !slices.Contains(in.Required, f.path[last]) {
		p.Want += ", or nothing: leave the field out"
	}
	return p
}

// nestedName returns the path of a property called name in one of the objects
// directly inside n, such as time_range.start for start; "" if there is none.
func (n *node) nestedName(name string) string {
	for _, outer := range n.Properties.names {
		if n.Properties.nodes[outer].Properties.nodes[name] != nil {
			return outer + "." + name
		}
	}
	return ""
}

// near returns the known name that is closest to got, or "" if none is close. It
// ignores case and separators, and a name that contains got counts as close.
func near(got string, known []string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	got = plain(shorten(got, 80))
	best, least := "", max(1, len(got)/3)+1
	for _, name := range known {
		d := levenshtein.ComputeDistance(got, plain(name))
		if part := strings.TrimSuffix(got, "s"); len(part) > 2 && strings.Contains(plain(name), part) {
			d = min(d, 1)
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// show returns a given value as text, shortened and on one line.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(shorten(v, 80)) + " (a string)"
	case json.Number:
		return shorten(v.String(), 40)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return fmt.Sprintf("a list of %d items", len(v))
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("%T", v)
}

// shorten returns s, cut after limit bytes with its length appended if it is
// longer.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:limit], ""), len(s))
}

// value returns the value at path in doc, or nil if there is none.
func value(doc any, path []string) any {
	for _, part := range path {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			doc = v[i]
		}
	}
	return doc
}

// join returns a path in the usual notation: time_range.start, fields[2].
func join(path []string) string {
	var b strings.Builder
	for _, part := range path {
		if _, err := strconv.Atoi(part); err == nil && b.Len() > 0 {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}
