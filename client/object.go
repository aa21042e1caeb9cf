package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object of an answer, for lenient access: keys may be in camel or
// snake case, numbers may be numbers or strings, and absent, null and empty values
// are equivalent. Numbers keep every digit. Its keys are folded; see fold. Of a key
// that occurs twice it has the last value.
//
// Values are untrusted. Every value that leaves this package is read by one of the
// methods in values.go, which check and bound it by its type.
type object map[string]json.RawMessage

// mostKeys is how many keys of an object are kept. The largest of the documentation
// has ten.
const mostKeys = 200

var errNotObject = errors.New("the answer is not a JSON object")

// parse returns the object in raw; it fails if raw is anything else. Its memory is a
// small multiple of len(raw), whatever raw contains.
func parse(raw []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil, errNotObject
	}
	o := object{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errNotObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNotObject
		}
		folded := fold(key.(string)) // Token returns no other key of an object
		if _, again := o[folded]; again || len(o) < mostKeys {
			o[folded] = value
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotObject
	}
	return o, nil
}

// fold returns key in lower case without underscores, so that both spellings of a
// key are the same.
func fold(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

// raw returns the value of key as text if it is a string or a number; else "". It is
// as the API sent it, so it may contain anything.
func (o object) raw(key string) string {
	value := o[fold(key)]
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(value, &n) == nil {
		return n.String()
	}
	return ""
}

// object returns the object at key, or an empty one.
func (o object) object(key string) object {
	inner, _ := parse(o[fold(key)])
	return inner
}

// objects returns up to most objects in the list at key, without its first skip items,
// and how many items it read: it stops one after the last that it returns. Items that
// are not objects are left out.
func (o object) objects(key string, skip, most int) (objects []object, read int) {
	d := json.NewDecoder(bytes.NewReader(o[fold(key)]))
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return nil, 0
	}
	for ; d.More() && read <= skip+most; read++ {
		var item json.RawMessage
		if d.Decode(&item) != nil {
			break
		}
		if read < skip || read >= skip+most {
			continue
		}
		if inner, err := parse(item); err == nil {
			objects = append(objects, inner)
		}
	}
	return objects, read
}

// percent returns the value of key as a whole number from 0 to 100.
func (o object) percent(key string) int {
	n, err := strconv.ParseFloat(o.raw(key), 64)
	if err != nil || math.IsNaN(n) {
		return 0
	}
	return int(min(max(n, 0), 100))
}

// time returns the instant that key names, or the zero time.
func (o object) time(key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, o.raw(key))
	if err != nil {
		return time.Time{}
	}
	return plausible(t)
}

// plausible returns t in UTC, or the zero time if t is not of an age in which there is
// data of Fullstory: times far away cannot be written in every format.
func plausible(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 2000 || t.Year() > 2199 {
		return time.Time{}
	}
	return t
}
