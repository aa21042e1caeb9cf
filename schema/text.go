package schema

import (
	"reflect"
	"strings"
)

// Texter is a struct for which a string is accepted as well. The string is the
// value of one of its fields. The published schema remains that of the object,
// because not every host accepts a choice of types.
type Texter interface {
	// TextField returns the JSON name of that field. It is called on the zero
	// value of the struct.
	TextField() string
}

// markTexters sets text in n and the nodes below it that were made from a Texter.
// t is the Go type that n was made from.
func (n *node) markTexters(t reflect.Type) {
	if n == nil {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		n.markTexters(t.Elem())
	case reflect.Slice, reflect.Array:
		n.Items.markTexters(t.Elem())
	case reflect.Struct:
		if texter, ok := reflect.Zero(t).Interface().(Texter); ok {
			n.text = texter.TextField()
		}
		for f := range t.Fields() {
			if f.Anonymous {
				n.markTexters(f.Type)
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			n.Properties.nodes[name].markTexters(f.Type)
		}
	}
}

// expand returns v with each string in place of a Texter replaced by an object. It
// changes v in place, and skips lists that outsized rejects.
func (n *node) expand(v any) any {
	if n == nil {
		return v
	}
	switch v := v.(type) {
	case string:
		// Half of an object is no text, and neither is nothing.
		if trimmed := strings.TrimSpace(v); n.text != "" && trimmed != "" && trimmed[0] != '{' {
			return map[string]any{n.text: v}
		}
	case map[string]any:
		for name, p := range n.Properties.nodes {
			if inner, ok := v[name]; ok {
				v[name] = p.expand(inner)
			}
		}
	case []any:
		if n.Items == nil || len(v) > longList {
			return v
		}
		for i := range v {
			v[i] = n.Items.expand(v[i])
		}
	}
	return v
}
