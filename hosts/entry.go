package hosts

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// object is a table whose members have an order.
type object []member

// member is a member of an object: a string, bool, int, []string, object, or what a file
// had.
type member struct {
	name  string
	value any
	keep  bool // what the file has is kept
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		value, err := compactJSON(m.value)
		if err != nil {
			return nil, err
		}
		name, _ := compactJSON(m.name)
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// compactJSON returns v as JSON on one line, with <, > and & as they are.
func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// shape returns an entry in the way of some hosts.
type shape func(Host, Entry) object

func plain(_ Host, e Entry) object {
	args := append([]string{}, e.Args...) // not null in JSON
	o := object{{name: "command", value: e.Command}, {name: "args", value: args}}
	if len(e.Env) > 0 {
		o = append(o, member{name: "env", value: sorted(e.Env)})
	}
	return o
}

func typed(h Host, e Entry) object {
	return append(object{{name: "type", value: "stdio"}}, plain(h, e)...)
}

func sourced(h Host, e Entry) object {
	return append(object{{name: "source", value: "custom"}}, plain(h, e)...)
}

// plainURL returns the shape in which the address has that name.
func plainURL(name string) shape {
	return func(h Host, e Entry) object {
		o := object{{name: name, value: e.URL}}
		if headers := h.headers(e); headers != nil {
			o = append(o, member{name: "headers", value: headers})
		}
		return o
	}
}

func typedURL(name string) shape {
	return func(h Host, e Entry) object {
		return append(object{{name: "type", value: "http"}}, plainURL(name)(h, e)...)
	}
}

func sourcedURL(h Host, e Entry) object {
	return append(object{{name: "source", value: "custom"}}, plainURL("url")(h, e)...)
}

func codexURL(_ Host, e Entry) object {
	o := object{{name: "url", value: e.URL}}
	if e.TokenVariable != "" {
		o = append(o, member{name: "bearer_token_env_var", value: e.TokenVariable})
	}
	return o
}

// description is what Goose shows.
const description = "Plans, schedules, tracks and fetches Fullstory segment exports"

func gooseCommand(_ Host, e Entry) object {
	return object{
		{name: "enabled", value: true, keep: true},
		{name: "type", value: "stdio"},
		{name: "name", value: Name, keep: true},
		{name: "description", value: description, keep: true},
		{name: "cmd", value: e.Command},
		{name: "args", value: append([]string{}, e.Args...)},
		{name: "envs", value: sorted(e.Env)},
		{name: "env_keys", value: []string{}},
		{name: "timeout", value: 300, keep: true},
	}
}

func gooseURL(h Host, e Entry) object {
	keys := []string{}
	if e.TokenVariable != "" {
		keys = append(keys, e.TokenVariable)
	}
	return object{
		{name: "enabled", value: true, keep: true},
		{name: "type", value: "streamable_http"},
		{name: "name", value: Name, keep: true},
		{name: "description", value: description, keep: true},
		{name: "uri", value: e.URL},
		{name: "envs", value: object{}},
		{name: "env_keys", value: keys},
		{name: "headers", value: append(object{}, h.headers(e)...)},
		{name: "timeout", value: 300, keep: true},
	}
}

// sorted returns variables in the order of their names.
func sorted(env map[string]string) object {
	o := object{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		o = append(o, member{name: name, value: env[name]})
	}
	return o
}

// ours are the members that an entry of the server has. Those that a new one lacks are
// removed.
var ours = []string{
	"type", "source", "command", "args", "env", "url", "serverUrl", "httpUrl", "headers", "bearer_token_env_var",
	"cmd", "envs", "env_keys", "uri",
}

const (
	ourVariables = "FULLSTORY_"
	keyVariable  = "FULLSTORY_API_KEY"
)

// merged returns the wanted entry with what else the present one has: members such as a
// time limit, variables of others, and how the key is found.
func merged(wanted object, present map[string]any) object {
	var o object
	for _, m := range wanted {
		have, ok := present[m.name]
		if ok && m.keep {
			m.value = have
		}
		if env, is := m.value.(object); is && (m.name == "env" || m.name == "envs") {
			m.value = mergedEnv(env, have)
		}
		o = append(o, m)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(o, func(m member) bool { return m.name == name })
	}
	if env := mergedEnv(object{}, present["env"]); has("command") && !has("env") && len(env) > 0 {
		o = append(o, member{name: "env", value: env})
	}
	for _, name := range slices.Sorted(maps.Keys(present)) {
		if !slices.Contains(ours, name) && !has(name) {
			o = append(o, member{name: name, value: present[name]})
		}
	}
	return o
}

// mergedEnv returns the wanted variables, and those present ones that are not settings of
// the server. A variable with the key stays, unless the wanted ones name a file with it.
func mergedEnv(wanted object, present any) object {
	have, _ := present.(map[string]any)
	given := map[string]bool{}
	for _, m := range wanted {
		given[m.name] = true
	}
	o := slices.Clone(wanted)
	for _, name := range slices.Sorted(maps.Keys(have)) {
		setting := strings.HasPrefix(name, ourVariables) && !strings.HasPrefix(name, keyVariable)
		replaced := name == keyVariable && given[keyVariable+"_FILE"]
		if !given[name] && !setting && !replaced {
			o = append(o, member{name: name, value: have[name]})
		}
	}
	return o
}
