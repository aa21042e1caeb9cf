package command

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
)

// hostileMark has what must not reach a terminal: an escape sequence, a change of the
// direction of text, invisible characters, a line end and bytes that are no UTF-8.
const hostileMark = "m\x1b[31m\x07\u202e\u2066\u200b\ufeff\u00a0\U000e0041\u009b\xff\r\nINJECTED"

// unclean returns the first character of an output that a terminal must not get; "" if
// there is none.
func unclean(output string) string {
	for i, r := range output {
		if r != '\n' && !local.IsVisible(r) || r == utf8.RuneError && output[i] != "\ufffd"[0] {
			return output[max(0, i-60):min(len(output), i+20)]
		}
	}
	if strings.Contains(output, "\nINJECTED") {
		return "a line of its own"
	}
	return ""
}

// hostileArguments returns command lines that have the mark as each argument and as the
// value of each flag of each command.
func hostileArguments(t *testing.T) (lines [][]string) {
	t.Helper()
	var c commands
	parser, err := newParser(&c, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	required := map[string][]string{
		"run": {"--segment=everyone", "--from=2026-10-01"}, "verify": {t.TempDir()}, "token": {"anna"},
	}
	var visit func(node *kong.Node, path []string)
	visit = func(node *kong.Node, path []string) {
		for _, flag := range node.Flags {
			if flag.Name == "help" || flag.IsBool() {
				continue
			}
			value := hostileMark
			if flag.Name == "dir" || strings.HasSuffix(flag.Name, "state") { // folders that commands create
				value = filepath.Join(t.TempDir(), hostileMark)
			}
			args := append(slices.Clone(path), "--"+flag.Name+"="+value)
			lines = append(lines, append(args, required[node.Name]...))
		}
		lines = append(lines, append(slices.Clone(path), "--"+hostileMark), append(slices.Clone(path), hostileMark))
		for _, child := range node.Children {
			visit(child, append(slices.Clone(path), child.Name))
		}
	}
	visit(parser.Model.Node, nil)
	return append(lines,
		[]string{"audit", "--account=../emea"}, []string{"audit", "--dir=" + hostileMark, "--account=emea"},
		[]string{"migrate", "--database=/nowhere/" + hostileMark, "--grant-to=" + hostileMark},
		[]string{"migrate", "--database=postgres://127.0.0.1:1/" + hostileMark, "--grant-to=" + hostileMark},
		[]string{"verify", t.TempDir(), hostileMark},
		[]string{"serve", "token", hostileMark, "--callers=" + filepath.Join(t.TempDir(), "callers")},
		[]string{"serve", "token", "anna", "--callers=" + filepath.Join(t.TempDir(), "c\u202e\x1b")})
}

// TestHostileArguments looks at all that commands print when an argument, a flag or a
// variable has the mark. Each ends at once or is stopped.
func TestHostileArguments(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, args []string, getenv func(string) string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var stdout, stderr buffer
		_ = Run(ctx, args, getenv, strings.NewReader(""), &stdout, &stderr)
		for name, output := range map[string]string{"stdout": stdout.String(), "stderr": stderr.String()} {
			if found := unclean(output); found != "" {
				t.Errorf("%q prints %q on %s", args, found, name)
			}
			if len(output) > 20_000 {
				t.Errorf("%q prints %d bytes on %s", args, len(output), name)
			}
		}
	}
	t.Cleanup(func() { // after the cases, which run at the same time
		if left, err := filepath.Glob("*INJECTED*"); err != nil || len(left) > 0 {
			t.Errorf("commands left %q in the folder of the tests, %v", left, err)
		}
	})
	home := t.TempDir()
	none := func(name string) string {
		if name == "HOME" {
			return home
		}
		return ""
	}
	lines := hostileArguments(t)
	for _, args := range lines {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			run(t, args, none)
		})
	}
	if len(lines) < 100 {
		t.Errorf("only %d command lines", len(lines))
	}
	for _, command := range []string{"doctor", "audit", "migrate", "version"} {
		run(t, []string{command}, func(name string) string {
			if name == "FULLSTORY_EXPORT_DIR" || name == "FULLSTORY_API_KEY_FILE" {
				return filepath.Join(home, hostileMark)
			}
			return none(name)
		})
	}
}

// TestAuditOfOtherFolders asks for the ledger of a folder beside that of the exports.
func TestAuditOfOtherFolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	other := filepath.Join(root, "other")
	l, err := ledger.Open(t.Context(), filepath.Join(other, ".state", "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, account := range []string{"../other", "/other", "a/../../other", "..", ".", "other/", "Other", "a b", "file"} {
		var stdout, stderr buffer
		args := []string{"audit", "--dir", filepath.Join(root, "own"), "--account", account}
		err := Run(t.Context(), args, func(string) string { return "" }, nil, &stdout, &stderr)
		if Status(err) != statusUsage || !strings.Contains(stderr.String(), "the name of the account") {
			t.Errorf("%s: %v", account, err)
		}
	}
}
