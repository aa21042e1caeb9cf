package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object of an answer, for lenient access: keys may be in camel or
// snake case, numbers may be numbers or strings, and absent, null and empty values
// are equivalent. Numbers keep every digit. Its keys are folded; see fold.
type object map[string]json.RawMessage

var errNotObject = errors.New("the answer is not a JSON object")

// parse returns the object in raw; it fails if raw is anything else.
func parse(raw []byte) (object, error) {
	var read map[string]json.RawMessage
	if err := json.Unmarshal(raw, &read); err != nil || read == nil {
		return nil, errNotObject
	}
	o := make(object, len(read))
	for key, value := range read {
		o[fold(key)] = value
	}
	return o, nil
}

// fold returns key in lower case without underscores, so that both spellings of a
// key are the same.
func fold(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

// text returns the value of key as text if it is a string or a number; else "".
func (o object) text(key string) string {
	raw := o[fold(key)]
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// longestID is the most bytes of an operation's id. The ledger indexes the id, and
// an index entry of PostgreSQL has at most 2,704 bytes.
const longestID = 2400

// usableID reports whether s can be stored, and sent back, as the id of an
// operation. U+FFFD means that the id was not valid UTF-8 in the JSON.
func usableID(s string) bool {
	return s != "" && len(s) <= longestID && !strings.ContainsAny(s, "\x00\ufffd")
}

// validOrgID reports whether s can be the id of an organisation: visible ASCII of
// limited length.
func validOrgID(s string) bool {
	return s != "" && len(s) <= textLimit && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// time returns the instant that key names, or the zero time.
func (o object) time(key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, o.text(key))
	if err != nil {
		return time.Time{}
	}
	return t
}

// percent returns the value of key as a whole number from 0 to 100.
func (o object) percent(key string) int {
	n, err := strconv.ParseFloat(o.text(key), 64)
	if err != nil || math.IsNaN(n) {
		return 0
	}
	return int(min(max(n, 0), 100))
}

// object returns the object at key, or an empty one.
func (o object) object(key string) object {
	inner, _ := parse(o[fold(key)])
	return inner
}

// objects returns the objects in the list at key.
func (o object) objects(key string) []object {
	var items []json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(o[fold(key)])).Decode(&items); err != nil {
		return nil
	}
	var objects []object
	for _, item := range items {
		if inner, err := parse(item); err == nil {
			objects = append(objects, inner)
		}
	}
	return objects
}
