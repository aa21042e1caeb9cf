//go:build unix

package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentCommands executes the blocks of the documents that have only commands of the
// program which end: in one home, on the sandbox.
func TestDocumentCommands(t *testing.T) {
	t.Parallel()
	program := build(t)
	executed := 0
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join("bin", "fullstory-export-mcp"), "fullstory-export-mcp"} {
		if err := os.Symlink(program, filepath.Join(home, path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, page := range []string{"../README.md", "../docs/bulk-exports.md", "../docs/audit.md", "../docs/commands.md"} {
		for _, block := range commandBlocks(readText(t, page)) {
			out, err := executeBlock(t.Context(), home, block)
			if err != nil {
				t.Errorf("a block of %s: %v\n%s\n%s", page, err, block, out)
			}
			executed++
		}
	}
	if executed < 4 {
		t.Errorf("only %d blocks were executed", executed)
	}
}

// commandBlocks returns the blocks of a page that can be executed.
func commandBlocks(text string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		lines := strings.Split(strings.TrimSpace(m[1]), "\n")
		lines = slices.DeleteFunc(lines, func(l string) bool { return l == "go build" }) // was done
		ends := !slices.ContainsFunc(lines, func(l string) bool {
			command, ours := strings.CutPrefix(strings.TrimPrefix(l, "./"), "fullstory-export-mcp ")
			return !ours || regexp.MustCompile(`^(serve|sandbox)\b|postgres://|\\$|&$`).MatchString(command)
		})
		if len(lines) > 0 && ends {
			blocks = append(blocks, strings.Join(lines, "\n"))
		}
	}
	return blocks
}

// executeBlock executes a block in a shell. HASH in it is that of the audit log.
func executeBlock(ctx context.Context, home, block string) (string, error) {
	const hash = `$(fullstory-export-mcp audit --head | sed 's/.*"hash":"\([0-9a-f]*\)".*/\1/')`
	c := exec.CommandContext(ctx, "sh", "-ec", strings.ReplaceAll(block, "HASH", hash))
	c.Dir = home
	c.Env = []string{
		"HOME=" + home, fmt.Sprintf("PATH=%s/bin:%s", home, os.Getenv("PATH")), "FULLSTORY_SANDBOX=1",
		"FULLSTORY_SANDBOX_OP_TIME=20ms", "FULLSTORY_SANDBOX_DENSITY=10", "FULLSTORY_SANDBOX_NOW=2026-11-25T12:00:00Z",
		"FULLSTORY_SANDBOX_RATE=1000", "FULLSTORY_SANDBOX_BURST=1000",
	}
	out, err := c.CombinedOutput()
	return string(out), err
}
