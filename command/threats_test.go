package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// leastAttacks is the number of attacks that docs/attacks.md has at least.
const leastAttacks = 250

// named matches the name of a test in a document, such as `download.TestOddHosts`.
var named = regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")

// sources are the Go files of packages, by folder, as one text each.
type sources map[string]string

// of returns the text of a package.
func (s sources) of(t *testing.T, folder string) string {
	t.Helper()
	if s[folder] == "" {
		files, err := filepath.Glob("../" + folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("there is no package %s: %v", folder, err)
		}
		var all strings.Builder
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(raw)
		}
		s[folder] = all.String()
	}
	return s[folder]
}

// check fails the test unless a package has a test, with a case if one is given.
func (s sources) check(t *testing.T, where, folder, test, name string) {
	t.Helper()
	text := s.of(t, folder)
	if !strings.Contains(text, "\nfunc "+test+"(") {
		t.Errorf("%s: there is no %s in %s", where, test, folder)
	}
	if name != "" && !strings.Contains(text, strconv.Quote(name)) && !strings.Contains(text, "`"+name+"`") {
		t.Errorf("%s: %s of %s has no case %q", where, test, folder, name)
	}
}

// cellsOf returns the cells of a line of a document that is the row of a table.
func cellsOf(line string) (cells []string) {
	line, ok := strings.CutPrefix(strings.TrimSpace(line), "| ")
	if !ok {
		return nil
	}
	const escaped = "\x00" // in place of a bar that is part of a cell
	line = strings.ReplaceAll(strings.TrimSuffix(line, " |"), `\|`, escaped)
	for _, cell := range strings.Split(line, " | ") {
		cells = append(cells, strings.ReplaceAll(cell, escaped, "|"))
	}
	return cells
}

// TestThreats checks that each promise of docs/threats.md names tests that exist.
func TestThreats(t *testing.T) {
	raw, err := os.ReadFile("../docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	promises, s := 0, sources{}
	_, promised, _ := strings.Cut(string(raw), "\n## What is promised\n")
	promised, _, found := strings.Cut(promised, "\n## What is not promised\n")
	if !found {
		t.Fatal("docs/threats.md does not say what is promised and what is not")
	}
	for line := range strings.Lines(promised) {
		cells := cellsOf(line)
		if len(cells) != 2 || cells[0] == "promise" {
			continue
		}
		promises++
		tests := named.FindAllStringSubmatch(cells[1], -1)
		if len(tests) == 0 {
			t.Errorf("no test shows that %s", cells[0])
		}
		for _, m := range tests {
			s.check(t, cells[0], m[1], m[2], "")
		}
	}
	if promises < 20 {
		t.Errorf("only %d promises were found", promises)
	}
}

// TestAttacks checks that the tests and cases of docs/attacks.md exist, that none is
// listed twice, and that each says what happened when it was first tried.
func TestAttacks(t *testing.T) {
	raw, err := os.ReadFile("../docs/attacks.md")
	if err != nil {
		t.Fatal(err)
	}
	s, listed, before := sources{}, map[string]bool{}, map[string]int{}
	var folder, test string // of the table that the line is in
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			folder, test = "", ""
			if m := named.FindStringSubmatch(line); m != nil {
				folder, test = m[1], m[2]
			}
		}
		cells := cellsOf(line)
		if len(cells) < 2 || cells[len(cells)-1] == "before" {
			continue
		}
		name, outcome := cells[0], cells[len(cells)-1]
		switch m := named.FindStringSubmatch(cells[1]); {
		case len(cells) == 3 && m != nil:
			s.check(t, name, m[1], m[2], "")
		case len(cells) == 2 && test != "":
			s.check(t, name, folder, test, name)
		default:
			t.Errorf("%s does not name its test", strings.TrimSpace(line))
		}
		if id := test + ": " + name; listed[id] {
			t.Errorf("%s is listed twice", id)
		} else {
			listed[id] = true
		}
		before[outcome]++
	}
	if before["held"]+before["failed"] < leastAttacks || len(before) != 3 || before["untried"] == 0 {
		t.Errorf("the outcomes are %v, want at least %d attacks that held or failed, and untried ones", before, leastAttacks)
	}
	t.Logf("%d attacks: %v", len(listed), before)
}
