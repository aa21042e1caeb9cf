package sandbox

import (
	"bytes"
	"io"
	"net/http"
)

// segmentOf returns the segment that a request at a place belongs to: the segment of
// its body, its operation or its export, or nil. The body can still be read.
func (s *Sandbox) segmentOf(place string, r *http.Request) *segment {
	id := r.PathValue("id")
	var x export
	var ok bool
	var err error
	switch place {
	case onSegments:
		return s.segment(id)
	case onCreate:
		return s.segment(segmentInBody(r))
	case onStatus, onCancel:
		x, ok, err = s.journal.ofOperation(id)
	case onResults, onDownload:
		x, ok, err = s.journal.ofResults(id)
	}
	if err != nil || !ok {
		return nil
	}
	return s.segment(x.request.Segment)
}

// segmentInBody returns the segment's id in the body of a create, or "", and restores
// the body. It reads at most one byte more than a valid body has.
func segmentInBody(r *http.Request) string {
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(raw), r.Body), r.Body}
	if err != nil {
		return ""
	}
	b, err := parseBody(raw)
	if err != nil {
		return ""
	}
	id, _ := b.text("segmentId")
	return id
}
