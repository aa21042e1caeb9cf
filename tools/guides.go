package tools

import (
	"embed"
	"fmt"
	"strings"

	"fullstory-export-mcp/client"
)

//go:embed guides/*.md
var guideFiles embed.FS

// guide is a page about exports in Markdown, for a model or a person to read.
type guide struct{ topic, title, about string }

func (g guide) uri() string { return guidePrefix + g.topic }

// guides returns the guides in reading order.
func guides() []guide {
	return []guide{
		{
			"time-windows", "Time windows",
			"The two windows of an export, half-open ranges, zones, and when rows are final.",
		},
		{"types-and-scopes", "Types and scopes", "What a row is, and which rows each type and scope gives."},
		{"fields", "Fields", "The columns of event rows and of individual rows, and custom variables."},
		{"troubleshooting", "Troubleshooting", "Symptoms, their causes and remedies."},
	}
}

// text returns the Markdown of g. The guide to fields is generated from the client's
// tables, so that it cannot differ from what requests are checked against; the others
// are files.
func (g guide) text() (string, error) {
	if g.topic == "fields" {
		return fieldsGuide(), nil
	}
	text, err := guideFiles.ReadFile("guides/" + g.topic + ".md")
	return string(text), err
}

// guideText returns the Markdown of the guide to a topic. It fails with errAddress if
// there is none.
func guideText(topic string) (string, error) {
	for _, g := range guides() {
		if g.topic == topic {
			return g.text()
		}
	}
	return "", errAddress
}

func fieldsGuide() string {
	var b strings.Builder
	b.WriteString("# Fields\n\nNames for `fields`; without it an export has the default set and all custom variables. " +
		"Ids are 64-bit integers: read them as such, not as floating point. A key that does not apply to a row is absent.\n")
	table := func(title string, fields []client.Field) {
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		for _, f := range fields {
			fmt.Fprintf(&b, "- `%s`: %s\n", f.Name, f.About)
		}
	}
	table("Rows of events (TYPE_EVENT, TYPE_PAGES, TYPE_SESSIONS)", client.EventFields())
	table("Rows of individuals (TYPE_INDIVIDUAL)", client.IndividualFields())
	b.WriteString("\n## Custom variables\n\n`user_<name>_<type>`, `evt_<name>_<type>`, `page_<name>_<type>`, where type " +
		"is str, int, real, bool, date, or a list: strs, ints, reals, bools, dates. `user_*`, `evt_*` and `page_*` mean " +
		"all of their kind.\n")
	return b.String()
}
