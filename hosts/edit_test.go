package hosts

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// example is an entry of each kind of value.
var example = Entry{
	Command: `/opt/a "b"/fullstory-export-mcp`, Args: []string{"--sandbox", "--dir=/a b"},
	Env: map[string]string{"FULLSTORY_API_KEY_FILE": "/home/ann/.key", "FULLSTORY_EXPORT_TIMEZONE": "Europe/Berlin"},
}

// examples returns the files of testdata for each host: HOST.NAME.EXTENSION.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.*.*")
	if err != nil || len(paths) < 12 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(path)
		all[name] = content
		all[name+" with CRLF"] = bytes.ReplaceAll(content, []byte("\n"), []byte("\r\n"))
		all[name+" with a mark"] = append(bytes.Clone(mark), content...)
		all[name+" without its last line end"] = bytes.TrimSuffix(content, []byte("\n"))
		all[name+" with an empty line at its end"] = append(bytes.Clone(content), '\n')
		if strings.HasSuffix(name, ".json") {
			all[name+" with tabs"] = bytes.ReplaceAll(content, []byte("  "), []byte("\t"))
		}
	}
	return all
}

// hostOf returns the host of a file of examples.
func hostOf(t *testing.T, name string) Host {
	t.Helper()
	id, _, _ := strings.Cut(name, ".")
	h, ok := ByID(id)
	if !ok {
		t.Fatalf("%s is of no host", name)
	}
	return h
}

// TestRoundTrip adds the entry to the files of testdata, changes it and removes it. Another
// reader finds the entry and all else unchanged; at the end every byte is as it was.
func TestRoundTrip(t *testing.T) {
	hosts := map[string]bool{}
	for name, content := range examples(t) {
		h := hostOf(t, name)
		hosts[h.ID] = true
		if same, change, err := h.Remove(content); err != nil || change != None || !bytes.Equal(same, content) {
			t.Errorf("%s: nothing to remove is %s, %v", name, change, err)
		}
		added := inserted(t, name, h, content, example, Added)
		checkRead(t, name, h, content, added, example)
		if again := inserted(t, name, h, added, example, None); !bytes.Equal(again, added) {
			t.Errorf("%s: the same entry once more:\n%s", name, again)
		}
		other := Entry{Command: "/x", Args: []string{"--read-only"}}
		changed := inserted(t, name, h, added, other, Changed)
		other.Env = map[string]string{"FULLSTORY_API_KEY_FILE": "/home/ann/.key"} // stays
		checkRead(t, name, h, content, changed, other)
		back := inserted(t, name, h, changed, example, Changed)
		for _, from := range [][]byte{added, changed, back} {
			removed, change, err := h.Remove(from)
			if err != nil || change != Removed || !bytes.Equal(removed, content) {
				t.Errorf("%s: removed is %s, %v:\n%q\nwant\n%q\nfrom\n%q", name, change, err, removed, content, from)
			}
		}
	}
	if len(hosts) != len(All()) {
		t.Errorf("there are files of %d hosts; want all %d", len(hosts), len(All()))
	}
}

// inserted returns the file with an entry, and fails the test unless that is the change.
func inserted(t *testing.T, name string, h Host, content []byte, e Entry, want Change) []byte {
	t.Helper()
	after, change, err := h.Insert(content, e)
	if err != nil || change != want {
		t.Fatalf("%s: %s, %v; want %s", name, change, err, want)
	}
	return after
}

// checkRead reads the file before and after a change with another reader.
func checkRead(t *testing.T, name string, h Host, before, after []byte, e Entry) {
	t.Helper()
	is, err := otherReader(h.Language(), after)
	if err != nil {
		t.Errorf("%s: %v:\n%s", name, err, after)
		return
	}
	was, err := otherReader(h.Language(), before)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	servers, _ := is[h.container].(map[string]any)
	fields, err := h.fields(e)
	if entry, _ := servers[Name].(map[string]any); err != nil || !same(fields, entry) {
		t.Errorf("%s: the entry is %v, %v", name, entry, err)
	}
	if a, b := shown(h, was, true), shown(h, is, true); a != b {
		t.Errorf("%s: another setting changed:\n%s\n%s", name, a, b)
	}
	crlf := bytes.Count(before, []byte("\r\n"))
	if lines := bytes.Count(after, []byte("\n")); crlf > 0 && lines != bytes.Count(after, []byte("\r\n")) {
		t.Errorf("%s: ends of lines are mixed:\n%q", name, after)
	}
}

// TestLooks compares whole files, so that entries look as their neighbours do.
func TestLooks(t *testing.T) {
	const alone = "{\n  \"mcpServers\": {\n    \"fullstory-export\": {\n" +
		"      \"command\": \"/x\",\n      \"args\": []\n    }\n  }\n}"
	e := Entry{Command: "/x"}
	for _, test := range []struct{ host, before, after string }{
		{"cursor", "", alone + "\n"},
		{"cursor", "{}", alone},
		{
			"cursor", `{"mcpServers":{"a":{"command":"b"}}}`,
			`{"mcpServers":{"a":{"command":"b"},"fullstory-export":{"command":"/x","args":[]}}}`,
		},
		{ // readers take the last of two
			"cursor", `{"mcpServers":{},"mcpServers":{}}`,
			`{"mcpServers":{},"mcpServers":{"fullstory-export":{"command":"/x","args":[]}}}`,
		},
		{"cursor", `{"mcpServers":{}}`, `{"mcpServers":{"fullstory-export":{"command":"/x","args":[]}}}`},
		{
			"cursor", "{\n\t\"mcpServers\": {\n\t\t\"a\": {} // mine\n\t\t// \"b\": {}\n\t}\n}\n",
			"{\n\t\"mcpServers\": {\n\t\t\"a\": {}, // mine\n\t\t\"fullstory-export\": {\n\t\t\t\"command\": \"/x\",\n" +
				"\t\t\t\"args\": []\n\t\t}\n\t\t// \"b\": {}\n\t}\n}\n",
		},
		{
			"cursor", "{\r\n    \"mcpServers\": {\r\n        \"a\": {}, /* , */\r\n    },\r\n}",
			"{\r\n    \"mcpServers\": {\r\n        \"a\": {}, /* , */\r\n        \"fullstory-export\": {\r\n" +
				"            \"command\": \"/x\",\r\n            \"args\": []\r\n        },\r\n    },\r\n}",
		},
		{"codex", "", "[mcp_servers.fullstory-export]\ncommand = \"/x\"\nargs = []\n"},
		{"codex", "a = 1 # b", "a = 1 # b\n[mcp_servers.fullstory-export]\ncommand = \"/x\"\nargs = []"},
		{"codex", "a = 1\n", "a = 1\n\n[mcp_servers.fullstory-export]\ncommand = \"/x\"\nargs = []\n"},
		{
			"goose", "extensions: {} # none\nb: 1\n", "extensions: # none\n  fullstory-export:\n    enabled: true\n" +
				"    type: stdio\n    name: fullstory-export\n    description: " + description + "\n    cmd: /x\n" +
				"    args: []\n    envs: {}\n    env_keys: []\n    timeout: 300\nb: 1\n",
		},
	} {
		h, _ := ByID(test.host)
		if got, _, err := h.Insert([]byte(test.before), e); err != nil || string(got) != test.after {
			t.Errorf("%s, %q: %v:\n%q\nwant\n%q", test.host, test.before, err, got, test.after)
		}
	}
}

// TestStays changes an entry that others have edited: what the server does not need stays.
func TestStays(t *testing.T) {
	for _, test := range []struct{ host, before, want, not string }{
		{
			"windsurf", `{"mcpServers":{"fullstory-export":{"command":"/old","disabledTools":["x"],"env":{` +
				`"FULLSTORY_API_KEY":"k","FULLSTORY_EXPORT_DIR":"/old","HTTPS_PROXY":"p"},"serverUrl":"u"}}}`,
			`{"mcpServers":{"fullstory-export":{"command":"/x","args":[],"env":{"FULLSTORY_API_KEY":"k","HTTPS_PROXY":"p"},` +
				`"disabledTools":["x"]}}}`, "/old",
		},
		{
			"codex", "[mcp_servers.fullstory-export]\ncommand = '/old'\nstartup_timeout_sec = 20\nenabled = false\n" +
				"[mcp_servers.fullstory-export.tools.a]\napproval = \"x\"\n# b\n[b]\n",
			"[mcp_servers.fullstory-export]\ncommand = \"/x\"\nargs = []\nenabled = false\nstartup_timeout_sec = 20\n" +
				"tools = { a = { approval = \"x\" } }\n# b\n[b]\n", "/old",
		},
		{
			"goose", "extensions:\n    fullstory-export:\n        enabled: false\n        cmd: /old\n        timeout: 9\n\n" +
				"    b: {}\n",
			"extensions:\n    fullstory-export:\n        enabled: false\n        type: stdio\n        name: fullstory-export\n" +
				"        description: " + description + "\n        cmd: /x\n        args: []\n        envs: {}\n" +
				"        env_keys: []\n        timeout: 9\n\n    b: {}\n", "/old",
		},
	} {
		h, _ := ByID(test.host)
		got, change, err := h.Insert([]byte(test.before), Entry{Command: "/x"})
		if err != nil || change != Changed || string(got) != test.want {
			t.Errorf("%s: %s, %v:\n%s\nwant\n%s", test.host, change, err, got, test.want)
		}
	}
}

// TestKeyFileReplacesKey installs a file with the key where the key itself was: it goes, as
// it would win.
func TestKeyFileReplacesKey(t *testing.T) {
	h, _ := ByID("cursor")
	const before = `{"mcpServers":{"fullstory-export":{"command":"/x","env":{"FULLSTORY_API_KEY":"secret"}}}}`
	got, _, err := h.Insert([]byte(before), example)
	if err != nil || strings.Contains(string(got), "secret") {
		t.Errorf("%v, %s", err, got)
	}
}

// TestRemote writes entries for a server at an address.
func TestRemote(t *testing.T) {
	const address = "https://exports.example.com/mcp"
	for id, want := range map[string][2]string{ // without a token, and with one
		"claude-desktop": {"", ""},
		"claude-code":    {`"type":"http","url":"` + address + `"`, `"Bearer ${TOKEN}"`},
		"vscode":         {`"type":"http","url":"` + address + `"`, `"Bearer ${env:TOKEN}"`},
		"cursor":         {`"url":"` + address + `"`, `"Bearer ${env:TOKEN}"`},
		"windsurf":       {`"serverUrl":"` + address + `"`, `"Bearer ${env:TOKEN}"`},
		"zed":            {`"url":"` + address + `"`, ""},
		"codex":          {`url = "` + address + `"`, `bearer_token_env_var = "TOKEN"`},
		"gemini":         {`"httpUrl":"` + address + `"`, `"Bearer ${TOKEN}"`},
		"goose":          {`uri: ` + address, "Authorization: Bearer ${TOKEN}"},
	} {
		h, _ := ByID(id)
		for i, variable := range []string{"", "TOKEN"} {
			e := Entry{URL: address, TokenVariable: variable}
			if want[i] != "" {
				checkRemote(t, h, e, want[i])
			} else if got, _, err := h.Insert(oneLined(h), e); !errors.Is(err, ErrUnsupported) || got != nil {
				t.Errorf("%s: %v, %s", id, err, got)
			}
		}
	}
}

// checkRemote writes the entry of an address, then that of a program, and the first again.
func checkRemote(t *testing.T, h Host, e Entry, want string) {
	t.Helper()
	got := inserted(t, h.ID, h, oneLined(h), e, Added)
	if !strings.Contains(string(got), want) || strings.Contains(string(got), "TOKEN") != (e.TokenVariable != "") {
		t.Errorf("%s, %q: %s", h.ID, e.TokenVariable, got)
	}
	local := inserted(t, h.ID, h, got, Entry{Command: "/x"}, Changed)
	if strings.Contains(string(local), e.URL) || strings.Contains(string(local), "TOKEN") {
		t.Errorf("%s: as a program: %s", h.ID, local)
	}
	if back := inserted(t, h.ID, h, local, e, Changed); !bytes.Equal(back, got) {
		t.Errorf("%s: back:\n%s\nwant\n%s", h.ID, back, got)
	}
}

// oneLined returns a file of the host in which JSON is on one line.
func oneLined(h Host) []byte {
	if h.Language() == "json" {
		return []byte(`{"` + h.container + `":{}}`)
	}
	return nil
}

// TestRejected edits files that cannot be edited. Each is rejected with its reason.
func TestRejected(t *testing.T) {
	for _, test := range []struct{ host, content, reason string }{
		{"cursor", `{"mcpServers": {`, "unexpected EOF"},
		{"cursor", "{\n  mcpServers: {}\n}", "line 2, column 3"},
		{"cursor", "[]", "not a table of settings"},
		{"cursor", `{"mcpServers": []}`, "mcpServers is not a table"},
		{"cursor", `{"mcpServers": null}`, "form that this program does not edit"},
		{"cursor", `{"mcpServers": {"fullstory-export": "x"}}`, "mcpServers.fullstory-export is not a table"},
		{"cursor", `{"mcpServers": {"fullstory-export": null}}`, ""},
		{"cursor", "\xff\xfe{\x00}\x00", "not text in UTF-8"},
		{"codex", "a = \n", "toml"},
		{"codex", "a = 1\na = 2\n", "toml"},
		{"codex", "mcp_servers = { a = { command = 'x' } }\n", "form that this program does not edit"},
		{"codex", "[mcp_servers]\nfullstory-export = { command = 'x' }\n", "form that this program does not edit"},
		{"codex", "mcp_servers = 1\n", "mcp_servers is not a table"},
		{"goose", "a: [", "yaml"},
		{"goose", "a: 1\n---\na: 2\n", "more than one document"},
		{"goose", "extensions: { a: { type: builtin } }\n", "form that this program does not edit"},
		{"goose", "- a\n", "not a table of settings"},
		{"goose", "extensions: []\n", "extensions is not a table"},
		{"goose", "{a: 1}\n", "form that this program does not edit"},
		{"goose", "a: 1\n...\n", "form that this program does not edit"},
		{"goose", "a: |\n  its last line end counts", "form that this program does not edit"},
		{"goose", "extensions: null\n", "form that this program does not edit"},
	} {
		h, _ := ByID(test.host)
		got, _, err := h.Insert([]byte(test.content), example)
		var edit *EditError
		if test.reason == "" {
			if err != nil {
				t.Errorf("%s, %q: %v", test.host, test.content, err)
			}
			continue
		}
		if !errors.As(err, &edit) || !strings.Contains(err.Error(), test.reason) || got != nil {
			t.Errorf("%s, %q: got %v, %s; want %q", test.host, test.content, err, got, test.reason)
		}
	}
}
