package tools

import (
	"context"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/preflight"
)

type createIn struct {
	client.ExportRequest
	Like     string `json:"like_operation_id,omitempty" jsonschema:"minLength=1,maxLength=2400" jsonschema_description:"An earlier export (or bulk export): its request, with the arguments given here on top."`
	DryRun   bool   `json:"dry_run,omitempty" jsonschema_description:"Resolve and check only; create nothing."`
	ForceNew bool   `json:"force_new,omitempty" jsonschema_description:"Create even if an identical one could be reused."`
}

type createOut struct {
	Summary     string               `json:"summary"`
	OperationID string               `json:"operation_id,omitempty" jsonschema_description:"Handle; absent after dry_run."`
	Reused      bool                 `json:"reused" jsonschema_description:"An identical export was reused; with dry_run, would be."`
	Rows        preflight.Rows       `json:"rows" jsonschema_description:"events or individuals"`
	Request     client.ExportRequest `json:"request" schema:"brief" jsonschema_description:"As resolved: instants in UTC, now pinned."`
	Export      exports.Description  `json:"export" schema:"brief"`
	Today       string               `json:"today,omitempty"`
	Warnings    []preflight.Notice   `json:"warnings" schema:"brief"`
	Next        string               `json:"next,omitempty"`
}

func createSegmentExport(accounts Accounts, s Settings, seen *seenNotices) Tool[createIn, createOut] {
	return Tool[createIn, createOut]{
		Name:  "create_segment_export",
		Title: "Create a segment export",
		Description: "Starts one export of a segment's events or individuals at Fullstory and returns an " +
			"operation_id at once; Fullstory works on it for seconds to an hour. get_export_operation follows it, " +
			"download_export fetches the file. An identical export that is still valid is reused. For more than a " +
			"day of data start_bulk_export is better. Required: segment_id, type and time_range, or " +
			"like_operation_id.",
		Effect: Write,
		Call: accounting(accounts, func(ctx context.Context, a *exports.Account, in createIn) (createOut, error) {
			request := in.ExportRequest
			if in.Like != "" {
				var err error
				if request, err = a.Like(ctx, in.Like, request); err != nil {
					return createOut{}, err
				}
			}
			nowGiven := request.Now != ""
			export, err := a.Prepare(ctx, request, s.zone())
			if err != nil {
				return createOut{}, err
			}
			out := createOut{
				Rows: export.Rows, Request: export.Request, Today: export.Today, Warnings: export.Warnings,
				Export: exports.Describe(export.Request, export.Segment.Name),
			}
			what := exports.ContentText(export)
			if in.DryRun {
				existing, err := a.WouldReuse(ctx, export, nowGiven, in.ForceNew)
				out.Warnings = seen.result(ctx, true, in.ExportRequest, export.Asked(out.Warnings))
				out.dryRun(what, export, existing)
				return out, err
			}
			created, err := a.Create(ctx, export, nowGiven, in.ForceNew)
			if err != nil {
				return createOut{}, err
			}
			out.Warnings = seen.result(ctx, false, in.ExportRequest, out.Warnings)
			out.OperationID, out.Reused = created.Operation, created.Reused
			out.Summary = "Started the export of " + what + ". "
			if out.Reused {
				out.Summary = "Nothing new was started: the identical export of " + exports.At(created.CreatedAt, export.Request) +
					" is reused, of " + what + ". "
			}
			out.Summary += preflight.FiltersOver(export.Request)
			if export.Today != "" {
				out.Summary += " " + preflight.TodayText(export.Today, export.Request.Timezone)
			}
			out.Next = "Follow it with get_export_operation, or fetch it with download_export; both take wait_seconds."
			return out, nil
		}),
	}
}

// dryRun describes a call that created nothing. existing is the export that it would
// have used; zero if it would have created one.
func (out *createOut) dryRun(what string, e preflight.Export, existing exports.Created) {
	if out.Reused = existing.Reused; !out.Reused {
		out.Summary, out.Next = exports.DryRun(what, e, out.Warnings)
		return
	}
	out.Summary = "Nothing was started, and nothing would be: the identical export of " +
		exports.At(existing.CreatedAt, e.Request) + " would be reused, of " + what + ". " + preflight.FiltersOver(e.Request)
	out.Next = "Fetch it with download_export; its operation_id is " + existing.Operation + ". force_new creates another."
}
