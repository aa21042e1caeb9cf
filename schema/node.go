package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// node is a part of a published schema, parsed again to fill in defaults and to
// describe what is accepted.
type node struct {
	Type       string          `json:"type"`
	Properties properties      `json:"properties"`
	Required   []string        `json:"required"`
	Items      *node           `json:"items"`
	Enum       []any           `json:"enum"`
	Default    json.RawMessage `json:"default"`
	Format     string          `json:"format"`
	Minimum    json.Number     `json:"minimum"`
	Maximum    json.Number     `json:"maximum"`
	MinLength  *int            `json:"minLength"`
	MaxLength  *int            `json:"maxLength"`
	MinItems   *int            `json:"minItems"`
	MaxItems   *int            `json:"maxItems"`
	Pattern    string          `json:"pattern"`

	unless map[string]string // of the root: a field that is required without the other one

	text string // the field that a string in place of the object sets; "": strings are rejected
}

// properties are the named parts of an object, in the order of publication.
type properties struct {
	names []string
	nodes map[string]*node
}

// UnmarshalJSON implements json.Unmarshaler. It reads raw twice, because a map
// does not keep the order of names.
func (p *properties) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, &p.nodes); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		p.names = append(p.names, name.(string))
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return err
		}
	}
	return nil
}

// at returns the node for the value at path, or nil if the schema defines none.
// n may be nil.
func (n *node) at(path []string) *node {
	for _, part := range path {
		switch {
		case n == nil:
			return nil
		case n.Type == "array":
			n = n.Items
		default:
			n = n.Properties.nodes[part]
		}
	}
	return n
}

// describe returns a phrase for what n accepts, such as "an integer from 1 to
// 100". n may be nil.
func (n *node) describe() string {
	if n == nil {
		return "another value"
	}
	if len(n.Enum) > 0 {
		return "one of " + strings.Join(n.enum(), ", ")
	}
	switch n.Type {
	case "string":
		if n.Format == "date-time" {
			return "an RFC 3339 time such as 2026-10-01T00:00:00Z"
		}
		if n.Pattern != "" {
			return "a string of the form " + n.Pattern
		}
		return "a string" + between(" of ", length(n.MinLength), length(n.MaxLength), " characters")
	case "integer":
		return "an integer" + between(" from ", n.Minimum.String(), n.Maximum.String(), "")
	case "number":
		return "a number" + between(" from ", n.Minimum.String(), n.Maximum.String(), "")
	case "boolean":
		return "true or false"
	case "array":
		of := ""
		if n.Items != nil {
			of = ", each " + n.Items.describe()
		}
		return "a list" + between(" of ", length(n.MinItems), length(n.MaxItems), " items") + of
	case "object":
		if len(n.Properties.names) == 0 {
			return "an object without fields"
		}
		text := "an object with " + strings.Join(n.Properties.names, ", ")
		if n.text != "" {
			text += ", or a string"
		}
		return text
	}
	return "another value"
}

// enum returns the allowed values as text.
func (n *node) enum() []string {
	var values []string
	for _, v := range n.Enum {
		values = append(values, fmt.Sprint(v))
	}
	return values
}

// between returns a phrase for the bounds least and most, either of which may be
// empty; "" if both are.
func between(before, least, most, after string) string {
	switch {
	case least != "" && most != "":
		return before + least + " to " + most + after
	case most != "":
		return before + "at most " + most + after
	case least != "":
		return before + "at least " + least + after
	}
	return ""
}

// length returns *n as text, and "" for nil.
func length(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// keywords lists the JSON Schema keywords that every MCP host accepts in the
// schema of a tool. The Anthropic, OpenAI and Gemini APIs each reject or strip
// some of the others.
var keywords = []string{
	"type", "properties", "required", "description", "enum", "items", "default", "minimum", "maximum",
	"minLength", "maxLength", "minItems", "maxItems", "pattern", "format", "additionalProperties",
}

// checkPortable returns an error unless every MCP host accepts the published
// schema raw. Its root must be an object. If described is set, every property must
// have a description.
func checkPortable(raw json.RawMessage, described bool) error {
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil || root["type"] != "object" {
		return fmt.Errorf("the root is not an object, but %.100s", raw)
	}
	return checkPart("the root", root, described)
}

// checkPart checks the part v of a published schema and the parts inside it.
func checkPart(where string, v any, described bool) error {
	part, ok := v.(map[string]any)
	if !ok || part["type"] == nil {
		return fmt.Errorf("%s has no type: its Go type, such as any, accepts every value", where)
	}
	for keyword := range part {
		if !slices.Contains(keywords, keyword) {
			return fmt.Errorf("%s uses %q, which not every host accepts", where, keyword)
		}
	}
	enum, _ := part["enum"].([]any)
	switch {
	case part["format"] != nil && part["format"] != "date-time":
		return fmt.Errorf("%s has the format %v, which not every host accepts", where, part["format"])
	case part["additionalProperties"] != nil && part["additionalProperties"] != false:
		return fmt.Errorf("%s is a map, whose keys the schema cannot list", where)
	case slices.Contains(enum, any("")):
		return fmt.Errorf("%s allows the empty string as a value, which not every host accepts", where)
	}
	if part["items"] != nil {
		if err := checkPart(where+"[]", part["items"], described); err != nil {
			return err
		}
	}
	properties, _ := part["properties"].(map[string]any)
	for name, p := range properties {
		if err := checkPart(name, p, described); err != nil {
			return err
		}
		if inner := p.(map[string]any); described && inner["description"] == nil {
			return fmt.Errorf("%s has no description", name)
		}
	}
	return nil
}
