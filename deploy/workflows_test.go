// Package deploy_test checks the files of this folder, and the workflows. Package command
// compares the dashboard with the metrics of the program.
package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWorkflows checks that workflows name what they run by commit, which cannot be moved
// as a tag can, and that they may only read.
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
		if !strings.Contains(text, "\npermissions:\n  contents: read\n") || strings.Contains(text, ": write") {
			t.Errorf("%s may write", file)
		}
		for line := range strings.Lines(text) {
			if _, used, ok := strings.Cut(strings.TrimSpace(line), "uses: "); ok && !commit.MatchString(used) {
				t.Errorf("%s uses %s, without a commit", file, used)
			}
		}
	}
}
