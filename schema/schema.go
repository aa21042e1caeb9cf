// Package schema makes JSON Schemas from Go types, and decodes JSON into Go
// values after checking it against the same schema that was published. Its errors
// are written for the author of the JSON, often a model.
//
// Constraints are in the jsonschema tag of a field and prose is in its
// jsonschema_description tag, as package invopop/jsonschema reads them. The
// schema tag shortens what is published; see condense. A field without omitempty
// is required. The tag unless, of a field of arguments, names another field that
// makes it optional: the published schema requires neither, because hosts do not
// accept a schema that says so.
package schema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
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

// Input returns the schema of arguments of type T, a struct whose properties all
// have descriptions. The schema is flat and closed, so that a misspelt name is
// rejected. Input fails if a host might not accept the schema. Compiling is the
// slowest step, so the first Decode, Validate or Check does it.
func Input[T any]() (*Schema, error) { return reflectSchema(reflect.TypeFor[T](), false) }

// Output returns the schema of a result of type T, a struct. The schema is flat,
// and open so that later versions may add fields. Output fails if a host might not
// accept the schema.
func Output[T any]() (*Schema, error) { return reflectSchema(reflect.TypeFor[T](), true) }

// JSON returns the published schema. Properties are in the order of the struct's
// fields. The caller must not change the result.
func (s *Schema) JSON() json.RawMessage { return s.raw }

// reflectSchema returns the schema of t; open allows fields that t does not have.
func reflectSchema(t reflect.Type, open bool) (*Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	if err := checkRecursion(t, nil); err != nil {
		return nil, err
	}
	r := jsonschema.Reflector{DoNotReference: true, Anonymous: true, AllowAdditionalProperties: open}
	reflected := r.ReflectFromType(t)
	reflected.Version = ""
	condense(t, reflected, "")
	unless := alternatives(t)
	reflected.Required = slices.DeleteFunc(reflected.Required, func(name string) bool { return unless[name] != "" })
	if open {
		each(reflected.Properties, func(result *jsonschema.Schema) {
			strip(result)
			if result.Items != nil {
				each(result.Items.Properties, strip)
			}
		})
	}
	raw, err := json.Marshal(reflected)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	compiled := sync.OnceValues(func() (*validation.Schema, error) { return compile(raw) })
	s := &Schema{raw: raw, root: &node{}, compiled: compiled}
	if err := json.Unmarshal(raw, s.root); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	s.root.markTexters(t)
	s.root.unless = unless
	if err := checkPortable(raw, !open); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t, err)
	}
	return s, nil
}

// Check compiles the schema and checks that each default is valid in its place. It
// is for tests; programs do not need it, because schemas depend on types alone.
func (s *Schema) Check() error {
	compiled, err := s.compiled()
	if err != nil {
		return err
	}
	return s.root.checkDefaults("", compiled)
}

// strip removes everything but names and types from the properties of s. A model
// reads every byte of a result's schema, and the meaning is described where the
// same fields are arguments.
func strip(s *jsonschema.Schema) {
	each(s.Properties, func(p *jsonschema.Schema) {
		strip(p)
		*p = jsonschema.Schema{Type: p.Type, Items: p.Items, Properties: p.Properties}
	})
	s.Required = nil
}

// condense applies the schema tags of t's fields to s. The tags save bytes that a
// model would otherwise read twice. The tag "brief", for results, removes the
// properties of an object or of the objects of a list, because another tool's
// result already describes them. Any other text, for arguments, replaces the
// descriptions inside an object. The tag of an embedded struct applies to all of its
// fields that have none; all is the tag inherited that way. The tag "summary" of an
// embedded struct publishes only its field of that name. The fields of the structs of
// a list have tags as well.
func condense(t reflect.Type, s *jsonschema.Schema, all string) {
	for f := range t.Fields() {
		if f.Anonymous {
			if tag := f.Tag.Get("schema"); tag == "summary" {
				keep(f.Type, s, tag)
			} else {
				condense(f.Type, s, tag)
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p, ok := s.Properties.Get(name)
		switch instead := cmp.Or(f.Tag.Get("schema"), all); {
		case ok && instead == "" && p.Items != nil && f.Type.Elem().Kind() == reflect.Struct:
			condense(f.Type.Elem(), p.Items, "")
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

// keep removes the fields of t from s, except the one called name.
func keep(t reflect.Type, s *jsonschema.Schema, name string) {
	for f := range t.Fields() {
		if field, _, _ := strings.Cut(f.Tag.Get("json"), ","); field != name {
			s.Properties.Delete(field)
			s.Required = slices.DeleteFunc(s.Required, func(required string) bool { return required == field })
		}
	}
}

// alternatives returns the fields of t with the tag unless, by name, and its text.
func alternatives(t reflect.Type) map[string]string {
	found := map[string]string{}
	for f := range t.Fields() {
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			maps.Copy(found, alternatives(f.Type))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if other := f.Tag.Get("unless"); other != "" {
			found[name] = other
		}
	}
	return found
}

// each calls do with each property in order. properties may be nil.
func each(properties *orderedmap.OrderedMap[string, *jsonschema.Schema], do func(*jsonschema.Schema)) {
	if properties == nil {
		return
	}
	for p := properties.Oldest(); p != nil; p = p.Next() {
		do(p.Value)
	}
}

// compile returns the validator of a published schema. Formats are asserted, and
// date-time is checked by readableTime.
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

// readableTime accepts the times that decode into a time.Time. The date-time
// format allows more, such as leap seconds.
func readableTime(v any) error {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	return new(time.Time).UnmarshalText([]byte(text))
}

// checkRecursion rejects a type that contains itself, because reflecting it
// without references would not end. above lists the types that contain t.
func checkRecursion(t reflect.Type, above []reflect.Type) error {
	if slices.Contains(above, t) {
		return fmt.Errorf("%s contains itself", t)
	}
	above = append(above, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return checkRecursion(t.Elem(), above)
	case reflect.Struct:
	default:
		return nil
	}
	for f := range t.Fields() {
		if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
			continue
		}
		if err := checkRecursion(f.Type, above); err != nil {
			return err
		}
	}
	return nil
}
