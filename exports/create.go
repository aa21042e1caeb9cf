package exports

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

const (
	// createLimit is how long the caller of Create waits for the operation, if its context
	// has no deadline.
	createLimit = 18 * time.Second
	// answerReserve is the part of a call that remains for the answer.
	answerReserve = 2 * time.Second
)

// createTime returns how long the caller of Create waits: until answerReserve before the
// deadline of ctx, and at least answerReserve.
func createTime(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return createLimit
	}
	return min(createLimit, max(answerReserve, time.Until(end)-answerReserve))
}

// Prepare resolves and checks a request, so that it can be created. zone is the zone of
// dates if the request names none.
func (a *Account) Prepare(ctx context.Context, r client.ExportRequest, zone string) (preflight.Export, error) {
	check, err := a.check(ctx, zone)
	if err != nil {
		return preflight.Export{}, err
	}
	r.Format = cmp.Or(r.Format, client.FormatNDJSON)
	return check.Resolve(ctx, r)
}

// singleOf returns e as a single export. nowGiven is set if the caller chose `now`.
func singleOf(e preflight.Export, nowGiven bool) Single {
	return Single{Request: e.Request, SegmentName: e.Segment.Name, NowGiven: nowGiven}
}

// Create creates an export and records its request in a manifest. It reuses an identical
// export that is still valid unless forceNew is set. It fails if a notice blocks the
// export. It does not stop when ctx ends, because an export without a record would be
// lost; it returns after createTime at the latest.
func (a *Account) Create(ctx context.Context, e preflight.Export, nowGiven, forceNew bool) (Created, error) {
	if err := blocked(e.Warnings); err != nil {
		return Created{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTime(ctx))
	defer cancel()
	id, err := a.ID(ctx)
	if err != nil {
		return Created{}, err
	}
	request, err := json.Marshal(e.Request)
	if err != nil {
		return Created{}, err
	}
	notices, err := json.Marshal(e.Warnings)
	if err != nil {
		return Created{}, err
	}
	if err := a.Archive.Writable(); err != nil {
		return Created{}, err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return Created{}, err
	}
	created, err := engine.Create(ctx, singleOf(e, nowGiven), forceNew)
	if err != nil {
		return created, withHints(a.withRole(ctx, err), e.Warnings)
	}
	err = a.Archive.UpdateManifest(ctx, archive.OperationFolder(created.Operation), func(m *archive.Manifest) error {
		if m.OperationID == "" {
			m.Account, m.OperationID, m.Request = id, created.Operation, request
			m.Now, m.CreatedAt, m.Notices, m.SegmentName = a.Clock().UTC(), a.Clock().UTC(), notices, e.Segment.Name
		}
		return nil
	})
	if err != nil {
		return created, unrecorded(created.Operation, err)
	}
	return created, nil
}

// withRole explains a 403 of the API by the key's role, on which the remedy depends. It
// returns any other error unchanged, and the 403 too if the role is not known.
func (a *Account) withRole(ctx context.Context, err error) error {
	failed, ok := errors.AsType[*client.Error](err)
	if !ok || failed.Kind() != client.KeyRejected || failed.Status != http.StatusForbidden {
		return err
	}
	me, meErr := a.askMe(ctx) // not from the cache: the role may just have been changed
	if meErr != nil || me.Role == "" {
		return err
	}
	return forbidden(failed, me.Role)
}

// withHints adds notices that may explain why the API rejected a request.
func withHints(err error, notices []preflight.Notice) error {
	if client.KindOf(err) != client.Rejected {
		return err
	}
	x := Explain(err)
	for _, n := range notices {
		if n.Code == "unknown_field" {
			x.Remedy = sentences(x.Remedy, n.Message, n.Fix)
		}
	}
	return &Error{Explanation: x, Err: err}
}
