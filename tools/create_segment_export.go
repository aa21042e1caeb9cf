package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

type createIn struct {
	client.ExportRequest
	DryRun   bool `json:"dry_run,omitempty" jsonschema:"default=false" jsonschema_description:"Resolve and check only; create nothing."`
	ForceNew bool `json:"force_new,omitempty" jsonschema:"default=false" jsonschema_description:"Create even if an identical one could be used."`
}

type createOut struct {
	Summary     string               `json:"summary"`
	OperationID string               `json:"operation_id,omitempty" jsonschema_description:"Handle; absent after dry_run."`
	Reused      bool                 `json:"reused" jsonschema_description:"An identical export was used instead of a new one."`
	Rows        preflight.Rows       `json:"rows" jsonschema_description:"What a row will be: events or individuals."`
	Request     client.ExportRequest `json:"request" schema:"brief" jsonschema_description:"As resolved: instants in UTC, now pinned."`
	Warnings    []preflight.Warning  `json:"warnings" schema:"brief"`
	Next        string               `json:"next,omitempty"`
}

func createSegmentExport(account func(context.Context) (*Account, error), s Settings) Tool[createIn, createOut] {
	return Tool[createIn, createOut]{
		Name:        "create_segment_export",
		Title:       "Create a segment export",
		Description: "Starts one export of a segment's events or individuals at Fullstory and returns an operation_id at once; Fullstory works on it for seconds to an hour. get_export_operation follows it, download_export fetches the file. Times are half-open and read in timezone. An identical export that is still good is used again. For more than a day of data start_bulk_export is better; dry_run shows the resolved request and warnings.",
		Effect:      Write,
		Call: func(ctx context.Context, in createIn) (createOut, error) {
			a, err := account(ctx)
			if err != nil {
				return createOut{}, err
			}
			check, err := a.check(ctx, s.zone())
			if err != nil {
				return createOut{}, err
			}
			export, err := check.Resolve(ctx, in.ExportRequest)
			if err != nil {
				return createOut{}, err
			}
			out := createOut{Rows: export.Rows, Request: export.Request, Warnings: export.Warnings}
			what := fmt.Sprintf("%s of segment %s, %s", export.Rows, export.Request.SegmentID, windowText(export.Range))
			if in.DryRun {
				out.Summary = "Nothing was started. This would export " + what + "."
				out.Next = "Call again without dry_run to start it."
				return out, nil
			}
			created, err := a.create(ctx, export, in.Now != "", in.ForceNew)
			if err != nil {
				return createOut{}, err
			}
			out.OperationID, out.Reused = created.Operation, created.Reused
			out.Summary = "Started the export of " + what + "."
			if out.Reused {
				out.Summary = "Nothing new was started: the identical export of " + stamp(created.CreatedAt) + " is used, of " + what + "."
			}
			out.Next = "Follow it with get_export_operation, or fetch it with download_export; both take wait_seconds."
			return out, nil
		},
	}
}

// create has the export created and writes down what it is. It is tried even if
// the caller goes away meanwhile: an export that nobody knows of would be lost.
func (a *Account) create(ctx context.Context, e preflight.Export, nowGiven, forceNew bool) (bulk.Created, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit-answerReserve)
	defer cancel()
	id, err := a.ID(ctx)
	if err != nil {
		return bulk.Created{}, err
	}
	request, err := json.Marshal(e.Request)
	if err != nil {
		return bulk.Created{}, err
	}
	if err := a.Archive.Writable(); err != nil {
		return bulk.Created{}, err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return bulk.Created{}, err
	}
	created, err := engine.Create(ctx, e.Request, nowGiven, forceNew)
	if err != nil {
		return created, &refusedExport{warnings: e.Warnings, err: a.refusal(ctx, err)}
	}
	err = a.Archive.UpdateManifest(archive.OperationFolder(created.Operation), func(m *archive.Manifest) error {
		if m.OperationID == "" {
			m.Account, m.OperationID, m.Request = id, created.Operation, request
			m.Now, m.CreatedAt = a.Now().UTC(), a.Now().UTC()
		}
		return nil
	})
	if err != nil {
		return created, &unrecorded{operationID: created.Operation, err: err}
	}
	return created, nil
}

// refusal adds the key's role to a 403, because the remedy depends on it.
func (a *Account) refusal(ctx context.Context, err error) error {
	var failed *client.Error
	if err == nil || !errors.As(err, &failed) || failed.Status != http.StatusForbidden {
		return err
	}
	me, meErr := a.Client.Me(ctx) // the role may just have been changed
	if meErr != nil {
		return err
	}
	return &forbidden{role: me.Role, err: err}
}

// unrecorded is an export that was started but could not be written down.
type unrecorded struct {
	operationID string
	err         error
}

func (u *unrecorded) Error() string {
	return "export " + u.operationID + " was started but not recorded: " + u.err.Error()
}
func (u *unrecorded) Unwrap() error { return u.err }

// refusedExport is an export that could not be started, with what was to be
// said about it beforehand.
type refusedExport struct {
	warnings []preflight.Warning
	err      error
}

func (r *refusedExport) Error() string { return r.err.Error() }
func (r *refusedExport) Unwrap() error { return r.err }

// forbidden is a refusal by Fullstory together with the role of the key.
type forbidden struct {
	role client.Role
	err  error
}

func (f *forbidden) Error() string { return f.err.Error() }
func (f *forbidden) Unwrap() error { return f.err }
