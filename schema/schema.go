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
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/invopop/jsonschema"
	"github.com/pb33f/ordered-map/v2"
	validation "github.com/santhosh-tekuri/jsonschema/v6"
)

// Schema is the published form of a Go struct. It is safe for concurrent use.
type Schema struct {
	raw      json.RawMessage
	root     *node
	compiled func() (*validation.Schema, error)
}

// Input returns the schema of arguments: flat and closed, so that a misspelt
// name is refused. T is a struct, and every property has a description. It
// fails when a host might not accept the schema, and where Check does.
func Input[T any]() (*Schema, error) {
	s, err := of(reflect.TypeFor[T](), false)
	if err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", reflect.TypeFor[T](), err)
	}
	return s, nil
}

// Output returns the schema of a result: flat, and open to fields of later
// versions. T is a struct. It fails when a host might not accept the schema. A
// server only publishes it, so it is not compiled before Check or Validate.
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
	condense(t, reflected, "")
	if open {
		each(reflected.Properties, func(result *jsonschema.Schema) {
			bare(result)
			if result.Items != nil {
				each(result.Items.Properties, bare)
			}
		})
	}
	raw, err := json.Marshal(reflected)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	s := &Schema{raw: raw, root: &node{}, compiled: sync.OnceValues(func() (*validation.Schema, error) { return compile(raw) })}
	if err := json.Unmarshal(raw, s.root); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	if err := portable(raw, !open); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	return s, nil
}

// Check compiles the schema and checks that each default is accepted where it
// stands. Input has done so already.
func (s *Schema) Check() error {
	compiled, err := s.compiled()
	if err != nil {
		return err
	}
	return s.root.checkDefaults("", compiled)
}

// bare leaves only names and types of the properties of s: what they mean stands
// where they are arguments, and every byte of a result's schema is read by a
// model.
func bare(s *jsonschema.Schema) {
	each(s.Properties, func(p *jsonschema.Schema) {
		bare(p)
		*p = jsonschema.Schema{Type: p.Type, Items: p.Items, Properties: p.Properties}
	})
	s.Required = nil
}

// condense carries out the schema tags of t's fields, which save bytes that a
// model would read twice. In results, brief leaves out what an object or the
// objects of a list hold: another tool's result has the same, and says it. In
// arguments, any other text takes the place of the descriptions inside an
// object. That of an embedded struct is for all of its fields.
func condense(t reflect.Type, s *jsonschema.Schema, all string) {
	for f := range t.Fields() {
		if f.Anonymous {
			condense(f.Type, s, f.Tag.Get("schema"))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p, ok := s.Properties.Get(name)
		switch instead := cmp.Or(f.Tag.Get("schema"), all); {
		case !ok || instead == "":
		case instead == "brief":
			p.Properties, p.Required = nil, nil
			if p.Items != nil {
				p.Items = &jsonschema.Schema{Type: p.Items.Type}
			}
		default:
			each(p.Properties, func(inner *jsonschema.Schema) { inner.Description = instead })
		}
	}
}

func each(properties *orderedmap.OrderedMap[string, *jsonschema.Schema], do func(*jsonschema.Schema)) {
	if properties == nil {
		return
	}
	for p := properties.Oldest(); p != nil; p = p.Next() {
		do(p.Value)
	}
}

func compile(raw json.RawMessage) (*validation.Schema, error) {
	doc, err := validation.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := validation.NewCompiler()
	c.AssertFormat()
	c.RegisterFormat(&validation.Format{Name: "date-time", Validate: readableTime})
	const name = "mem:schema"
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

// readableTime accepts the times that decode into a time.Time. The format as
// such has more of them, such as leap seconds.
func readableTime(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	return new(time.Time).UnmarshalText([]byte(text))
}

// recursive refuses a type that contains itself: reflecting it flat would not
// end.
func recursive(t reflect.Type, above []reflect.Type) error {
	if slices.Contains(above, t) {
		return fmt.Errorf("%s contains itself", t)
	}
	above = append(above, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return recursive(t.Elem(), above)
	case reflect.Struct:
	default:
		return nil
	}
	for f := range t.Fields() {
		if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
			continue
		}
		if err := recursive(f.Type, above); err != nil {
			return err
		}
	}
	return nil
}
