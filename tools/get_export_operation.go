package tools

import (
	"context"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

type operationIn struct {
	OperationID string `json:"operation_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"From create_segment_export or list_export_operations."`
	WaitSeconds int    `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=20,default=0" jsonschema_description:"Wait up to this long for it to finish."`
	IncludeURL  bool   `json:"include_download_url,omitempty" jsonschema:"default=false" jsonschema_description:"Also return a link to the file, good for minutes and for whoever has it."`
}

type operationOut struct {
	Summary            string       `json:"summary"`
	OperationID        string       `json:"operation_id"`
	State              client.State `json:"state" jsonschema_description:"PENDING, COMPLETED or FAILED."`
	Percent            int          `json:"percent" jsonschema_description:"Fullstory's estimate, 0 to 100."`
	Step               string       `json:"step,omitempty"`
	CreatedAt          string       `json:"created_at,omitempty"`
	FinishedAt         string       `json:"finished_at,omitempty"`
	ExportExpiresAt    string       `json:"export_expires_at,omitempty" jsonschema_description:"Until when the file can be fetched."`
	Error              string       `json:"error,omitempty" jsonschema_description:"Why it failed, in Fullstory's words."`
	PollAfterSeconds   int          `json:"poll_after_seconds,omitempty" jsonschema_description:"Absent when it has ended."`
	DownloadURL        string       `json:"download_url,omitempty"`
	DownloadURLExpires string       `json:"download_url_expires_at,omitempty"`
	Next               string       `json:"next,omitempty"`
}

func getExportOperation(account func(context.Context) (*Account, error)) Tool[operationIn, operationOut] {
	return Tool[operationIn, operationOut]{
		Name:        "get_export_operation",
		Title:       "Get an export operation",
		Description: "Tells how an export stands: PENDING with a percentage, COMPLETED with the time until which the file can be fetched, or FAILED with the reason. wait_seconds waits for a change instead of asking repeatedly. It does not fetch the file: download_export does.",
		Effect:      Read,
		Call: func(ctx context.Context, in operationIn) (operationOut, error) {
			a, err := account(ctx)
			if err != nil {
				return operationOut{}, err
			}
			op, recorded := a.recorded(ctx, in.OperationID)
			if !recorded {
				if op, err = a.await(ctx, in.OperationID, waitUntil(in.WaitSeconds)); err != nil {
					return operationOut{}, err
				}
			}
			out := operationResult(op, a.Now())
			if in.IncludeURL && op.State == client.Completed {
				link, err := a.Client.ExportResults(ctx, op.ExportID)
				if err != nil {
					return operationOut{}, err
				}
				out.DownloadURL, out.DownloadURLExpires = link.URL, stamp(link.Expires)
			}
			return out, nil
		},
	}
}

// recorded returns an operation that has completed, as the ledger has it.
func (a *Account) recorded(ctx context.Context, operation string) (client.Operation, bool) {
	l, err := a.Ledger(ctx)
	if err != nil {
		return client.Operation{}, false
	}
	id, err := a.ID(ctx)
	if err != nil {
		return client.Operation{}, false
	}
	x, err := l.ByOperation(ctx, id, operation)
	if err != nil || x.State != ledger.ExportCompleted {
		return client.Operation{}, false
	}
	return client.Operation{
		ID: x.Operation, Type: client.SearchExport, State: client.Completed, Percent: 100,
		CreatedAt: x.CreatedAt, FinishedAt: x.FinishedAt, ExportID: x.SearchExport, ExportExpires: x.ExpiresAt,
	}, true
}

// answerReserve is kept of a call's time for the answer itself.
const answerReserve = 2 * time.Second

// waitUntil returns when a call that may wait so many seconds has to answer.
func waitUntil(seconds int) time.Time {
	return time.Now().Add(min(time.Duration(seconds)*time.Second, callLimit-answerReserve))
}

// await returns the operation once it has ended, or as it stands at until.
func (a *Account) await(ctx context.Context, id string, until time.Time) (client.Operation, error) {
	for pause := 200 * time.Millisecond; ; pause = min(pause*3/2, 4*time.Second) {
		op, err := a.Client.Operation(ctx, id)
		left := time.Until(until)
		if err != nil || op.State.Ended() || left <= 0 {
			return op, err
		}
		tell(ctx, float64(op.Percent), fmt.Sprintf("The export is under way, at about %d %%.", op.Percent))
		select {
		case <-ctx.Done():
			return op, ctx.Err()
		case <-time.After(min(pause, left)):
		}
	}
}

func operationResult(op client.Operation, now time.Time) operationOut {
	out := operationOut{
		OperationID:     op.ID,
		State:           op.State,
		Percent:         op.Percent,
		Step:            clean(op.Step, 200),
		CreatedAt:       stamp(op.CreatedAt),
		FinishedAt:      stamp(op.FinishedAt),
		ExportExpiresAt: stamp(op.ExportExpires),
		Error:           clean(op.Error, 500),
	}
	switch {
	case op.State == client.Completed && !op.ExportExpires.IsZero() && now.After(op.ExportExpires):
		out.Summary = "The export completed, but its file has expired at Fullstory."
		out.Next = "Create the export again with create_segment_export."
	case op.State == client.Completed:
		out.Summary = "The export is complete and its file can be fetched."
		out.Next = "Fetch and verify the file with download_export."
	case op.State == client.Failed:
		out.FinishedAt = stamp(op.FinishedAt)
		out.Summary = "The export failed at Fullstory; the reason is in error."
		out.Next = "Create the export again; if it fails again, cut the window smaller with plan_time_chunks."
	default:
		out.FinishedAt = ""
		out.PollAfterSeconds = pollAfter(now.Sub(op.CreatedAt))
		out.Summary = fmt.Sprintf("The export is under way, at about %d %%.", op.Percent)
		out.Next = fmt.Sprintf("Ask again in %d seconds, or with wait_seconds.", out.PollAfterSeconds)
	}
	return out
}

// pollAfter grows with the age of an operation: what has run for long will
// hardly end within the next second.
func pollAfter(age time.Duration) int {
	return max(2, min(30, int(age.Seconds()/10)))
}
