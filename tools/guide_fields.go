package tools

import (
	"fmt"
	"slices"
	"strings"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

// The guides to fields and notices are generated from the tables that requests are
// checked against, so that they cannot differ from them. Only what no table has is in
// files.

// fieldPrefixes are the prefixes of the columns of events that have a part of their own.
func fieldPrefixes() []string { return []string{"Event", "Page", "User", "Load", "Req", "App"} }

// fieldParts returns the generated parts of the guide to fields.
func fieldParts() []string {
	parts := []string{"individuals"}
	for _, prefix := range fieldPrefixes() {
		parts = append(parts, strings.ToLower(prefix))
	}
	return parts
}

// fieldsGuide returns a part of the guide to fields, or its index for part "": the
// columns with a prefix, all of individuals, or columns by a name or its beginning. It is
// "" if there is no such part.
func fieldsGuide(part string) string {
	switch part {
	case "":
		return fieldsIndex()
	case "individuals":
		return "# Columns of individuals (TYPE_INDIVIDUAL)\n\n" + fieldList(client.IndividualFields()) +
			"\nTotals are those of the person, not of the range.\n"
	}
	i := slices.IndexFunc(fieldPrefixes(), func(prefix string) bool { return strings.EqualFold(prefix, part) })
	if i < 0 {
		return fieldGuide(part)
	}
	prefix := fieldPrefixes()[i]
	return "# Columns of events: " + prefix + "\n\n" + fieldList(withPrefix(client.EventFields(), prefix))
}

// fieldsIndex returns the index of the guide to fields.
func fieldsIndex() string {
	var b strings.Builder
	b.WriteString("# Fields\n\nNames for `fields`, with case as shown; without it an export has the default set and all " +
		"custom variables. Names are looked up under fullstory-export://guide/fields/, by part or by name:\n\n")
	var others []string
	for _, f := range client.EventFields() {
		has := func(prefix string) bool { return strings.HasPrefix(f.Name, prefix) }
		if !slices.ContainsFunc(fieldPrefixes(), has) {
			others = append(others, "`"+f.Name+"`: "+f.About)
		}
	}
	for _, prefix := range fieldPrefixes() {
		fields := withPrefix(client.EventFields(), prefix)
		fmt.Fprintf(&b, "- `%s`: %d columns of events, such as `%s`\n", strings.ToLower(prefix), len(fields),
			fields[min(1, len(fields)-1)].Name)
	}
	fmt.Fprintf(&b, "- `individuals`: the %d columns of TYPE_INDIVIDUAL\n- `variables`: custom variables, `user_*` and "+
		"`evt_*`\n- `event-types`: the values of `EventType`\n- a name or its beginning, such as `pageurl` or `last`\n",
		len(client.IndividualFields()))
	b.WriteString("\nOther columns of events:\n\n- " + strings.Join(others, "\n- ") + "\n")
	b.WriteString("\nMost asked for: `UserAppKey` (the site's own user id), `UserEmail`, `EventStart`, `EventType`, " +
		"`EventTargetText`, `PageUrl`. Ids are 64-bit integers. A key that does not apply to a row is absent.\n")
	return b.String()
}

// fieldGuide describes the columns with a name or, if there are none, those whose names
// begin with it, whatever its case. It is "" without such columns.
func fieldGuide(name string) string {
	text := fieldsWhere(func(field string) bool { return strings.EqualFold(field, name) })
	if text == "" {
		text = fieldsWhere(func(field string) bool { return hasPrefixFold(field, name) })
	}
	return text
}

// fieldsWhere describes the columns of both kinds of rows whose names is accepts.
func fieldsWhere(is func(name string) bool) string {
	text := ""
	for _, rows := range []struct {
		kind   preflight.Rows
		fields []client.Field
	}{{preflight.Events, client.EventFields()}, {preflight.Individuals, client.IndividualFields()}} {
		for _, f := range rows.fields {
			if is(f.Name) {
				text += fmt.Sprintf("- `%s` (%s): %s\n", f.Name, rows.kind, f.About)
			}
		}
	}
	return text
}

// withPrefix returns the fields whose names begin with prefix.
func withPrefix(fields []client.Field, prefix string) []client.Field {
	return slices.DeleteFunc(fields, func(f client.Field) bool { return !strings.HasPrefix(f.Name, prefix) })
}

// fieldList returns a list of fields.
func fieldList(fields []client.Field) string {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "- `%s`: %s\n", f.Name, f.About)
	}
	return b.String()
}

// noticeCodes returns the codes of notices.
func noticeCodes() (codes []string) {
	for _, c := range preflight.Codes() {
		codes = append(codes, c.Code)
	}
	return codes
}

// noticesGuide returns the part about the notice with a code, or the index for code "".
// It is "" if there is no such code.
func noticesGuide(code string) string {
	if code == "" {
		return noticesIndex()
	}
	for _, c := range preflight.Codes() {
		if c.Code == code {
			return fmt.Sprintf("# %s (%s)\n\nWhen: %s.\n", c.Code, levelOf(c), c.When)
		}
	}
	return ""
}

// noticesIndex returns the codes of notices by level.
func noticesIndex() string {
	var b strings.Builder
	b.WriteString("# Notices\n\nWhat would surprise about a request is said before anything starts, in `warnings`: " +
		"`code`, `level`, `message`, `fix`. After a dry run, the start of the same request within ten minutes repeats only " +
		"`code` and `level`.\n\nWhen a notice is given: fullstory-export://guide/notices/ and its code.\n\n")
	for _, level := range []struct{ name, means string }{
		{"blocker", "the request is rejected until it is fixed"},
		{"warning", "it affects what the files contain"},
		{"note", "for information"}, {"error", "an argument is rejected"},
	} {
		var codes []string
		for _, c := range preflight.Codes() {
			if levelOf(c) == level.name {
				codes = append(codes, c.Code)
			}
		}
		fmt.Fprintf(&b, "- **%s**, %s: %s\n", level.name, level.means, strings.Join(codes, ", "))
	}
	return b.String()
}

// levelOf returns the level of a code in words.
func levelOf(c preflight.Code) string {
	if c.Level == "" {
		return "error"
	}
	return string(c.Level)
}
