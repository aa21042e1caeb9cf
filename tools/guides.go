package tools

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed guides
var guideFiles embed.FS

// guide is a page about exports in Markdown, for a model or a person to read, of under
// 1.5 kB, so that the answer to a question costs little. A guide with parts is an index
// of them: the address of a part is that of the guide, a slash, and the part.
type guide struct{ topic, title, about string }

func (g guide) uri() string { return guidePrefix + g.topic }

// guides returns the guides in reading order.
func guides() []guide {
	return []guide{
		{"time-windows", "Time windows", "The two windows of an export, half-open ranges and zones. Parts: segment, " +
			"expressions, chunks, freshness."},
		{"types-and-scopes", "Types and scopes", "What a row is, and which rows each type and scope gives. Parts: people, " +
			"formats."},
		{"fields", "Fields", "The columns of exports. Parts by prefix, such as fields/page; individuals, variables, " +
			"event-types; or a name."},
		{"notices", "Notices", "The codes of notices and their levels. Each is a part, such as notices/large_window."},
		{"troubleshooting", "Troubleshooting", "Symptoms, their causes and remedies. Parts: key, rows, operations, bulk, " +
			"disk."},
		{"beside-fullstory", "Beside Fullstory's own MCP server", "Which of the two servers does what, and how a segment " +
			"that was saved there is exported here."},
	}
}

// guideText returns the Markdown of a guide, or of a part of one: topic or topic/part,
// in lower case. It fails with errAddress if there is none.
func guideText(topic string) (string, error) {
	topic, part, parted := strings.Cut(topic, "/")
	if parted && part == "" {
		return "", errAddress
	}
	name := "guides/" + topic + ".md"
	if parted {
		name = "guides/" + topic + "/" + part + ".md"
	}
	if text, err := guideFiles.ReadFile(name); err == nil {
		return string(text), nil
	}
	text := ""
	switch topic {
	case "fields":
		text = fieldsGuide(part)
	case "notices":
		text = noticesGuide(part)
	}
	if text == "" {
		return "", errAddress
	}
	return text, nil
}

// guideParts returns the parts of a guide that have a name; nil if it has none. Names of
// fields are parts as well, and are not among them.
func guideParts(topic string) (parts []string) {
	switch topic {
	case "fields":
		parts = fieldParts()
	case "notices":
		parts = noticeCodes()
	}
	entries, err := fs.ReadDir(guideFiles, "guides/"+topic)
	if err != nil {
		entries = nil // it has no files
	}
	for _, e := range entries {
		parts = append(parts, strings.TrimSuffix(e.Name(), ".md"))
	}
	slices.Sort(parts)
	return parts
}
