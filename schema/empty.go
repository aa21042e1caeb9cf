package schema

// Empty returns a value that is valid by the schema and says nothing: every required field,
// with the zero value of its type. It is for results that are failures, because clients
// check these too. A required field with an enum gets its first value.
func (s *Schema) Empty() map[string]any {
	v, _ := s.root.empty().(map[string]any)
	return v
}

// empty returns the zero value of n.
func (n *node) empty() any {
	if len(n.Enum) > 0 {
		return n.Enum[0]
	}
	switch n.Type {
	case "object":
		v := map[string]any{}
		for _, name := range n.Required {
			v[name] = n.Properties.nodes[name].empty()
		}
		return v
	case "array":
		return []any{}
	case "string":
		return ""
	case "boolean":
		return false
	}
	return 0
}
