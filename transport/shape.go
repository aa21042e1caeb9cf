package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shape is what a value in the params of a request must be. The zero value accepts
// anything.
type shape struct {
	kind     kindOfJSON
	required bool                // absent and null are rejected
	fields   []field             // of an object; others are ignored
	each     *shape              // the items of a list, or the values of an object without fields
	values   []string            // the only accepted strings; nil accepts all
	fit      func([]byte) []byte // replaces a value that nothing depends on; nil checks it
}

// field is a member of an object.
type field struct {
	name string
	shape
}

// kindOfJSON is a type of JSON in words; "" is any.
type kindOfJSON string

const (
	aString  kindOfJSON = "a string"
	aNumber  kindOfJSON = "a number"
	aBoolean kindOfJSON = "true or false"
	aList    kindOfJSON = "a list"
	anObject kindOfJSON = "an object"
	aNull    kindOfJSON = "null"
)

// kindOf returns the kind of a valid JSON value.
func kindOf(value json.RawMessage) kindOfJSON {
	switch first := value[0]; first {
	case '"':
		return aString
	case '{':
		return anObject
	case '[':
		return aList
	case 't', 'f':
		return aBoolean
	case 'n':
		return aNull
	}
	return aNumber
}

// read checks the value at path, nil if it is absent. It returns the value, changed
// where shapes replace values or where an empty list is in place of an object: PHP
// writes an empty object so.
func (s shape) read(path string, value json.RawMessage) (json.RawMessage, *rejection) {
	switch {
	case value == nil && s.required:
		return nil, mustBe(path, s, "it is missing")
	case value == nil:
		return nil, nil
	case s.fit != nil:
		return s.fit(value), nil
	case s.kind == "", !s.required && kindOf(value) == aNull:
		return value, nil
	case s.kind == anObject && kindOf(value) == aList && len(bytes.TrimSpace(value[1:len(value)-1])) == 0:
		value = json.RawMessage("{}")
	}
	if got := kindOf(value); got != s.kind {
		return nil, mustBe(path, s, "got "+string(got))
	}
	switch s.kind {
	case anObject:
		return s.readObject(path, value)
	case aList:
		return value, s.checkItems(path, value)
	case aString:
		return value, s.checkString(path, value)
	}
	return value, nil
}

func (s shape) readObject(path string, value json.RawMessage) (json.RawMessage, *rejection) {
	if s.each == nil && !s.mentions(value) {
		return value, nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil {
		return value, nil
	}
	fields := slices.Clip(s.fields)
	if s.each != nil {
		for _, name := range slices.Sorted(maps.Keys(members)) {
			fields = append(fields, field{name, *s.each})
		}
	}
	changed := false
	for _, f := range fields {
		if members[f.name] == nil && !f.required {
			continue
		}
		read, rejected := f.read(path+"."+f.name, members[f.name])
		if rejected != nil {
			return nil, rejected
		}
		if !bytes.Equal(read, members[f.name]) {
			members[f.name], changed = read, true
		}
	}
	if changed {
		if encoded, err := json.Marshal(members); err == nil {
			return encoded, nil
		}
	}
	return value, nil
}

// mentions reports whether an object may have a field of s, or lacks one that is
// required. It is faster than decoding the object, of which most have none.
func (s shape) mentions(object json.RawMessage) bool {
	return slices.ContainsFunc(s.fields, func(f field) bool {
		return f.required || bytes.Contains(object, []byte(f.name))
	})
}

func (s shape) checkItems(path string, value json.RawMessage) *rejection {
	var items []json.RawMessage
	if s.each == nil || json.Unmarshal(value, &items) != nil {
		return nil
	}
	for i, item := range items {
		if _, rejected := s.each.read(fmt.Sprintf("%s[%d]", path, i), item); rejected != nil {
			return rejected
		}
	}
	return nil
}

func (s shape) checkString(path string, value json.RawMessage) *rejection {
	var text string
	if s.values == nil || json.Unmarshal(value, &text) == nil && slices.Contains(s.values, text) {
		return nil
	}
	return mustBe(path, s, "got another string")
}

// mustBe rejects the value at path. why says what is wrong with it.
func mustBe(path string, s shape, why string) *rejection {
	want := string(s.kind)
	if s.values != nil {
		want = "one of " + strings.Join(s.values, ", ")
	}
	path = cleaned(path, longestEcho) // a client chose the names in it
	return &rejection{codeParams, fmt.Sprintf("%s must be %s; %s.", path, want, why)}
}

// fitting returns value, an object, without the members that a T cannot hold; an empty
// object if it is something else.
func fitting[T any](value []byte) []byte {
	if json.Unmarshal(value, new(T)) == nil {
		return value
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil {
		return []byte("{}")
	}
	for name, member := range members {
		alone, err := json.Marshal(map[string]json.RawMessage{name: member})
		if err != nil || json.Unmarshal(alone, new(T)) != nil {
			delete(members, name)
		}
	}
	if encoded, err := json.Marshal(members); err == nil {
		return encoded
	}
	return []byte("{}")
}
