package command

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/hosts"
)

// TestDoctorConfig prints configurations for flags and variables that are set. No secret is
// among them.
func TestDoctorConfig(t *testing.T) {
	env := map[string]string{
		"FULLSTORY_API_KEY": "na1.secret", "FULLSTORY_EXPORT_TIMEZONE": "Europe/Berlin", "UNRELATED": "x",
		"FULLSTORY_EXPORT_DATABASE": "postgres://exports:secret@db/exports",
	}
	for _, name := range hostNames() {
		var out, errs bytes.Buffer
		args := []string{"doctor", "config", name, "--dir", "/a b/$x", "--read-only", "--mirror=s3://bucket/x"}
		err := Run(t.Context(), args, func(name string) string { return env[name] }, nil, &out, &errs)
		text := out.String()
		if err != nil || strings.Contains(text, "secret") || strings.Contains(text, "UNRELATED") ||
			strings.Contains(text, "go-build") {
			t.Errorf("%s: %v, %s", name, err, text)
		}
		wants := []string{
			"--dir=/a b/$x", "--read-only", "--mirror=s3://bucket/x", "Europe/Berlin", "postgres://exports:xxxxx@db",
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
		if h, _ := hosts.ByID(name); name != "claude-code" && h.Language() == "json" && !json.Valid(out.Bytes()) {
			t.Errorf("%s is not JSON: %s", name, text)
		}
	}
}

// TestAfterDemo checks that the end of the demo names commands that work where they are typed.
func TestAfterDemo(t *testing.T) {
	for program, want := range map[string][]string{
		"fullstory-export-mcp": {
			"  cd /tmp/d\n", " describe one\n", "  fullstory-export-mcp install claude-desktop --sandbox\n",
		},
		goRun: {
			"  go run . describe /tmp/d/one\n",
			"  go build && ./fullstory-export-mcp install claude-desktop --sandbox\n",
		},
	} {
		for _, text := range want {
			if got := afterDemo(program, filepath.FromSlash("/tmp/d/one")); !strings.Contains(got, text) {
				t.Errorf("after the demo of %s there is no %q:\n%s", program, text, got)
			}
		}
	}
}

// TestDemoIsApart runs the demo of someone with a database and a mirror: it uses neither.
func TestDemoIsApart(t *testing.T) {
	a := &app{config: &config{Dir: "~/fullstory-exports", Database: "postgres://x", Mirror: "s3://x"}}
	t.Setenv("TMPDIR", t.TempDir())
	if err := a.inOwnFolder(); err != nil {
		t.Fatal(err)
	}
	if a.config.Database+a.config.Mirror != "" || !strings.Contains(a.config.Dir, "fullstory-export-demo-") {
		t.Errorf("the demo uses %+v", a.config)
	}
	a = &app{config: &config{Dir: "/x"}, flags: []string{"--dir=/x"}}
	if err := a.inOwnFolder(); err != nil || a.config.Dir != "/x" {
		t.Errorf("with --dir the demo uses %s, %v", a.config.Dir, err)
	}
}
