package command

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/charmbracelet/x/ansi"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// TestWordsOfFlags reads what people write for types, scopes and formats.
func TestWordsOfFlags(t *testing.T) {
	for text, want := range map[string]client.Type{
		"events": client.TypeEvent, "Event": client.TypeEvent, "TYPE_EVENT": client.TypeEvent, "event": client.TypeEvent,
		"individuals": client.TypeIndividual, "People": client.TypeIndividual, "type_individual": client.TypeIndividual,
		"user": client.TypeIndividual, "sessions": client.TypeSessions, "TYPE_PAGES": client.TypePages,
		"page": client.TypePages, " events ": client.TypeEvent,
	} {
		if got, err := chosen("type", "TYPE_", text, types); got != want || err != nil {
			t.Errorf("--type %q is %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]client.Format{
		"ndjson": client.FormatNDJSON, "NDJSON": client.FormatNDJSON, "jsonl": client.FormatNDJSON, "csv": client.FormatCSV,
		"FORMAT_JSON": client.FormatJSON, "": "",
	} {
		if got, err := chosen("format", "FORMAT_", text, formats); got != want || err != nil {
			t.Errorf("--format %q is %q, %v; want %q", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"evnts": `--type: got "evnts", did you mean "events"?`, "parquet": `--type: got "parquet"; valid are events, `,
		"TYPE_EVENTT": `did you mean "events"?`,
	} {
		if got, err := chosen("type", "TYPE_", text, types); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--type %q is %q, %v; want an error with %q", text, got, err, says)
		}
	}
}

// TestWordsOfChunks reads lengths as people write them. Each must be one that a plan takes,
// or is rejected there.
func TestWordsOfChunks(t *testing.T) {
	for text, want := range map[string]string{
		"1d": "day", "daily": "day", "24h": "PT24H", "day": "day", "Days": "day", "6h": "PT6H", "hourly": "hour",
		"1 hour": "hour",
		"90m":    "PT90M", "30min": "PT30M", "1w": "week", "weekly": "week", "2 weeks": "P2W", "7d": "P7D",
		"monthly": "month", "1mo": "month",
		"1 month": "month", "3 months": "quarter", "quarterly": "quarter", "PT6H": "PT6H", "": "",
	} {
		got := chunkOf(text)
		_, err := plan.ParseGranularity(got)
		if got != want || err != nil && text != "" {
			t.Errorf("--chunk %q is %q, %v; want %q", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"2 months": "month", "year": "valid are", "6hh": "valid are", "d1": "valid are",
	} {
		if _, err := plan.ParseGranularity(chunkOf(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--chunk %q: %v, want an error with %q", text, err, says)
		}
	}
}

// printed executes a command line without an environment.
func printed(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	err := Run(context.Background(), args, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
	return Status(err), out.String(), errs.String()
}

// TestHelp reads the help of every command: it fits 80 columns, and names no flag that the
// command ignores.
func TestHelp(t *testing.T) {
	var c commands
	parser, err := newParser(&c, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	_, all, _ := printed("--help")
	if !strings.Contains(all, "2 wrong usage") || !strings.Contains(all, "4 blocked") {
		t.Errorf("the help does not have the exit statuses:\n%s", all)
	}
	for _, node := range parser.Model.Children {
		_, help, _ := printed("help", node.Name)
		if _, other, _ := printed(node.Name, "--help"); help != other || !strings.HasPrefix(help, "Usage: ") {
			t.Errorf("help %s prints\n%sand --help\n%s", node.Name, help, other)
		}
		if !node.Hidden && !strings.Contains(all, "\n  "+node.Name+" ") {
			t.Errorf("the help does not list %s:\n%s", node.Name, all)
		}
		serves := node.Name == "stdio" || node.Name == "serve" || node.Name == "install" // a server that is started later
		if strings.Contains(help, "--sandbox-") != serves {
			t.Errorf("help %s has flags of the sandbox: %v", node.Name, !serves)
		}
		for line := range strings.Lines(help) {
			if ansi.StringWidth(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("help %s has a line of over 80 columns: %s", node.Name, line)
			}
		}
		checkUsed(t, node, parser.Model.Node)
	}
}

// checkUsed fails if the help of a command names a flag that does not exist.
func checkUsed(t *testing.T, node, root *kong.Node) {
	t.Helper()
	for _, name := range usedFlags[node.Name] {
		found := name == anySandboxFlag
		for _, flag := range root.Flags {
			found = found || flag.Name == name
		}
		if !found {
			t.Errorf("the help of %s uses the flag %s, which does not exist", node.Name, name)
		}
	}
}

// TestMisspelt has commands and flags with errors of typing.
func TestMisspelt(t *testing.T) {
	for args, says := range map[string]string{
		"rnu":            `unknown command rnu, did you mean "run"?`,
		"verfy /tmp":     `did you mean "verify"?`,
		"Status x":       `did you mean "status"?`,
		"frobnicate":     "fullstory-export-mcp help lists the commands",
		"help lst":       `did you mean "list"?`,
		"run --segmnt x": `did you mean "--segment"?`,
		"plan --segment x --from 2026-09 --type evnts": `--type: got "evnts", did you mean "events"?`,
		"status":         "NAME is missing",
		"verify":         "FOLDER is missing",
		"list --limit x": "--limit: got \"x\"; give a whole number",
		"plan --segment x --from 2026-09 --name a/b":  "it cannot be a path",
		`plan --segment x --from 2026-09 --name ..\b`: "it cannot be a path",
		"list --sandbox --dir /proc/none":             "cannot be used (/proc/none: no such file or directory)",
		"audit --since yesterdy --dir /proc/none":     "--since: got \"yesterdy\": not understood",
		"list --state done":                           "--state: got \"done\"; give running, ",
	} {
		status, _, stderr := printed(strings.Fields(args)...)
		want := 2
		if strings.HasPrefix(args, "list --sandbox --dir") {
			want = 1
		}
		if status != want || !strings.Contains(stderr, says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, want %d and a line with %q:\n%s", args, status, want, says, stderr)
		}
	}
}

// TestView lays out text for a terminal of 30 columns, and for a pipe.
func TestView(t *testing.T) {
	for _, test := range []struct{ color, noColor, want string }{
		{"auto", "", "✓ "}, {"always", "1", "\x1b[32m✓\x1b[m "}, {"never", "", "✓ "},
	} {
		var out bytes.Buffer
		env := &environment{lookup: func(string) string { return test.noColor }}
		a := &app{environment: env, config: &config{Color: test.color}}
		v := a.newView(&out)
		v.good("a\x1b[2Jb")
		if got := out.String(); !strings.HasPrefix(got, test.want) || strings.Contains(got, "\x1b[2J") {
			t.Errorf("--color %s: %q, want %q first", test.color, got, test.want)
		}
		out.Reset()
		if v.line(strings.Repeat("word ", 40)); strings.Count(out.String(), "\n") != 1 {
			t.Errorf("a pipe gets wrapped lines: %q", out.String())
		}
		v.width = 30
		out.Reset()
		v.good(strings.Repeat("word ", 12) + "and --a-flag-of-some-words-that-is-long")
		v.table([]string{"NAME", "SEGMENT"}, [][]string{{"a\x1b[2Jb", strings.Repeat("shoppers ", 8)}})
		for line := range strings.Lines(out.String()) {
			line = ansi.Strip(strings.TrimSuffix(line, "\n"))
			whole := strings.Contains(line, "--a-flag-of-some-words-that-is-long")
			if ansi.StringWidth(line) > 30 && !whole || strings.Contains(line, "flag") && !whole ||
				strings.HasSuffix(line, " ") || strings.HasSuffix(line, "wor") {
				t.Errorf("a line of 30 columns is %q", line)
			}
		}
		if strings.Contains(out.String(), "\x1b[2J") {
			t.Errorf("a table has a control sequence: %q", out.String())
		}
	}
}

// TestFieldsAreChecked starts nothing with a column that is not documented, unless that is
// confirmed.
func TestFieldsAreChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(more ...string) (int, string) {
		args := []string{"run", "--sandbox", "--sandbox-op-time", "20ms", "--sandbox-now", "2026-11-25T12:00:00Z",
			"--dir", dir, "--segment", "everyone", "--from", "2026-09-01", "--to", "2026-09-01T01:00:00Z", "--name", "hour"}
		status, _, stderr := printed(append(args, more...)...)
		return status, stderr
	}
	if status, errs := run("--fields", "EventStart,EventTpye"); status != 2 || !strings.Contains(errs, "--fields: ") ||
		!strings.Contains(errs, "EventType") || strings.Count(errs, "\n") != 1 {
		t.Errorf("a misspelt column: %d, %s", status, errs)
	}
	if status, errs := run("--fields", "EventStart,evt_anything_str"); status != 0 {
		t.Errorf("a custom variable: %d, %s", status, errs)
	}
}
