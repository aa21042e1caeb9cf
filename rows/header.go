package rows

import (
	"fmt"
	"slices"
	"strings"
)

// checkHeader checks the header of a CSV against the request.
func (rr *rowReader) checkHeader(header []string) error {
	kind, reason := rr.headerFault(header)
	if kind == "" {
		return nil
	}
	return rr.bad(kind, "%s", reason)
}

// headerFault describes how a header differs from the request. kind is "" if it does
// not.
func (rr *rowReader) headerFault(header []string) (kind Kind, reason string) {
	wanted := rr.Fields
	if len(wanted) == 0 && rr.needTimes() {
		wanted = []string{rr.TimeColumn, "*"}
	}
	long := slices.IndexFunc(header, func(name string) bool { return len(name) > longestName })
	if long < 0 && len(wanted) > 0 && fits(header, wanted, rr.Optional) {
		return "", ""
	}
	if name := separatorOf(header, wanted); name != "" {
		return KindSeparator, "its columns are separated by " + name + " instead of commas"
	}
	if slices.ContainsFunc(header, isValue) {
		return KindHeader, "its first line is a row instead of a header"
	}
	if long >= 0 {
		e := longName(len(header[long]))
		return e.Kind, e.Reason
	}
	if len(wanted) == 0 {
		return "", ""
	}
	return columnFault(header, wanted, rr.Optional)
}

// fits reports whether a header fits the requested fields. Without wildcards it must
// equal them. With wildcards it must have the other fields in order, and wildcards
// must cover all columns besides. It may lack optional fields.
func fits(header, fields, optional []string) bool {
	at := 0
	var named []string
	for _, f := range fields {
		if _, ok := wildcard(f); !ok {
			named = append(named, f)
		}
	}
	skip := func(until string) {
		for at < len(named) && spelling(named[at]) != spelling(until) && slices.Contains(optional, named[at]) {
			at++
		}
	}
	for _, name := range header {
		skip(name)
		switch {
		case at < len(named) && spelling(named[at]) == spelling(name):
			at++
		case len(named) == len(fields), slices.Contains(named, name), !allows(fields, name):
			return false
		}
	}
	skip("")
	return at == len(named)
}

// separatorOf names what separates the columns of a header that was read as one
// column, if that is not a comma.
func separatorOf(header, fields []string) string {
	if len(header) != 1 {
		return ""
	}
	known := func(part string) bool { return len(fields) == 0 || allows(fields, strings.Trim(part, `" `)) }
	for _, s := range []struct{ mark, name string }{{";", "semicolons"}, {"\t", "tabs"}, {"|", "bars"}} {
		parts := strings.SplitN(header[0], s.mark, maxColumns)
		if len(parts) > 1 && slices.ContainsFunc(parts, known) {
			return s.name
		}
	}
	return ""
}

// isValue reports whether a cell is a time or a number of at least six digits. No
// column has such a name, so the line of the cell is not a header.
func isValue(cell string) bool {
	_, _, ok := ParseTime(cell)
	digits := strings.Trim(cell, "0123456789") == ""
	return ok || digits && len(cell) >= 6
}

// columnFault describes how the columns of a header differ from the fields.
func columnFault(header, fields, optional []string) (kind Kind, reason string) {
	has := func(field string) bool {
		return slices.ContainsFunc(header, func(name string) bool { return spelling(name) == spelling(field) })
	}
	var missing, extra []string
	for _, f := range fields {
		if _, ok := wildcard(f); !ok && !has(f) && !slices.Contains(optional, f) {
			missing = append(missing, f)
		}
	}
	for i, name := range header {
		if !allows(fields, name) || slices.Contains(header[:i], name) {
			extra = append(extra, name)
		}
	}
	switch {
	case len(extra) == len(header) && len(missing) > 0:
		return KindHeader, "it has no header with a requested column: its first line begins with " + quoted(header)
	case len(missing) > 0 && len(extra) > 0:
		return KindColumns, fmt.Sprintf("its header lacks %s and has %s, not requested", quoted(missing), quoted(extra))
	case len(missing) > 0:
		return KindColumns, "its header lacks " + quoted(missing)
	case len(extra) > 0:
		return KindColumns, fmt.Sprintf("its header has %s, not requested or twice", quoted(extra))
	}
	return KindOrder, "its columns are in another order than requested: they begin with " + quoted(header)
}

// quoted lists the first three names for a message, and how many more there are.
func quoted(names []string) string {
	const most = 3
	var list []string
	for _, name := range names[:min(most, len(names))] {
		list = append(list, fmt.Sprintf("%.60q", name))
	}
	text := strings.Join(list, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
