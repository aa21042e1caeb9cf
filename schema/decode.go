package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"

	validation "github.com/santhosh-tekuri/jsonschema/v6"
)

// Decode reads args into the struct that into points to: it checks them
// against the schema, fills in its defaults, also in objects inside, and
// decodes. Integers keep every digit, and may be written 1.0 or 1e2. Absent,
// empty and null args are an empty object. It fails with an *Invalid that names
// every problem.
func (s *Schema) Decode(args json.RawMessage, into any) error {
	if trimmed := bytes.TrimSpace(args); len(trimmed) == 0 || string(trimmed) == "null" {
		args = json.RawMessage("{}")
	}
	doc, err := s.check(args)
	if err != nil {
		return err
	}
	filled, err := json.Marshal(s.root.fill(doc))
	if err != nil {
		return fmt.Errorf("encode arguments: %w", err)
	}
	if err := json.Unmarshal(filled, into); err != nil {
		return fmt.Errorf("decode arguments: %w", err)
	}
	return nil
}

// Validate checks doc against the schema. It fails with an *Invalid.
func (s *Schema) Validate(doc json.RawMessage) error {
	_, err := s.check(doc)
	return err
}

func (s *Schema) check(raw json.RawMessage) (any, error) {
	doc, err := validation.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, &Invalid{Problems: []Problem{{Field: "arguments", Got: "text that is not JSON", Want: "a JSON object"}}}
	}
	if _, ok := doc.(map[string]any); !ok {
		return nil, &Invalid{Problems: []Problem{{Field: "arguments", Got: show(doc), Want: "an object"}}}
	}
	if problems := s.root.unreadable(doc, nil); len(problems) > 0 {
		return nil, &Invalid{Problems: problems}
	}
	if err := s.compiled.Validate(doc); err != nil {
		failed, ok := err.(*validation.ValidationError)
		if !ok {
			return nil, fmt.Errorf("validate: %w", err)
		}
		return nil, &Invalid{Problems: s.problems(failed, doc)}
	}
	return doc, nil
}

// unreadable finds numbers that are too large to be meant, such as 1e999999,
// before anything computes with them.
func (n *node) unreadable(v any, path []string) []Problem {
	var problems []Problem
	switch v := v.(type) {
	case json.Number:
		if _, err := strconv.ParseFloat(v.String(), 64); err != nil {
			problems = append(problems, Problem{Field: join(path), Got: show(v), Want: n.at(path).words()})
		}
	case map[string]any:
		for key, inner := range v {
			problems = append(problems, n.unreadable(inner, append(slices.Clip(path), key))...)
		}
	case []any:
		for i, inner := range v {
			problems = append(problems, n.unreadable(inner, append(slices.Clip(path), strconv.Itoa(i)))...)
		}
	}
	return problems
}

// fill returns v, which n accepts, with the defaults of n and with whole
// numbers written as Go reads them.
func (n *node) fill(v any) any {
	if n == nil {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		for name, p := range n.Properties.nodes {
			if inner, ok := v[name]; ok {
				v[name] = p.fill(inner)
			} else if p.Default != nil {
				v[name] = p.Default
			}
		}
	case []any:
		for i := range v {
			v[i] = n.Items.fill(v[i])
		}
	case json.Number:
		if n.Type == "integer" && strings.ContainsAny(v.String(), ".eE") {
			if whole, ok := new(big.Rat).SetString(v.String()); ok && whole.IsInt() {
				return json.Number(whole.Num().String())
			}
		}
	}
	return v
}

// checkDefaults checks that each default is accepted where it stands.
func (s *Schema) checkDefaults() error {
	return s.root.eachDefault(nil, func(path []string, value json.RawMessage) error {
		var doc any = json.RawMessage(value)
		for i := len(path) - 1; i >= 0; i-- {
			doc = map[string]any{path[i]: doc}
		}
		raw, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		parsed, err := validation.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil && err != io.EOF {
			return err
		}
		var failed *validation.ValidationError
		if err := s.compiled.Validate(parsed); err == nil {
			return nil
		} else if f, ok := err.(*validation.ValidationError); ok {
			failed = f
		} else {
			return err
		}
		for _, p := range s.problems(failed, parsed) {
			if p.Field == join(path) {
				return fmt.Errorf("the default of %s", p)
			}
		}
		return nil
	})
}

func (n *node) eachDefault(path []string, check func([]string, json.RawMessage) error) error {
	for _, name := range n.Properties.names {
		p, at := n.Properties.nodes[name], append(slices.Clip(path), name)
		if p.Default != nil {
			if err := check(at, p.Default); err != nil {
				return err
			}
		}
		if err := p.eachDefault(at, check); err != nil {
			return err
		}
	}
	return nil
}
