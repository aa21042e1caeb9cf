package bulk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// strangerError says that a file is not the one of an export that was adopted.
type strangerError struct {
	reason string
	empty  bool // it may be the export all the same
}

func (e *strangerError) Error() string {
	return "the operation that was found is not the export: " + e.reason
}

// proof returns what the file of an adopted export is held to besides its
// times: it has rows, the columns that were asked for, and the segment's name.
// Whether an empty file is the right one nobody can tell. An export whose
// operation Fullstory named needs none.
func (w *worker) proof(ctx context.Context, x ledger.Export, r client.ExportRequest) func(archive.File, string) error {
	if len(candidates(x)) == 0 {
		return nil
	}
	name := ""
	if s, err := w.client.Segment(ctx, r.SegmentID); err == nil {
		name = s.Name
	}
	return func(f archive.File, attachment string) error { return prove(f, attachment, r, name) }
}

func prove(f archive.File, attachment string, r client.ExportRequest, segment string) error {
	if f.Rows == 0 {
		return &strangerError{reason: "it is empty, which proves nothing", empty: true}
	}
	if len(r.Fields) > 0 && !slices.ContainsFunc(r.Fields, func(field string) bool { return strings.HasSuffix(field, "*") }) {
		for _, column := range f.Columns {
			if !slices.Contains(r.Fields, column) {
				return &strangerError{reason: fmt.Sprintf("it has the column %q, which was not asked for", column)}
			}
		}
	}
	if attachment != "" && segment != "" && !strings.HasPrefix(letters(attachment), letters(segment)) {
		return &strangerError{reason: "it is of another segment"}
	}
	return nil
}

// letters leaves of a name what a store of files keeps of it.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}
