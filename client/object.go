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

// object is a JSON object of an answer, read leniently: keys in camel or snake
// case, numbers as numbers or text, and absent, null and empty are the same.
// Numbers keep every digit.
type object map[string]json.RawMessage

var errNotObject = errors.New("the answer is not a JSON object")

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

func fold(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

// text returns the value of key when it is a string or a number.
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

// longestID is the most characters of an id.
const longestID = 500

// isToken tells whether s can be an id: visible ASCII, and not too long.
func isToken(s string) bool {
	return s != "" && len(s) <= longestID && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// token returns s if it can be an id, and else nothing: it may hold anything.
func token(s string) string {
	if !isToken(s) {
		return ""
	}
	return s
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
