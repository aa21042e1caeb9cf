package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	validation "github.com/santhosh-tekuri/jsonschema/v6"
)

// Decode reads args into the struct that into points to: it checks them
// against the schema, fills in its defaults, also in objects inside, and
// decodes. Integers keep every digit, and may be written 1.0 or 1e2. Absent,
// empty and null args are an empty object. An object that is left out stays
// out, with the defaults inside it; of a name that comes twice the last counts.
// It fails with an *Invalid.
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
	err = json.Unmarshal(filled, into)
	var unfit *json.UnmarshalTypeError
	if errors.As(err, &unfit) { // the schema does not say how many bits a Go integer has
		return invalid(unfit.Field, "a "+shorten(unfit.Value, 80), "a number that the field can hold")
	}
	if err != nil {
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
		return nil, invalid("arguments", fmt.Sprintf("text that is not JSON (%s)", shorten(err.Error(), 80)), "a JSON object")
	}
	if _, ok := doc.(map[string]any); !ok {
		return nil, invalid("arguments", show(doc), "a JSON object")
	}
	if faults := s.root.outsized(doc, nil); len(faults) > 0 {
		return nil, s.explain(faults, doc)
	}
	compiled, err := s.compiled()
	if err != nil {
		return nil, err
	}
	err = compiled.Validate(doc)
	var failed *validation.ValidationError
	switch {
	case err == nil:
		return doc, nil
	case errors.As(err, &failed):
		return nil, s.explain(leaves(failed), doc)
	}
	return nil, fmt.Errorf("validate: %w", err)
}

// longList is the length from which a list that is too long is refused
// unread: validation would keep an error for each of its items.
const longList = 1000

// outsized finds what is too large to be meant before anything computes with
// it: numbers such as 1e999999 and long lists. Of what the schema does not know
// only the name will be read, so it does not go there.
func (n *node) outsized(v any, path []string) []fault {
	if n == nil {
		return nil
	}
	var faults []fault
	switch v := v.(type) {
	case json.Number:
		if _, err := strconv.ParseFloat(v.String(), 64); err != nil {
			faults = append(faults, fault{path: slices.Clone(path)})
		}
	case map[string]any:
		for name, p := range n.Properties.nodes {
			if inner, ok := v[name]; ok {
				faults = append(faults, p.outsized(inner, append(path, name))...)
			}
		}
	case []any:
		if n.MaxItems != nil && len(v) > max(*n.MaxItems, longList) {
			return []fault{{path: slices.Clone(path)}}
		}
		for i, inner := range v {
			faults = append(faults, n.Items.outsized(inner, append(path, strconv.Itoa(i)))...)
		}
	}
	return faults
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

// checkDefaults checks that each default inside n is accepted by the part of
// the compiled schema that it stands in.
func (n *node) checkDefaults(where string, compiled *validation.Schema) error {
	if n.Default != nil {
		value, err := validation.UnmarshalJSON(bytes.NewReader(n.Default))
		if err != nil {
			return fmt.Errorf("%s: default: %w", where, err)
		}
		if err := compiled.Validate(value); err != nil {
			return fmt.Errorf("%s: the default %s is refused by its own schema: want %s", where, n.Default, n.words())
		}
	}
	if n.Items != nil {
		if err := n.Items.checkDefaults(where+"[]", compiled.Items2020); err != nil {
			return err
		}
	}
	for _, name := range n.Properties.names {
		if err := n.Properties.nodes[name].checkDefaults(join([]string{where, name}), compiled.Properties[name]); err != nil {
			return err
		}
	}
	return nil
}
