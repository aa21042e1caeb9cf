//go:build unix

package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inForm returns the answers to tools/list, check_connection and list_segments of a program that
// the host of a bundle starts: its environment has what the form fills in, and a new home.
func inForm(t *testing.T, filled map[string]string) string {
	t.Helper()
	home := t.TempDir()
	env := []string{"FULLSTORY_EXPORT_BUNDLE=true", "FULLSTORY_EXPORT_NO_KEYCHAIN=true", "HOME=" + home}
	for name, value := range filled {
		env = append(env, name+"="+value)
	}
	h := startHost(t, nil, env)
	h.server.Dir = "/"
	io.WriteString(h.in, hello+list+"\n"+
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"check_connection","arguments":{}}}`+"\n"+
		`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"list_segments","arguments":{}}}`+"\n")
	answers := h.next() + h.next() + h.next() + h.next()
	h.end()
	return strings.ReplaceAll(answers, home, "HOME")
}

// TestFormOfBundle has what hosts make of the form of a bundle: values, empty fields, fields that
// are left as placeholders, and what String(x) makes of a missing value in JavaScript.
func TestFormOfBundle(t *testing.T) {
	t.Parallel()
	const (
		simulated = "Connected to the built-in sandbox"
		noKey     = `No Fullstory API key is set. Ask the user to enter a key of the Architect role`
		writes    = `"start_bulk_export"`
	)
	for _, test := range []struct {
		name   string
		filled map[string]string
		want   []string
		not    string
	}{
		{"nothing filled in", map[string]string{
			"FULLSTORY_API_KEY": "${user_config.api_key}", "FULLSTORY_SANDBOX": "${user_config.sandbox}",
			"FULLSTORY_EXPORT_TIMEZONE": "${user_config.timezone}", "FULLSTORY_EXPORT_READ_ONLY": "${user_config.read_only}",
		}, []string{noKey, writes, `turn on \"Try without a key\"`, " login` in a terminal"}, "--sandbox"},
		{"empty fields", map[string]string{
			"FULLSTORY_API_KEY": "", "FULLSTORY_SANDBOX": "", "FULLSTORY_EXPORT_TIMEZONE": "", "FULLSTORY_EXPORT_READ_ONLY": "",
		}, []string{noKey, writes}, simulated},
		{"undefined", map[string]string{
			"FULLSTORY_API_KEY": "undefined", "FULLSTORY_SANDBOX": "undefined", "FULLSTORY_EXPORT_TIMEZONE": "undefined",
			"FULLSTORY_EXPORT_READ_ONLY": "undefined",
		}, []string{noKey, writes}, simulated},
		{"null", map[string]string{
			"FULLSTORY_API_KEY": "null", "FULLSTORY_SANDBOX": "null", "FULLSTORY_EXPORT_TIMEZONE": "null",
			"FULLSTORY_EXPORT_READ_ONLY": "null",
		}, []string{noKey, writes}, simulated},
		{"a text that cannot be a key", map[string]string{"FULLSTORY_API_KEY": "two\nlines"},
			[]string{"the settings of this extension: ", writes}, "FULLSTORY_API_KEY"},
		{"switches off", map[string]string{"FULLSTORY_SANDBOX": "false", "FULLSTORY_EXPORT_READ_ONLY": "false"},
			[]string{noKey, writes}, simulated},
		{"sandbox", map[string]string{"FULLSTORY_SANDBOX": "true", "FULLSTORY_API_KEY": "${user_config.api_key}"},
			[]string{simulated, writes}, noKey},
		{"a folder whose default was not filled in", map[string]string{
			"FULLSTORY_SANDBOX": "true", "FULLSTORY_EXPORT_DIR": "${HOME}/fullstory-exports",
		}, []string{simulated, `"export_dir":"HOME/fullstory-exports"`}, noKey},
		{"read-only", map[string]string{"FULLSTORY_SANDBOX": "true", "FULLSTORY_EXPORT_READ_ONLY": "true"},
			[]string{simulated}, writes},
		{"a time zone that does not exist", map[string]string{
			"FULLSTORY_SANDBOX": "true", "FULLSTORY_EXPORT_TIMEZONE": "Berlin",
		}, []string{"did you mean Europe/Berlin?", "Ask the user to correct the configuration", writes}, simulated},
		{"a folder that cannot be made", map[string]string{
			"FULLSTORY_SANDBOX": "true", "FULLSTORY_EXPORT_DIR": "/dev/null/x",
		}, []string{"the folder /dev/null/x cannot be used", writes}, simulated},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.filled["FULLSTORY_EXPORT_DIR"] == "" {
				test.filled["FULLSTORY_EXPORT_DIR"] = filepath.Join(t.TempDir(), "made", "when it is needed")
			}
			answers := inForm(t, test.filled)
			for _, text := range test.want {
				if !strings.Contains(answers, text) {
					t.Errorf("%q is missing in %s", text, answers)
				}
			}
			if strings.Contains(answers, test.not) {
				t.Errorf("%q is in %s", test.not, answers)
			}
		})
	}
}

// TestOwnerOfReleases compares where `version --check` asks with what is published.
func TestOwnerOfReleases(t *testing.T) {
	published, err := os.ReadFile("../packaging/release.env")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(releases, "/repos/")
	owner, _, _ := strings.Cut(rest, "/")
	for _, line := range []string{"OWNER=" + owner, "SERVER_NAME=io.github." + owner + "/fullstory-export-mcp"} {
		if !strings.Contains(string(published), "\n"+line+"\n") {
			t.Errorf("packaging/release.env has no line %s", line)
		}
	}
}
