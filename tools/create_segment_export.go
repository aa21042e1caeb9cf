package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

type createIn struct {
	client.ExportRequest
	DryRun   bool `json:"dry_run,omitempty" jsonschema:"default=false" jsonschema_description:"Resolve and check only; create nothing."`
	ForceNew bool `json:"force_new,omitempty" jsonschema:"default=false" jsonschema_description:"Create even if an identical export could be used again."`
}

type createOut struct {
	Summary     string               `json:"summary"`
	OperationID string               `json:"operation_id,omitempty" jsonschema_description:"Handle of the export; absent after dry_run. The file can be fetched for some days after it completes."`
	Reused      bool                 `json:"reused" jsonschema_description:"An identical export was used instead of a new one."`
	Rows        preflight.Rows       `json:"rows" jsonschema_description:"What a row will be: events or individuals."`
	Request     client.ExportRequest `json:"request" jsonschema_description:"The request as resolved: instants in UTC, the segment's id, now pinned."`
	Warnings    []preflight.Warning  `json:"warnings"`
	Next        string               `json:"next,omitempty"`
}

func createSegmentExport(account func(context.Context) (*Account, error), s Settings) Tool[createIn, createOut] {
	return Tool[createIn, createOut]{
		Name:        "create_segment_export",
		Title:       "Create a segment export",
		Description: "Starts one export of a segment's events or individuals at Fullstory and returns an operation_id at once; Fullstory works on it for seconds to an hour. Follow it with get_export_operation, fetch the file with download_export. Times are half-open and read in timezone. Each call starts a new export. For a long range, plan_time_chunks gives windows to export one by one; dry_run shows the resolved request and warnings without starting anything.",
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
			if out.OperationID, err = a.create(ctx, export); err != nil {
				return createOut{}, err
			}
			out.Summary = "Started the export of " + what + "."
			out.Next = "Follow it with get_export_operation, or fetch it with download_export; both take wait_seconds."
			return out, nil
		},
	}
}

// create starts the export and writes down what it is. Both are carried
// through even if the caller goes away meanwhile: an export that nobody knows
// of would be lost.
func (a *Account) create(ctx context.Context, e preflight.Export) (operationID string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	id, err := a.ID(ctx)
	if err != nil {
		return "", err
	}
	request, err := json.Marshal(e.Request)
	if err != nil {
		return "", err
	}
	if err := a.Archive.Writable(); err != nil {
		return "", err
	}
	operationID, err = a.Client.CreateSegmentExport(ctx, e.Request)
	if err != nil {
		return "", &refusedExport{warnings: e.Warnings, err: a.refusal(ctx, err)}
	}
	err = a.Archive.UpdateManifest(archive.OperationFolder(operationID), func(m *archive.Manifest) error {
		m.Account, m.OperationID, m.Request = id, operationID, request
		m.Now, m.CreatedAt = a.Now().UTC(), a.Now().UTC()
		return nil
	})
	if err != nil {
		return "", &unrecorded{operationID: operationID, err: err}
	}
	return operationID, nil
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
