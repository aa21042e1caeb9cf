package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestArchitecture checks docs/architecture.md and CONTRIBUTING.md against the tree:
// the map has every folder with Go code, and every file and folder they name exists.
func TestArchitecture(t *testing.T) {
	const top = ".."
	text := ""
	for _, name := range []string{"docs/architecture.md", "CONTRIBUTING.md"} {
		raw, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		text += string(raw)
	}
	files, err := filepath.Glob(filepath.Join(top, "*", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if folder := filepath.Base(filepath.Dir(file)); !strings.Contains(text, "`"+folder+"/`") {
			t.Errorf("the map lacks %s/", folder)
		}
	}
	named := regexp.MustCompile("`([a-z.]+/[a-z_/]*(?:\\.go|\\.md|\\.json)?)`").FindAllStringSubmatch(text, -1)
	if len(named) < 30 {
		t.Errorf("only %d files and folders are named", len(named))
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join(top, m[1])); err != nil {
			t.Errorf("%s is named, but does not exist", m[1])
		}
	}
}
