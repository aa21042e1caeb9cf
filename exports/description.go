package exports

import (
	"cmp"
	"encoding/json"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

// Description is what an export exports, for results that name it. It is written out in
// full, so that nothing has to be inferred from what is left out, except that absent
// Fields are the default set.
type Description struct {
	SegmentID   string         `json:"segment_id"`
	SegmentName string         `json:"segment_name,omitempty"` // empty: not known
	Rows        preflight.Rows `json:"rows"`
	Type        client.Type    `json:"type"`
	Scope       client.Scope   `json:"scope,omitempty"` // empty for individuals
	Fields      Fields         `json:"fields,omitzero"`
	Format      client.Format  `json:"format"`
	// The ranges are resolved. A window of the segment that is not a range has the word
	// that a request gives as its start: own or all.
	TimeRange        client.TimeRange `json:"time_range"`
	SegmentTimeRange client.TimeRange `json:"segment_time_range"`
	Timezone         string           `json:"timezone,omitempty"`
}

const (
	// segmentNameLimit is the most characters of the name of a segment in a Description.
	segmentNameLimit = 100
	// fieldsLimit is the most bytes of the columns in a Description.
	fieldsLimit = 2000
)

// Describe describes an export of r, which is resolved. segmentName is what Fullstory
// calls the segment; "" if that is not known.
func Describe(r client.ExportRequest, segmentName string) Description {
	kind, scope := r.TypeAndScope()
	if kind == client.TypeEvent {
		scope = cmp.Or(scope, client.ScopeEvents)
	}
	return Description{
		SegmentID: r.SegmentID, SegmentName: client.Plain(segmentName, segmentNameLimit), Rows: preflight.RowsOf(r.Type),
		Type: r.Type, Scope: scope, Fields: Fields{Names: r.Fields}, Format: cmp.Or(r.Format, client.FormatNDJSON),
		TimeRange: r.TimeRange, SegmentTimeRange: preflight.WindowOf(r), Timezone: r.Timezone,
	}
}

// describe is Describe for an export of the ledger; nil if its request is not known,
// because another client created the operation.
func describe(r client.ExportRequest, segmentName string) *Description {
	if r.SegmentID == "" {
		return nil
	}
	d := Describe(r, segmentName)
	return &d
}

// Brief returns d with the number of its columns, for lists. It returns nil for nil.
func (d *Description) Brief() *Description {
	if d == nil {
		return nil
	}
	brief := *d
	brief.Fields.brief = true
	return &brief
}

// Fields are the columns that a request names; none are the default set. In JSON they
// are a list, or only their number: in lists of exports, and if the names are long.
type Fields struct {
	Names []string
	brief bool
}

// IsZero reports whether the request names no columns.
func (f Fields) IsZero() bool { return len(f.Names) == 0 }

// MarshalJSON implements json.Marshaler.
func (f Fields) MarshalJSON() ([]byte, error) {
	if f.brief {
		return json.Marshal(len(f.Names))
	}
	raw, err := json.Marshal(f.Names)
	if err == nil && len(raw) > fieldsLimit {
		return json.Marshal(len(f.Names))
	}
	return raw, err
}
