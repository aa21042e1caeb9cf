package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
	validation "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxProblems is how many problems are put into words.
const maxProblems = 20

// Invalid is JSON that a schema does not accept.
type Invalid struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *Invalid) Error() string {
	var lines []string
	for _, p := range e.Problems[:min(len(e.Problems), maxProblems)] {
		lines = append(lines, p.String())
	}
	if more := len(e.Problems) - maxProblems; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Problem is one thing that is wrong.
type Problem struct {
	Field string   // where, such as time_range.start or fields[2]
	Got   string   // what was there, shortened; empty: nothing
	Want  string   // what is accepted
	Near  string   // the name or value that was perhaps meant
	Known []string // for an unknown field: the names there are
}

func (p Problem) String() string {
	var text string
	switch {
	case p.Known != nil && len(p.Known) == 0:
		return p.Field + ": unknown field; there are no fields"
	case p.Known != nil:
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

// problems puts the leaves of a failed validation into words, in the order of
// the schema's fields, at most one for a field.
func (s *Schema) problems(failed *validation.ValidationError, doc any) []Problem {
	var problems []Problem
	var walk func(*validation.ValidationError)
	walk = func(e *validation.ValidationError) {
		for _, cause := range e.Causes {
			walk(cause)
		}
		if len(e.Causes) == 0 {
			problems = append(problems, s.leaf(e, doc)...)
		}
	}
	walk(failed)
	slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	return slices.CompactFunc(problems, func(a, b Problem) bool { return a.Field == b.Field })
}

func (s *Schema) leaf(e *validation.ValidationError, doc any) []Problem {
	path := e.InstanceLocation
	at := s.root.at(path)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		return each(k.Properties, path, func(name string) Problem {
			return Problem{Near: near(name, at.Properties.names), Known: append([]string{}, at.Properties.names...)}
		})
	case *kind.Required:
		return each(k.Missing, path, func(name string) Problem {
			return Problem{Want: at.at([]string{name}).words()}
		})
	case *kind.Enum:
		got, _ := k.Got.(string)
		return []Problem{{Field: join(path), Got: show(k.Got), Want: at.words(), Near: near(got, at.enum())}}
	}
	return []Problem{{Field: join(path), Got: show(value(doc, path)), Want: at.words()}}
}

func each(names, path []string, problem func(string) Problem) []Problem {
	var problems []Problem
	for _, name := range names {
		p := problem(name)
		quoted := strconv.Quote(shorten(name, 80)) // without control characters
		p.Field = join(append(slices.Clip(path), quoted[1:len(quoted)-1]))
		problems = append(problems, p)
	}
	return problems
}

// near returns the known name closest to got, or an empty string if none is
// close.
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

// show writes a value that was given, short and on one line.
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

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:limit], ""), len(s))
}

// value returns what stands at path in doc.
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

// join writes a path as a reader of JSON would: time_range.start, fields[2].
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
