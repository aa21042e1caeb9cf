package bulk

import (
	"context"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
)

// foreignError says that the file of a candidate is not proved to be that of the export.
type foreignError struct {
	reason string
	empty  bool // it has no rows, so it is not ruled out either
}

func (e *foreignError) Error() string {
	return "the operation that was found is not the export: " + e.reason
}

// verifyCandidate returns the check that the file of a candidate has to pass
// besides its times and columns: rows, and the segment's name. An empty file proves
// nothing. It is nil for an operation that Fullstory
// named, which needs no proof.
func (w *worker) verifyCandidate(
	ctx context.Context, a ledger.Attempt, r client.ExportRequest,
) func(archive.File, string) error {
	if !(Attempt{Attempt: a}).unproved() {
		return nil
	}
	name := ""
	if s, err := w.client.Segment(ctx, r.SegmentID); err == nil {
		name = s.Name
	}
	return func(f archive.File, attachment string) error { return prove(f, attachment, name) }
}

func prove(f archive.File, attachment, segment string) error {
	if f.Rows == 0 {
		return &foreignError{reason: "it is empty, which proves nothing", empty: true}
	}
	if !download.NamedAfter(client.Clean(attachment, 500), segment) {
		return &foreignError{reason: "it is of another segment"}
	}
	return nil
}
