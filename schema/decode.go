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
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Decode reads args into the struct that into points to. It checks args against
// the schema, fills in the defaults, also those inside objects that are present,
// and decodes the result. Integers keep every digit, and may be written 1.0 or
// 1e2. Absent, empty and null args count as an empty object. If a name occurs
// twice, the last value counts. A string is accepted in place of an object whose
// type is a Texter, and what hosts do to arguments is undone, see repair. It fails with
// an *Invalid.
func (s *Schema) Decode(args json.RawMessage, into any) error {
	if trimmed := bytes.TrimSpace(args); len(trimmed) == 0 || string(trimmed) == "null" {
		args = json.RawMessage("{}")
	}
	doc, err := parseObject(args, s.root.repairRoot)
	if err == nil {
		doc, err = s.check(doc)
	}
	if err != nil {
		return err
	}
	filled, err := json.Marshal(s.root.fill(doc))
	if err != nil {
		return fmt.Errorf("encode arguments: %w", err)
	}
	err = json.Unmarshal(filled, into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) { // the schema does not limit integers to the bits of the Go type
		return invalid(mismatch.Field, "a "+shorten(mismatch.Value, 80), "a number that the field can hold")
	}
	if err != nil {
		return fmt.Errorf("decode arguments: %w", err)
	}
	return nil
}

// Validate checks doc against the schema. It fails with an *Invalid.
func (s *Schema) Validate(doc json.RawMessage) error {
	parsed, err := parseObject(doc, func(v any) any { return v })
	if err == nil {
		_, err = s.check(parsed)
	}
	return err
}

// parseObject parses raw, which must be an object after repair.
func parseObject(raw json.RawMessage, repair func(any) any) (any, error) {
	doc, err := validation.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, invalid("arguments", fmt.Sprintf("text that is not JSON (%s)", shorten(err.Error(), 80)), "a JSON object")
	}
	doc = repair(doc)
	if _, ok := doc.(map[string]any); !ok {
		return nil, invalid("arguments", show(doc), "a JSON object")
	}
	return doc, nil
}

// check validates an object. It returns the object with each string in place of a
// Texter replaced by its object.
func (s *Schema) check(doc any) (any, error) {
	doc = s.root.expand(doc)
	if faults := s.root.outsized(doc, nil); len(faults) > 0 {
		return nil, s.explain(faults, doc)
	}
	compiled, err := s.compiled()
	if err != nil {
		return nil, err
	}
	faults := s.root.missing(doc)
	err = compiled.Validate(doc)
	var failed *validation.ValidationError
	switch {
	case errors.As(err, &failed):
		faults = append(faults, leaves(failed)...)
	case err != nil:
		return nil, fmt.Errorf("validate: %w", err)
	}
	if len(faults) > 0 {
		return nil, s.explain(faults, doc)
	}
	return doc, nil
}

// missing returns a fault for each field that doc lacks together with the field that
// would make it optional.
func (n *node) missing(doc any) (faults []fault) {
	object, ok := doc.(map[string]any)
	if !ok {
		return nil
	}
	for name, other := range n.unless {
		_, given := object[name]
		if _, instead := object[other]; !given && !instead {
			faults = append(faults, fault{[]string{name}, &kind.Required{Missing: []string{name}}})
		}
	}
	return faults
}

// longList is the length above which a list that exceeds its maxItems is
// rejected without validation, which would keep an error for each item.
const longList = 1000

// outsized returns a fault for each value that is too large to process: numbers
// such as 1e999999, which take huge memory as exact integers, and long lists. It
// runs before validation. It skips fields that the schema does not define, because
// only their names are read.
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

// fill returns v, a value that n accepts, with the defaults of n added and with
// integers such as 1.0 and 1e2 rewritten as digits, which encoding/json requires.
// It changes v in place.
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

// checkDefaults checks that the compiled schema accepts each default in n and
// below. where is the path of n, for error texts.
func (n *node) checkDefaults(where string, compiled *validation.Schema) error {
	if n.Default != nil {
		value, err := validation.UnmarshalJSON(bytes.NewReader(n.Default))
		if err != nil {
			return fmt.Errorf("%s: default: %w", where, err)
		}
		if err := compiled.Validate(value); err != nil {
			return fmt.Errorf("%s: the schema rejects its own default %s: want %s", where, n.Default, n.describe())
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
