package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
)

type getBulkIn struct {
	BulkID      string `json:"bulk_id" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"Id or name, from start_bulk_export or list_bulk_exports."`
	WaitSeconds int    `json:"wait_seconds,omitempty" jsonschema:"minimum=0,maximum=20,default=0" jsonschema_description:"Wait up to this long for it to end."`
	Detail      string `json:"detail,omitempty" jsonschema:"enum=summary,enum=problems,enum=chunks,default=summary" jsonschema_description:"problems: windows that failed, files that are missing. chunks: every window."`
	Offset      int    `json:"offset,omitempty" jsonschema:"minimum=0,default=0" jsonschema_description:"First chunk to list."`
	Limit       int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200,default=50" jsonschema_description:"Most chunks or problems to list."`
}

// BulkStatus is how a bulk export stands.
type BulkStatus struct {
	bulkSummary
	Object  string       `json:"object,omitempty"`
	Windows []bulkWindow `json:"windows,omitempty"`
	HasMore bool         `json:"has_more,omitempty"`
}

// bulkSummary is what every tool tells of a bulk export.
type bulkSummary struct {
	Summary     string        `json:"summary"`
	BulkID      string        `json:"bulk_id"`
	Name        string        `json:"name"`
	State       string        `json:"state" jsonschema_description:"running, paused, complete, partial, failed, cancelled."`
	Chunks      bulkChunks    `json:"chunks"`
	Percent     float64       `json:"percent"`
	Rows        int64         `json:"rows"`
	Bytes       int64         `json:"bytes"`
	Provisional int           `json:"provisional,omitempty" jsonschema_description:"Stored chunks whose rows may still change."`
	ETA         string        `json:"eta,omitempty"`
	Folder      string        `json:"folder"`
	Problems    []bulkProblem `json:"problems"`
	Next        string        `json:"next,omitempty"`
}

type bulkChunks struct {
	Planned   int `json:"planned"`
	Running   int `json:"running"`
	Stored    int `json:"stored"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	All       int `json:"all"`
}

type bulkProblem struct {
	Start   string `json:"start,omitempty"`
	End     string `json:"end,omitempty"`
	Problem string `json:"problem"`
}

type bulkWindow struct {
	Start string `json:"start"`
	End   string `json:"end"`
	State string `json:"state"`
	Rows  int64  `json:"rows"`
}

func getBulkExport(account func(context.Context) (*Account, error)) Tool[getBulkIn, BulkStatus] {
	return Tool[getBulkIn, BulkStatus]{
		Name:        "get_bulk_export",
		Title:       "Get a bulk export",
		Description: "Tells how a bulk export stands: chunks, rows and bytes stored so far, when it will end, what is wrong and who does what about it. The work does not wait for this call.",
		Effect:      Read,
		Call: func(ctx context.Context, in getBulkIn) (BulkStatus, error) {
			a, err := account(ctx)
			if err != nil {
				return BulkStatus{}, err
			}
			engine, err := a.Engine(ctx)
			if err != nil {
				return BulkStatus{}, err
			}
			s, err := awaitBulk(ctx, engine, in.BulkID, waitUntil(in.WaitSeconds))
			if err != nil {
				return BulkStatus{}, err
			}
			out := BulkStatus{bulkSummary: summarize(engine, s), Object: engine.Object(s.Bulk)}
			return out, out.detail(ctx, engine, s, in)
		},
	}
}

// bulkPause is between two looks at a bulk export that is waited for.
const bulkPause = 200 * time.Millisecond

// awaitBulk returns how a bulk export stands once it does not run any more, or
// at until.
func awaitBulk(ctx context.Context, engine *bulk.Engine, id string, until time.Time) (bulk.Status, error) {
	for {
		s, err := engine.Status(ctx, id)
		left := time.Until(until)
		if err != nil {
			return s, &unknownBulk{id: id, err: err}
		}
		if s.Bulk.State != ledger.BulkRunning || left <= 0 {
			return s, nil
		}
		stored, all := s.Counts.By[ledger.ChunkStored], s.Counts.All()
		tell(ctx, 100*float64(stored)/float64(max(1, all)), fmt.Sprintf("%d of %d chunks are stored.", stored, all))
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(min(bulkPause, left)):
		}
	}
}

// BulkStatus returns how a bulk export stands, with its problems.
func (a *Account) BulkStatus(ctx context.Context, id string) (BulkStatus, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkStatus{}, err
	}
	s, err := engine.Status(ctx, id)
	if err != nil {
		return BulkStatus{}, &unknownBulk{id: id, err: err}
	}
	out := BulkStatus{bulkSummary: summarize(engine, s), Object: engine.Object(s.Bulk)}
	return out, out.detail(ctx, engine, s, getBulkIn{Detail: "problems", Limit: 50})
}

// summarize is the summary object of a bulk export.
func summarize(engine *bulk.Engine, s bulk.Status) bulkSummary {
	n := s.Counts
	out := bulkSummary{
		BulkID: s.Bulk.ID, Name: s.Bulk.Name, State: string(s.Bulk.State),
		Chunks: bulkChunks{
			Planned: n.By[ledger.ChunkPlanned], Running: n.Running(), Stored: n.By[ledger.ChunkStored],
			Failed: n.By[ledger.ChunkFailed], Cancelled: n.By[ledger.ChunkCancelled], All: n.All(),
		},
		Rows: n.Rows, Bytes: n.Bytes, Provisional: n.Provisional, ETA: stamp(s.ETA), Folder: engine.Folder(s.Bulk), Problems: []bulkProblem{},
	}
	if all := n.All(); all > 0 {
		out.Percent = float64(1000*out.Chunks.Stored/all) / 10
	}
	if s.Bulk.Reason != "" {
		out.Problems = append(out.Problems, bulkProblem{Problem: s.Bulk.Reason})
	}
	if s.Held != "" {
		out.Problems = append(out.Problems, bulkProblem{Problem: s.Held})
	}
	out.Summary, out.Next = out.inWords(s)
	return out
}

// inWords says how a bulk export stands, and what can be done.
func (o bulkSummary) inWords(s bulk.Status) (summary, next string) {
	stored := fmt.Sprintf("%d of %s stored, %s", o.Chunks.Stored, counted(o.Chunks.All, "chunk"), counted(int(o.Rows), "row"))
	failed := counted(o.Chunks.Failed, "chunk") + " failed"
	switch s.Bulk.State {
	case ledger.BulkComplete:
		summary = fmt.Sprintf("%s is complete: %s, %s, verified.", o.Name, counted(o.Chunks.Stored, "chunk"), counted(int(o.Rows), "row"))
		next = "The files and manifest.json are in folder."
		if o.Rows == 0 {
			next = "No row matched. If rows were expected, check segment, type and the two windows (guide troubleshooting)."
		}
		if o.Provisional > 0 {
			summary += fmt.Sprintf(" %s exported before the rows had settled.", counted(o.Provisional, "chunk"))
			next += " plan_time_chunks with missing_from names what to export again after a day."
		}
	case ledger.BulkPartial, ledger.BulkFailed:
		summary = fmt.Sprintf("%s has ended, and %s: %s.", o.Name, failed, stored)
		next = "detail problems tells why; control_bulk_export with retry_failed tries the failed ones again."
	case ledger.BulkPaused:
		summary = fmt.Sprintf("%s is paused: %s. The reason is in problems.", o.Name, stored)
		next = "Once the reason is gone, control_bulk_export with resume lets it go on; what is stored stays."
	case ledger.BulkCancelled:
		summary = fmt.Sprintf("%s was cancelled: %s.", o.Name, stored)
		next = "What is stored stays in folder. Another name starts it anew."
	default:
		summary = fmt.Sprintf("%s is under way: %s", o.Name, stored)
		if o.Chunks.Failed > 0 {
			summary += ", " + failed
		}
		if o.Chunks.Planned+o.Chunks.Running == 0 && o.Provisional > 0 {
			summary += fmt.Sprintf(", %s to be exported again 24 hours after the end", counted(o.Provisional, "chunk"))
		} else if !s.ETA.IsZero() {
			summary += ", done at about " + stamp(s.ETA)
		}
		summary += "."
		next = "Call again with wait_seconds, or later: the work goes on by itself."
		if s.Held != "" {
			summary += " It is held up at present; see problems."
		}
	}
	return summary, next
}

// detail adds what was asked for beyond the summary.
func (o *BulkStatus) detail(ctx context.Context, engine *bulk.Engine, s bulk.Status, in getBulkIn) error {
	switch in.Detail {
	case "problems":
		problems, err := engine.Problems(ctx, s.Bulk, in.Limit)
		for _, p := range problems {
			text := clean(p.Text, 400)
			if !p.Failed {
				text = "Tried again by itself. " + text
			}
			o.Problems = append(o.Problems, bulkProblem{Start: stamp(p.Start), End: stamp(p.End), Problem: text})
		}
		o.HasMore = len(problems) >= in.Limit
		return err
	case "chunks":
		chunks, err := engine.Chunks(ctx, s.Bulk, in.Offset, in.Limit)
		for _, c := range chunks {
			o.Windows = append(o.Windows, bulkWindow{Start: stamp(c.Start), End: stamp(c.End), State: string(c.State), Rows: c.Rows})
		}
		o.HasMore = in.Offset+len(chunks) < o.Chunks.All
		if o.HasMore {
			o.Next = fmt.Sprintf("Call again with offset %d for more. %s", in.Offset+len(chunks), o.Next)
		}
		return err
	}
	return nil
}

// unknownBulk is a bulk export that could not be told of, most often because
// there is none of that id.
type unknownBulk struct {
	id  string
	err error
}

func (u *unknownBulk) Error() string {
	return "bulk export " + strings.TrimSpace(u.id) + ": " + u.err.Error()
}
func (u *unknownBulk) Unwrap() error { return u.err }
