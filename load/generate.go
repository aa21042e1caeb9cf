package load

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/destination"
)

const (
	// Folder is the folder for the statements, inside that of the Parquet files.
	Folder = "load"
	// windowColumn says of which window a row is.
	windowColumn = destination.WindowColumn
	// The placeholders of a template for one window: its name, and the path of its file below
	// the folder of Parquet files.
	windowMark = "{{window}}"
	pathMark   = "{{path}}"
)

// Options say what the statements are for.
type Options struct {
	// Table is the name of the table, without a schema: letters, digits and _, at most 50.
	Table string
	// Version is that of the program, for the heads of the files.
	Version string
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,49}$`)

// ErrTable is the error of a name that the table cannot have.
var ErrTable = errors.New("the name of a table for load statements has letters, digits and _ alone, at most 50")

// TableName returns the name of the table for an export of a name: in lower case, with _ in place
// of what Options.Table cannot have.
func TableName(export string) string {
	name := []byte(strings.ToLower(export))
	for i, b := range name {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			name[i] = '_'
		}
	}
	if len(name) == 0 || name[0] >= '0' && name[0] <= '9' {
		name = append([]byte("_"), name...)
	}
	return string(name[:min(len(name), 50)])
}

// Engines returns the names of the databases, in order.
func Engines() (names []string) {
	for _, e := range engines() {
		names = append(names, e.name)
	}
	return names
}

// Generate returns the statements: texts by the names of their files, such as
// duckdb-window.sql. Databases that read Parquet by the position of its columns have one file
// for windows for each group, the second one <engine>-window-2.sql.
func Generate(d Description, o Options) (map[string]string, error) {
	if !tableName.MatchString(o.Table) {
		return nil, ErrTable
	}
	files := map[string]string{}
	for _, e := range engines() {
		s := newScript(e, d, o)
		files[e.name+"-create.sql"] = s.text("makes the table, and adds the columns that it lacks. Run it first.", e.create)
		files[e.name+"-everything.sql"] = s.text(
			"makes the table have the rows of all files and no others. It can be run again at any time.", e.everything)
		for i, g := range s.groups() {
			name := e.name + "-window.sql"
			if i > 0 {
				name = fmt.Sprintf("%s-window-%d.sql", e.name, i+1)
			}
			what := "replaces the rows of one window by those of its file. It can be run again at any time."
			if len(s.groups()) > 1 {
				what += fmt.Sprintf(" It is for the %d files that have %d columns, such as %s.", len(g.Files), len(g.Columns),
					windowOf(g.Files[0]))
			}
			files[name] = s.text(what, func(s *script) {
				s.note("Replace " + windowMark + " by the name of the window and " + pathMark +
					" by the path of its file, such as " + windowOf(g.Files[0]) + " and " + g.Files[0] + ".")
				e.window(s, g, windowMark, pathMark)
			})
		}
	}
	return files, nil
}

// Window returns the statements that replace the window of a file, for an engine of Engines.
// file is a path of the description.
func Window(d Description, o Options, engine, file string) (string, error) {
	if !tableName.MatchString(o.Table) {
		return "", ErrTable
	}
	for _, e := range engines() {
		for _, g := range d.Groups {
			if e.name != engine || !slices.Contains(g.Files, file) {
				continue
			}
			s := newScript(e, d, o)
			return s.text("replaces the rows of the window "+windowOf(file)+".", func(s *script) {
				e.window(s, g, windowOf(file), file)
			}), nil
		}
	}
	return "", fmt.Errorf("there are no statements for %q and the file %q", engine, file)
}

// Statements returns the statements for the Parquet files of a folder, of an export of a name; see
// Describe. There are none if the folder has no such file, or one that package landing did not
// write.
func Statements(
	ctx context.Context, folder *archive.Derived, export string, known func(path string) ([]columnar.Column, bool),
) (map[string]string, error) {
	d, err := Describe(ctx, folder, known)
	if errors.Is(err, ErrNothing) || errors.Is(err, columnar.ErrDamaged) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return Generate(d, Options{Table: TableName(export)})
}

// engine is a database.
type engine struct {
	name  string
	title string
	notes []string // for the heads of its files: placeholders, and how to run them
	rule  columnar.Rule
	quote func(string) string
	types [5]string           // by kind
	list  func(string) string // the type of a list of a type
	// grouped is set if statements depend on the columns of a file.
	grouped    bool
	create     func(*script)
	everything func(*script)
	window     func(s *script, g Group, window, path string)
}

// engines are the databases.
func engines() []engine {
	return []engine{duckdb(), bigquery(), snowflake(), redshift(), databricks(), clickhouse(), postgresql()}
}

// script writes the statements of an engine.
type script struct {
	engine
	d       Description
	o       Options
	names   map[string]string // of the columns of the table, by those of the files
	written strings.Builder
}

func newScript(e engine, d Description, o Options) *script {
	s := &script{engine: e, d: d, o: o, names: map[string]string{}}
	for i, name := range e.rule.Names(d.Columns, windowColumn) {
		s.names[d.Columns[i].Name] = name
	}
	return s
}

// groups returns the groups that have statements of their own.
func (s *script) groups() []Group {
	if s.grouped {
		return s.d.Groups
	}
	return []Group{{Columns: s.d.Columns, Files: s.d.windows()}}
}

// text returns a file with a head.
func (s *script) text(what string, write func(*script)) string {
	s.written.Reset()
	s.note(s.title + ": " + what)
	for _, note := range s.notes {
		s.note(note)
	}
	s.note(strings.TrimSpace("Written by fullstory-export-mcp "+s.o.Version) +
		" for the columns that the Parquet files have; it is written again with them.")
	s.line("")
	write(s)
	return s.written.String()
}

// note writes a comment.
func (s *script) note(text string) {
	line := "--"
	for word := range strings.FieldsSeq(text) {
		if len(line)+len(word) > 100 {
			s.line("%s", line)
			line = "--"
		}
		line += " " + word
	}
	s.line("%s", line)
}

// line writes a line. Its arguments are names that are quoted and literals.
func (s *script) line(format string, args ...any) {
	fmt.Fprintf(&s.written, format+"\n", args...)
}

// table returns the table, or another one whose name begins so, as SQL.
func (s *script) table(suffix string) string {
	name := s.o.Table + suffix
	if s.rule.Fold != nil {
		name = s.rule.Fold(name)
	}
	return s.quote(name)
}

// windowName returns windowColumn as SQL.
func (s *script) windowName() string {
	if s.rule.Fold != nil {
		return s.quote(s.rule.Fold(windowColumn))
	}
	return s.quote(windowColumn)
}

// column returns a column of the table as SQL.
func (s *script) column(c columnar.Column) string { return s.quote(s.names[c.Name]) }

// kind returns the type of a column as SQL.
func (s *script) kind(c columnar.Column) string {
	if c.List {
		return s.list(s.types[c.Kind])
	}
	return s.types[c.Kind]
}

// each returns what of returns for each column.
func each(columns []columnar.Column, of func(columnar.Column) string) []string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = of(c)
	}
	return all
}

// definitions returns columns with their types.
func (s *script) definitions(columns []columnar.Column) []string {
	return each(columns, func(c columnar.Column) string { return s.column(c) + " " + s.kind(c) })
}

// columns returns the column of the window and others, as SQL.
func (s *script) columns(columns []columnar.Column) string {
	return lines(append([]string{s.windowName()}, each(columns, s.column)...))
}

// lines joins the items of a list, one a line.
func lines(items []string) string { return "\n  " + strings.Join(items, ",\n  ") }

// literal returns a text as SQL for engines whose only escape is a quote twice.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// doubled returns a function that quotes names with a character, which a name has twice.
func doubled(quote string) func(string) string {
	return func(name string) string { return quote + strings.ReplaceAll(name, quote, quote+quote) + quote }
}

// escaped returns a text with backslashes before quotes and backslashes.
func escaped(quote, text string) string {
	return quote + strings.NewReplacer(`\`, `\\`, quote, `\`+quote).Replace(text) + quote
}
