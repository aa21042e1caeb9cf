// Package schema makes JSON Schemas from Go types, and Go values from JSON
// that was checked against the very schema that was published. Its complaints
// are written for whoever wrote the JSON, often a model.
//
// Constraints stand in the jsonschema tag and prose in the
// jsonschema_description tag of a field, as package invopop/jsonschema reads
// them. A field without omitempty is required.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
	"github.com/pb33f/ordered-map/v2"
	validation "github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is the published form of a Go struct. It is safe for concurrent use.
type Schema struct {
	raw      json.RawMessage
	root     *node
	compiled *validation.Schema
}

// Input returns the schema of arguments: flat and closed, so that a misspelt
// name is refused. It fails when a host might not accept the schema.
func Input[T any]() (*Schema, error) { return of(reflect.TypeFor[T](), false) }

// Output returns the schema of a result: flat, and open to fields of later
// versions. It fails when a host might not accept the schema.
func Output[T any]() (*Schema, error) { return of(reflect.TypeFor[T](), true) }

// JSON returns what is published. The order of properties is that of the
// struct's fields.
func (s *Schema) JSON() json.RawMessage { return s.raw }

func of(t reflect.Type, open bool) (*Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	if err := recursive(t, nil); err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{DoNotReference: true, Anonymous: true, AllowAdditionalProperties: open}
	reflected := r.ReflectFromType(t)
	reflected.Version = ""
	if open {
		for p := reflected.Properties.Oldest(); p != nil; p = p.Next() {
			bare(p.Value.Properties)
		}
	}
	raw, err := json.Marshal(reflected)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	s := &Schema{raw: raw, root: &node{}}
	if err := json.Unmarshal(raw, s.root); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	if err := portable(raw, !open); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	if s.compiled, err = compile(raw); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	return s, s.checkDefaults()
}

// bare leaves only names and types of an object inside a result: what they mean
// stands where they are arguments, and every byte is read by a model.
func bare(properties *orderedmap.OrderedMap[string, *jsonschema.Schema]) {
	if properties == nil {
		return
	}
	for p := properties.Oldest(); p != nil; p = p.Next() {
		s := p.Value
		bare(s.Properties)
		p.Value = &jsonschema.Schema{Type: s.Type, Items: s.Items, Properties: s.Properties, Required: s.Required}
	}
}

func compile(raw json.RawMessage) (*validation.Schema, error) {
	doc, err := validation.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := validation.NewCompiler()
	c.AssertFormat()
	const name = "mem:schema"
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

// recursive refuses a type that contains itself: reflecting it flat would not
// end.
func recursive(t reflect.Type, above []reflect.Type) error {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return recursive(t.Elem(), above)
	case reflect.Struct:
	default:
		return nil
	}
	for _, a := range above {
		if a == t {
			return fmt.Errorf("%s contains itself", t)
		}
	}
	above = append(above, t)
	for i := range t.NumField() {
		if err := recursive(t.Field(i).Type, above); err != nil {
			return err
		}
	}
	return nil
}
