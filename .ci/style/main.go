// Command style checks what gofmt and staticcheck leave to taste: the length of
// lines, functions and files, and words that this project has agreed not to
// use. It reads the folder given as its argument, prints one line per finding,
// and exits with 1 if there are any.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	longestLine     = 120 // characters; a tab counts as one
	longestFunction = 60  // lines, without those of tests
	longestFile     = 400 // lines, without those of tests
)

// markers are words of a dialect that made this project hard to read. Each one
// has a plainer word, see CONTRIBUTING.md.
var markers = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`tells? of`, `came of`, `comes of`, `takes in that`, `goes on\b(?: with| until| from|[.,;:]|$)`, `is no error`,
	`(?:a person|somebody) (?:has|have) to`, `is told`, `are told`, `mended`, `spoilt`, `refus(?:e|es|ed|al|als|ing)`,
	`hindered`, `troubled`, `holds? up`, `held up`, `linger(?:s|ed|ing)?`, `rhythms?`, `whoever`, `stands for`,
	`for ever\b`, `by now\b`, `what is none`, `that is none`,
}, "|") + `)`)

// tagged matches a line that ends in the tag of a field, which Go cannot break.
var tagged = regexp.MustCompile("`[a-z_]+:\".*`( //.*)?$")

// quoted are the words of others: of systems, and of the sandbox's statistics, whose
// names are a contract.
var quoted = regexp.MustCompile(`ECONNREFUSED|[Cc]onnection refused|refused_stream|refused_429`)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: style FOLDER")
		os.Exit(2)
	}
	findings, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		os.Exit(1)
	}
}

// check returns the findings of all Go and Markdown files in a folder.
func check(folder string) (findings []string, err error) {
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped[d.Name()]:
			return fs.SkipDir
		case d.IsDir(), path.Ext(name) != ".go" && path.Ext(name) != ".md":
			return nil
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		findings = append(findings, checkLines(name, string(content))...)
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		long, err := checkLengths(name, content)
		findings = append(findings, long...)
		return err
	})
	return findings, err
}

// skipped are folders with the files of others, and this one, which names the words
// that it looks for.
var skipped = map[string]bool{".git": true, "node_modules": true, "style": true}

// checkLines looks at one line after another. Markdown may have long lines.
func checkLines(name, content string) (findings []string) {
	n := 0
	for line := range strings.Lines(content) {
		n++
		line = strings.TrimRight(line, "\n")
		length := utf8.RuneCountInString(line)
		if length > longestLine && path.Ext(name) == ".go" && !tagged.MatchString(line) {
			findings = append(findings, fmt.Sprintf("%s:%d: %d characters, at most %d", name, n, length, longestLine))
		}
		for _, found := range markers.FindAllString(quoted.ReplaceAllString(line, ""), -1) {
			findings = append(findings, fmt.Sprintf("%s:%d: %q: use a plainer word", name, n, found))
		}
	}
	return findings
}

// checkLengths measures a file and its functions.
func checkLengths(name string, content []byte) (findings []string, err error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, content, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(content), "\n"); n > longestFile {
		findings = append(findings, fmt.Sprintf("%s: %d lines, at most %d", name, n, longestFile))
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from, to := files.Position(f.Pos()), files.Position(f.End())
		if n := to.Line - from.Line + 1; n > longestFunction {
			findings = append(findings, fmt.Sprintf("%s:%d: %s has %d lines, at most %d",
				name, from.Line, f.Name.Name, n, longestFunction))
		}
	}
	return findings, nil
}
