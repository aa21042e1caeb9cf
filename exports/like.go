package exports

import (
	"cmp"
	"context"
	"errors"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// Like returns the request of an earlier export, an operation or a bulk export by its id
// or name, with what r has on top; see origin.with. It fails with a *plan.Error if the
// request of that export is not known.
func (a *Account) Like(ctx context.Context, id string, r client.ExportRequest) (client.ExportRequest, error) {
	o, err := a.origin(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		o, _, err = a.bulkOrigin(ctx, id)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		err = unknownOrigin("like_operation_id", id, "`list_export_operations`")
	}
	return o.with(r), err
}

// likeBulk is Like for a bulk export, whose granularity, concurrency limit, settlement
// and wish for Parquet files it takes as well. It also returns that bulk export, a zero one for an
// operation.
func (a *Account) likeBulk(ctx context.Context, in BulkRequest) (_ BulkRequest, b ledger.Bulk, err error) {
	o, b, err := a.bulkOrigin(ctx, in.LikeBulkID)
	if errors.Is(err, ledger.ErrNotFound) {
		o, err = a.origin(ctx, in.LikeBulkID)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		err = unknownOrigin("like_bulk_id", in.LikeBulkID, "`list_bulk_exports`")
	}
	if err != nil {
		return in, b, err
	}
	in.setExport(o.with(in.export()))
	if in.TargetRows == 0 && in.TargetMB == 0 {
		in.Chunk = cmp.Or(in.Chunk, b.Granularity)
	}
	in.MaxInFlight = cmp.Or(in.MaxInFlight, b.MaxInFlight)
	if in.Settle == nil {
		in.Settle = &b.Settle
	}
	if in.Parquet == nil && b.ID != "" {
		wanted, table, err := a.wantsParquet(ctx, b)
		if err != nil {
			return in, b, err
		}
		in.Parquet, in.Table = &wanted, cmp.Or(in.Table, table)
	}
	return in, b, nil
}

// bulkOrigin returns the origin of a bulk export, given by its id or name, for its whole
// range. It fails with ledger.ErrNotFound.
func (a *Account) bulkOrigin(ctx context.Context, idOrName string) (o origin, b ledger.Bulk, err error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return o, b, err
	}
	if b, err = l.Bulk(ctx, id, idOrName); err != nil {
		return o, b, err
	}
	request, ok := requestOf(b)
	if !ok || request.SegmentID == "" {
		return o, b, ledger.ErrNotFound
	}
	o = origin{request: request, nowGiven: b.NowGiven}
	o.followed, o.choseOwn = segmentWindowOf(request)
	return o, b, nil
}

// unknownOrigin is the error of an argument that names an export whose request this
// program does not have. list names the tool that lists those that it has.
func unknownOrigin(field, id, list string) error {
	return wrong(field, "the request of %q is not known: there is no such export, or another client started it, and then "+
		"its segment is not told. Take one that is known from %s, or give `segment_id`, `type` and `time_range`.",
		client.Clean(id, 100), list)
}

// with returns the request of o with what r has on top:
//
//   - `now` is pinned anew, unless the caller chose it.
//   - The window of the segment stays. If it was equal to the range and r has another
//     range, it is equal to that. If it was left out and the segment's own window reached
//     back far enough, it is left out again, so that the rule for a range of long ago
//     applies to the new one.
//   - The columns go with the kind of rows, and the scope with the type: they are left
//     out where the type of r does not allow them. An empty list of columns in r, not
//     nil, is the default set.
func (o origin) with(r client.ExportRequest) client.ExportRequest {
	out := o.request
	out.SegmentID = cmp.Or(r.SegmentID, out.SegmentID)
	out.Format = cmp.Or(r.Format, out.Format)
	out.Timezone = cmp.Or(r.Timezone, out.Timezone)
	if out.Now = r.Now; r.Now == "" && o.nowGiven {
		out.Now = o.request.Now
	}
	out.Type, out.Scope = o.kind(r.Type, r.Scope)
	switch {
	case r.Fields != nil:
		out.Fields = r.Fields
	case preflight.RowsOf(out.Type) != preflight.RowsOf(o.request.Type):
		out.Fields = nil
	}
	moved := r.TimeRange != client.TimeRange{}
	if moved {
		out.TimeRange = r.TimeRange
	}
	switch {
	case r.SegmentTimeRange != nil:
		out.SegmentTimeRange = r.SegmentTimeRange
	case out.SegmentTimeRange == nil && o.choseOwn:
		out.SegmentTimeRange = preflight.OwnWindow()
	case moved && o.followed:
		out.SegmentTimeRange = preflight.RangeWindow()
	}
	return out
}

// kind returns the type and scope of o with those that are given on top. Either may be
// empty.
func (o origin) kind(t client.Type, s client.Scope) (client.Type, client.Scope) {
	kind, scope := o.request.TypeAndScope()
	switch {
	case t == "" && s == "", t == o.request.Type && s == "":
		return o.request.Type, o.request.Scope
	case t == "":
		return kind, s // of individuals it is rejected when the request is checked
	case t == client.TypeEvent && s == "":
		return t, scope
	}
	return t, s
}

// nameAlike returns the name of a bulk export that is like another and has no name of its
// own: that of the other one if both are the same, else the one made of its request or,
// if another request has that, the same with a part of its fingerprint.
func (a *Account) nameAlike(ctx context.Context, b plannedBulk, other ledger.Bulk) (string, error) {
	if other.Fingerprint == b.fingerprint() && !other.Single {
		return other.Name, nil
	}
	before, err := a.startedAs(ctx, b.out.Name)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return b.out.Name, nil
	case err != nil || before.Fingerprint == b.fingerprint():
		return b.out.Name, err
	}
	suffix := "-" + b.fingerprint()[:6]
	return b.out.Name[:min(len(b.out.Name), nameLimit-len(suffix))] + suffix, nil
}

// startedAs returns the bulk export of a name. It fails with ledger.ErrNotFound.
func (a *Account) startedAs(ctx context.Context, name string) (ledger.Bulk, error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return ledger.Bulk{}, err
	}
	return l.Bulk(ctx, id, name)
}
