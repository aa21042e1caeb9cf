// Package deploy_test checks the files of this folder, and the workflows. Package command
// compares the dashboard with the metrics of the program.
package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// writes are what a workflow may write. None may write by default, and what is run from a push or
// a pull request may write nothing.
var writes = map[string][]string{
	"release.yml": {"attestations", "contents", "id-token", "packages"},
}

// mayWrite matches a permission to write.
var mayWrite = regexp.MustCompile(`(?m)^ *([a-z-]+): write\b`)

// TestWorkflows checks that workflows name what they run by commit, which cannot be moved
// as a tag can, and that they may write only what they must.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no workflows: %v", err)
	}
	commit := regexp.MustCompile(`^[A-Za-z0-9_/-]+@[0-9a-f]{40} # v[0-9.]+$`)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		var granted []string
		for _, permission := range mayWrite.FindAllStringSubmatch(text, -1) {
			granted = append(granted, permission[1])
		}
		if !strings.Contains(text, "\npermissions:\n  contents: read\n") ||
			!slices.Equal(granted, writes[filepath.Base(file)]) {
			t.Errorf("%s may write %q", file, granted)
		}
		if len(granted) > 0 && !strings.Contains(text, "\non:\n  push:\n    tags: [\"v*\"]\n\n") {
			t.Errorf("%s is run by more than a tag", file)
		}
		for line := range strings.Lines(text) {
			if _, used, ok := strings.Cut(strings.TrimSpace(line), "uses: "); ok && !commit.MatchString(used) {
				t.Errorf("%s uses %s, without a commit", file, used)
			}
		}
	}
}
