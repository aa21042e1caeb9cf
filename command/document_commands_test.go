//go:build unix

package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDocumentCommands executes the blocks of commands of the documents in order, each page in
// a home of its own, on the sandbox. CONTRIBUTING.md says how a block is marked that is not
// executed here. Without -full it executes only the README's.
func TestDocumentCommands(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	program := build(t)
	executed := 0
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md") {
		blocks, err := commandBlocks(readText(t, page))
		if err != nil {
			t.Errorf("%s: %v", page, err)
			continue
		}
		for _, b := range blocks {
			if b.executed {
				executed++
			}
			if _, err := os.Stat(filepath.Join("..", b.elsewhere)); err != nil {
				t.Errorf("%s names a file that executes a block: %v", page, err)
			}
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			if t.Parallel(); !strings.HasSuffix(page, "README.md") {
				long(t)
			}
			executePage(t, program, blocks)
		})
	}
	if executed < 10 {
		t.Errorf("only %d blocks are executed", executed)
	}
}

// commandBlock is a block of a page that has commands for a shell.
type commandBlock struct {
	text      string
	first     string // what is executed before it, and readers do not see
	executed  bool
	serves    bool   // its last command runs until it is interrupted
	elsewhere string // the file that executes it instead; "" for none
}

var (
	fencedBlock   = regexp.MustCompile("(?ms)((?:^ *<!--[^>]*-->\n)*)^( *)```([a-z]*)[^\n]*\n(.*?)^ *```$")
	blockMark     = regexp.MustCompile(`<!-- (not executed|executed by ([^ :]+)|executed before|serves): ([^>]+) -->`)
	looksLikeMark = regexp.MustCompile(`(?i)<!-- *(not )?(execut|run|serve)`)
)

// commandBlocks returns the blocks of a page that have commands, with their marks.
func commandBlocks(text string) (blocks []commandBlock, err error) {
	for _, m := range fencedBlock.FindAllStringSubmatch(text, -1) {
		if language := m[3]; language == "bash" || language == "shell" || language == "console" {
			return nil, fmt.Errorf("a block has the language %s; write sh", language)
		} else if language != "sh" {
			continue
		}
		b := commandBlock{text: regexp.MustCompile("(?m)^"+m[2]).ReplaceAllString(m[4], ""), executed: true}
		marks := blockMark.FindAllStringSubmatch(m[1], -1)
		if len(marks) != len(looksLikeMark.FindAllString(m[1], -1)) {
			return nil, fmt.Errorf("a mark cannot be read, or has no reason: %s", m[1])
		}
		for _, found := range marks {
			switch {
			case found[1] == "serves":
				b.serves = true
			case found[1] == "executed before":
				b.first = found[3]
			default:
				b.executed, b.elsewhere = false, found[2]
			}
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// executePage executes blocks one after another in a new home. A folder that a block changes
// to is that of the next one.
func executePage(t *testing.T, program string, blocks []commandBlock) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join("bin", "fullstory-export-mcp"), "fullstory-export-mcp"} {
		if err := os.Symlink(program, filepath.Join(home, path)); err != nil {
			t.Fatal(err)
		}
	}
	folder := home
	for _, b := range blocks {
		if !b.executed {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		out, err := b.execute(ctx, home, &folder)
		cancel()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, b.text, out)
		}
	}
}

// asInstalled are replacements that let a block use the program that the test has built, as
// `go build` would, and HASH of the audit log.
var asInstalled = strings.NewReplacer(
	"go build\n", "true\n",
	"go run . ", "fullstory-export-mcp ",
	"HASH", `$(fullstory-export-mcp audit --head | sed 's/.*"hash":"\([0-9a-f]*\)".*/\1/')`,
)

// execute executes a block in a shell, in folder, and sets folder to the one in which it ends.
func (b commandBlock) execute(ctx context.Context, home string, folder *string) (string, error) {
	const end = ".folder" // in home
	script := b.first + "\n" + asInstalled.Replace(b.text)
	if !b.serves {
		script += "\npwd > ~/" + end
	}
	c := exec.CommandContext(ctx, "sh", "-ec", script)
	c.Dir = *folder
	c.WaitDelay = 5 * time.Second
	c.Env = []string{
		"HOME=" + home, fmt.Sprintf("PATH=%s/bin:%s", home, os.Getenv("PATH")), "FULLSTORY_SANDBOX=1",
		"FULLSTORY_SANDBOX_OP_TIME=20ms", "FULLSTORY_SANDBOX_DENSITY=10", "FULLSTORY_SANDBOX_NOW=2026-11-25T12:00:00Z",
		"FULLSTORY_SANDBOX_RATE=1000", "FULLSTORY_SANDBOX_BURST=1000", "FULLSTORY_EXPORT_ADDR=127.0.0.1:0",
	}
	if b.serves {
		return untilInterrupted(c)
	}
	out, err := c.CombinedOutput()
	if err != nil {
		return string(out), err
	}
	raw, err := os.ReadFile(filepath.Join(home, end))
	*folder = strings.TrimSpace(string(raw))
	return string(out), err
}

// untilInterrupted starts a server, interrupts it once it has printed its address, and
// returns what it printed.
func untilInterrupted(c *exec.Cmd) (string, error) {
	c.Args[2] = "exec " + strings.TrimSpace(c.Args[2])
	stderr, err := c.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := c.Start(); err != nil {
		return "", err
	}
	var printed strings.Builder
	lines := bufio.NewScanner(stderr)
	ready := false
	for !ready && lines.Scan() {
		printed.WriteString(lines.Text() + "\n")
		ready = strings.Contains(lines.Text(), "http://127.0.0.1:")
	}
	if !ready {
		return printed.String(), errors.Join(errors.New("it printed no address"), c.Wait())
	}
	err = c.Process.Signal(os.Interrupt)
	_, _ = io.Copy(&printed, stderr)
	return printed.String(), errors.Join(err, c.Wait())
}

// TestCommandBlocks checks that marks are read, and that a wrong one is found.
func TestCommandBlocks(t *testing.T) {
	t.Parallel()
	fence := func(mark string) string { return "text\n\n" + mark + "```sh\ntrue\n```\n" }
	for text, want := range map[string]commandBlock{
		fence(""): {executed: true},
		fence("<!-- not executed: needs Docker -->\n"):     {},
		fence("<!-- executed by .ci/run: in a step -->\n"): {elsewhere: ".ci/run"},
		fence("<!-- serves: a server -->\n"):               {executed: true, serves: true},
		fence("<!-- executed before: true -->\n"):          {executed: true, first: "true"},
		"- x\n\n  ```sh\n  true\n  ```\n":                  {executed: true},
	} {
		want.text = "true\n"
		if got, err := commandBlocks(text); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%q has the blocks %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		fence("<!-- not executed -->\n"), fence("<!-- not run: needs Docker -->\n"), "```bash\ntrue\n```\n",
	} {
		if got, err := commandBlocks(text); err == nil {
			t.Errorf("%q has the blocks %+v, want an error", text, got)
		}
	}
}
