package command

import (
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"

	"fullstory-export-mcp/sandbox"
)

// asUser is a user of this machine, with a home of their own and a keychain in memory.
type asUser struct {
	t   *testing.T
	env map[string]string
}

// newUser returns a user whose API is at url.
func newUser(t *testing.T, url string) asUser {
	return asUser{t, map[string]string{
		"HOME": t.TempDir(), "AppData": t.TempDir(), "FULLSTORY_API_URL": url, "FULLSTORY_EXPORT_NO_KEYCHAIN": "true",
	}}
}

// with returns the user with more variables, NAME=VALUE.
func (u asUser) with(variables ...string) asUser {
	u.env = maps.Clone(u.env)
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		u.env[name] = value
	}
	return u
}

// types runs a command with what the user pipes into it. Its output never has a key.
func (u asUser) types(stdin, line string) (status int, output string) {
	u.t.Helper()
	var out buffer
	args := strings.Fields(line)
	getenv := func(name string) string { return u.env[name] }
	status = Status(Run(u.t.Context(), args, getenv, strings.NewReader(stdin), &out, &out))
	for _, secret := range []string{"c4n4ry", "wrong/KEY", "/ARCH"} {
		if strings.Contains(out.String(), secret) {
			u.t.Errorf("%s prints a key: %s", line, out.String())
		}
	}
	return status, out.String()
}

// keyFiles returns the paths of what login kept in files.
func (u asUser) keyFiles() []string {
	var found []string
	for _, home := range []string{u.env["HOME"], u.env["AppData"]} {
		for _, below := range []string{"", ".config", "Library/Application Support"} {
			paths, _ := filepath.Glob(filepath.Join(home, below, "fullstory-export-mcp", "*"))
			found = append(found, paths...)
		}
	}
	return found
}

// TestLogin gives login keys of every kind, on stdin.
func TestLogin(t *testing.T) {
	t.Parallel()
	api := fullstory(t, sandbox.Config{})
	for _, test := range []struct {
		name, stdin, line string
		env               string
		status            int
		kept              string // name of the file; "": nothing is kept
		says              []string
	}{
		{"Architect", sandbox.KeyArchitect + "\r\n", "login", "", 0, "key", []string{
			"organisation SANDBOX, role ARCHITECT, region na1 (" + api.URL + ")", "which only you can read"}},
		{"account", sandbox.KeyArchitect, "login --account emea", "", 0, "key-emea", []string{"key-emea"}},
		{"role that cannot export", sandbox.KeyStandard, "login", "", 0, "key", []string{
			"Its role is USER, and exports need Architect or Admin"}},
		{"variable that wins", sandbox.KeyArchitect, "login --account emea", "FULLSTORY_API_KEY_EMEA=na1.c4n4ry", 0,
			"key-emea", []string{"FULLSTORY_API_KEY_EMEA is set and wins"}},
		{"rejected", "na1.wrong/KEY\n", "login", "", 1, "", []string{"rejected by Fullstory (401), so it was not kept"}},
		{"API away", sandbox.KeyArchitect, "login", "FULLSTORY_API_URL=http://127.0.0.1:1", 1, "", []string{
			"could not be checked, so it was not kept", "connection refused"}},
		{"nothing", " \n", "login", "", 2, "", []string{"no key was given"}},
		{"two words", "na1.c4n4ry na1.c4n4ry", "login", "", 1, "", []string{"the key was not kept", "white space"}},
		{"endless", strings.Repeat("c4n4ry", 1<<20), "login", "", 1, "", []string{"not kept"}},
		{"argument", "", "login na1.c4n4ry/KEY", "", 2, "", []string{"login takes no key as an argument"}},
		{"flag", "", "login --key=na1.c4n4ry/KEY", "", 2, "", []string{"fullstory-export-mcp login asks for it"}},
		{"sandbox", sandbox.KeyArchitect, "login", "FULLSTORY_SANDBOX=true", 2, "", []string{"leave --sandbox"}},
		{"name of a folder", sandbox.KeyArchitect, "login --account ../emea", "", 2, "", []string{"lower case letters"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, api.URL).with(test.env)
			status, output := u.types(test.stdin, test.line)
			if status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			for _, want := range test.says {
				if !strings.Contains(output, want) {
					t.Errorf("it lacks %q: %s", want, output)
				}
			}
			kept := u.keyFiles()
			if test.kept == "" && len(kept) > 0 || test.kept != "" && (len(kept) != 1 || filepath.Base(kept[0]) != test.kept) {
				t.Errorf("kept: %q", kept)
			}
		})
	}
}

// TestLogout removes the key of one account.
func TestLogout(t *testing.T) {
	t.Parallel()
	u := newUser(t, fullstory(t, sandbox.Config{}).URL)
	u.types(sandbox.KeyArchitect, "login")
	u.types(sandbox.KeyArchitect, "login --account emea")
	if status, output := u.types("", "logout"); status != 0 || !strings.Contains(output, "was removed from the file") {
		t.Errorf("status %d, %s", status, output)
	}
	if kept := u.keyFiles(); len(kept) != 1 || filepath.Base(kept[0]) != "key-emea" {
		t.Errorf("kept: %q", kept)
	}
	status, output := u.with("FULLSTORY_API_KEY=na1.c4n4ry").types("", "logout")
	if status != 0 || !strings.Contains(output, "kept no key") || !strings.Contains(output, "FULLSTORY_API_KEY is set") {
		t.Errorf("status %d, %s", status, output)
	}
}

// TestKeyPrecedence has a key in each place, and takes away the one in use until none is
// left. It does not run beside other tests, because the keychain in memory is that of the
// process.
func TestKeyPrecedence(t *testing.T) {
	keyring.MockInit()
	t.Cleanup(keyring.MockInit)
	api := &organisations{api: fullstory(t, sandbox.Config{}).Config.Handler, got: map[string]int{}}
	served := httptest.NewServer(api)
	t.Cleanup(served.Close)
	file := keyFile(t, "na1.of/FILE")
	u := newUser(t, served.URL).with("FULLSTORY_API_KEY=na1.of/VARIABLE", "FULLSTORY_API_KEY_FILE="+file,
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/mock", "FULLSTORY_EXPORT_NO_KEYCHAIN=")
	status, output := u.types("na1.of/KEYCHAIN", "login")
	if status != 0 || !strings.Contains(output, "kept in the system's keychain") {
		t.Fatalf("status %d, %s", status, output)
	}
	if status, output := u.types("na1.of/LOGIN", "login --no-keychain"); status != 0 {
		t.Fatal(output)
	}
	kept := u.keyFiles()
	if len(kept) != 1 {
		t.Fatalf("kept: %q", kept)
	}
	for _, step := range []struct {
		name, key, row string
		end            func() // takes the key away
	}{
		{"variable", "na1.of/VARIABLE", "FULLSTORY_API_KEY\n", func() { delete(u.env, "FULLSTORY_API_KEY") }},
		{"file", "na1.of/FILE", "FULLSTORY_API_KEY_FILE=" + file + "\n", func() { delete(u.env, "FULLSTORY_API_KEY_FILE") }},
		{"file of login", "na1.of/LOGIN", "login (the file " + kept[0] + ")\n", func() { os.Remove(kept[0]) }},
		{"keychain", "na1.of/KEYCHAIN", "login (the system's keychain)\n", func() { u.types("", "logout") }},
	} {
		before := api.count(step.key)
		status, output := u.types("", "doctor --dir "+t.TempDir())
		if status != 0 || !strings.Contains(output, "key           "+step.row) || api.count(step.key) == before {
			t.Errorf("%s: status %d, %s", step.name, status, output)
		}
		if strings.Contains(output, "na1.of/") {
			t.Errorf("%s: doctor shows the key: %s", step.name, output)
		}
		_, config := u.types("", "doctor config cursor")
		if hasKey := strings.Contains(config, "FULLSTORY_API_KEY"); hasKey != (u.env["FULLSTORY_API_KEY"]+
			u.env["FULLSTORY_API_KEY_FILE"] != "") {
			t.Errorf("%s: the configuration of a host is %s", step.name, config)
		}
		step.end()
	}
	if status, output := u.types("", "doctor --dir "+t.TempDir()); status != 1 ||
		!strings.Contains(output, "No Fullstory API key is set. Run `fullstory-export-mcp login`") {
		t.Errorf("without a key: status %d, %s", status, output)
	}
}

// TestFirstCall starts the server as a host does without a key. The first call says how to
// log in and how to try the sandbox, and works after a login without a restart.
func TestFirstCall(t *testing.T) {
	t.Parallel()
	u := newUser(t, fullstory(t, sandbox.Config{}).URL)
	c := converse(t, u.env, "--dir", filepath.Join(t.TempDir(), "exports"))
	for _, tool := range []string{"check_connection", "list_segments"} {
		text, failed := c.try(tool, nil)
		for _, want := range []string{
			"No Fullstory API key is set. Ask the user to run `", " login` in a terminal, which asks for a key",
			"FULLSTORY_API_KEY", "without a key, start it with --sandbox.",
		} {
			if !failed || !strings.Contains(text, want) {
				t.Errorf("%s lacks %q: %s", tool, want, text)
			}
		}
		if n := strings.Count(text, ". "); n > 2 {
			t.Errorf("%s says more than a cause and two sentences: %s", tool, text)
		}
	}
	if status, output := u.types(sandbox.KeyArchitect, "login"); status != 0 {
		t.Fatal(output)
	}
	if text, failed := c.try("list_segments", nil); failed {
		t.Errorf("after the login: %s", text)
	}
	if strings.Contains(c.stderr.String()+c.stdout.String(), "/ARCH") {
		t.Error("the key is in an answer or the log")
	}
}

// TestSandboxIsSaid calls tools in the sandbox, and reads its resources. Each summary says
// that the data are simulated, once.
func TestSandboxIsSaid(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	var made created
	c.call("create_segment_export", octoberFirst, &made)
	c.download(made.OperationID)
	var bulk struct {
		ID string `json:"bulk_id"`
	}
	c.call("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-10-01", "2026-10-02"}, "name": "one",
	}, &bulk)
	for tool, args := range map[string]any{
		"check_connection": nil, "list_segments": nil, "list_export_operations": nil, "list_bulk_exports": nil,
		"list_syncs":           nil,
		"get_export_operation": map[string]any{"operation_id": made.OperationID},
		"download_export":      map[string]any{"operation_id": made.OperationID},
		"get_bulk_export":      map[string]any{"bulk_id": "one", "wait_seconds": 15},
		"describe_export":      map[string]any{"source": made.OperationID},
		"query_export":         map[string]any{"source": made.OperationID, "sql": "SELECT count(*) FROM rows"},
	} {
		var result struct{ Summary string }
		c.call(tool, args, &result)
		if strings.Count(result.Summary, "imulated data") != 1 {
			t.Errorf("%s says: %s", tool, result.Summary)
		}
	}
	for _, address := range []string{"operations/" + made.OperationID, "bulk/" + bulk.ID} {
		var result struct{ Summary string }
		uri := "fullstory-export://" + address
		if c.read(uri, &result); strings.Count(result.Summary, "imulated data") != 1 {
			t.Errorf("%s says %s", uri, result.Summary)
		}
	}
}
