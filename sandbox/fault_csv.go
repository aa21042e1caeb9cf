package sandbox

import (
	"bufio"
	"cmp"
	"slices"
	"strings"
)

// csvForm is a form of a CSV file. The zero value is the usual one.
type csvForm struct {
	separator string // "": a comma
	end       string // "": CR LF
	headless  bool
	// columns returns the cells of line n, where 0 is the header; nil keeps them.
	// It must not change its arguments.
	columns func(n int, header, cells []string) []string
}

// csvForms are the faults of the form of CSV files. They do not change other files.
var csvForms = map[string]csvForm{
	"csv_semicolon": {separator: ";"},
	"csv_tab":       {separator: "\t"},
	"csv_cr":        {end: "\r"},
	"csv_no_header": {headless: true},
	"csv_reordered": {columns: func(_ int, _, cells []string) []string {
		turned := slices.Clone(cells)
		slices.Reverse(turned)
		return turned
	}},
	"csv_missing_column": {columns: func(_ int, _, cells []string) []string { return cells[:max(1, len(cells)-1)] }},
	"csv_no_time_column": {columns: func(_ int, header, cells []string) []string {
		if i := slices.Index(header, timeColumn); i >= 0 && i < len(cells) {
			return slices.Delete(slices.Clone(cells), i, i+1)
		}
		return cells
	}},
	"csv_extra_column": {columns: func(n int, _, cells []string) []string {
		if n == 0 {
			return append(slices.Clone(cells), "AddedLater")
		}
		return append(slices.Clone(cells), "added")
	}},
	"csv_one_column": {columns: func(n int, _, cells []string) []string {
		if n > 0 && n%2 == 0 {
			return []string{""}
		}
		return cells[:1]
	}},
}

// formOfCSV returns the form that a fault gives to CSV files, with the defaults
// filled in.
func formOfCSV(f *Fault) csvForm {
	form := csvForms[f.Do]
	form.separator, form.end = cmp.Or(form.separator, ","), cmp.Or(form.end, "\r\n")
	return form
}

// write writes line n of a file, where 0 is the header, and quotes where needed.
func (c csvForm) write(w *bufio.Writer, n int, header, cells []string) error {
	if n == 0 && c.headless {
		return nil
	}
	if c.columns != nil {
		cells = c.columns(n, header, cells)
	}
	for i, cell := range cells {
		if i > 0 {
			w.WriteString(c.separator)
		}
		if strings.ContainsAny(cell, c.separator+"\"\r\n") || strings.HasPrefix(cell, " ") {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		w.WriteString(cell)
	}
	_, err := w.WriteString(c.end)
	return err
}
