package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	validation "github.com/santhosh-tekuri/jsonschema/v6"
)

// hostFields are the fields that hosts add to the arguments of any tool (n8n and
// LangChain agents do). Nobody wrote them, so they are not misspelt names.
var hostFields = []string{"toolCallId", "sessionId", "action", "chatInput", "tool", "_meta"}

// mostNested bounds how often a string is parsed that holds a string of JSON.
const mostNested = 2

// repairRoot returns the arguments doc as their author meant them, before a host
// changed them: see repair. It also removes the fields that hosts add.
func (n *node) repairRoot(doc any) any {
	doc = n.repair(doc)
	if object, ok := doc.(map[string]any); ok {
		for _, name := range hostFields {
			if n.Properties.nodes[name] == nil {
				delete(object, name)
			}
		}
	}
	return doc
}

// repair returns v as its author meant it, where n leaves no doubt: a string of JSON in
// place of an object, list, number or boolean is that value, a single value in place of
// a list is a list of one, and null or an empty string in an optional field that cannot
// hold it is nothing. Anything else stays, for the validation. It changes v in place.
func (n *node) repair(v any) any {
	if n == nil {
		return v
	}
	if text, ok := v.(string); ok {
		v = n.parse(text)
	}
	switch n.Type {
	case "object":
		if object, ok := v.(map[string]any); ok {
			n.repairFields(object)
		}
	case "array":
		list, ok := v.([]any)
		if !ok && v != nil {
			list = []any{v}
		}
		if list == nil || len(list) > longList {
			return v
		}
		for i := range list {
			list[i] = n.Items.repair(list[i])
		}
		return list
	}
	return v
}

// repairFields repairs the fields of an object, and removes optional ones without a value.
func (n *node) repairFields(object map[string]any) {
	for name, p := range n.Properties.nodes {
		given, ok := object[name]
		if !ok {
			continue
		}
		v := p.repair(given)
		optional := !slices.Contains(n.Required, name)
		if optional && (v == nil || p.isBlank(given) || p.isBlank(v)) {
			delete(object, name)
			continue
		}
		object[name] = v
	}
}

// isBlank reports whether v is an empty string that n does not accept as a value.
func (n *node) isBlank(v any) bool {
	text, ok := v.(string)
	if !ok || text != "" {
		return false
	}
	mayBeEmpty := n.Type == "string" && len(n.Enum) == 0 && n.Format == "" && n.Pattern == "" &&
		(n.MinLength == nil || *n.MinLength == 0)
	return !mayBeEmpty
}

// parse returns the value that text holds as JSON if it has the type of n, which is not
// that of a string, and else text. Where n accepts a string in place of an object, a
// string of JSON in text is that string.
func (n *node) parse(text string) any {
	if n.Type == "string" {
		return text
	}
	from := strings.TrimSpace(text)
	if n.Type == "boolean" {
		from = strings.ToLower(from) // Python writes True
	}
	for range mostNested {
		v, err := validation.UnmarshalJSON(bytes.NewReader([]byte(from)))
		if err != nil {
			return text
		}
		inner, isText := v.(string)
		if !isText {
			if v == nil || n.hasTypeOf(v) {
				return v
			}
			return text
		}
		if from = inner; n.text != "" {
			text = inner
		}
	}
	return text
}

// hasTypeOf reports whether v has the JSON type of n. An integer may be written 3.0.
func (n *node) hasTypeOf(v any) bool {
	switch v.(type) {
	case map[string]any:
		return n.Type == "object"
	case []any:
		return n.Type == "array"
	case bool:
		return n.Type == "boolean"
	case json.Number:
		return n.Type == "integer" || n.Type == "number"
	}
	return false
}
