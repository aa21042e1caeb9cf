package exports

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// BulkStatus is the state of a bulk export, with details. It is what get_bulk_export
// returns and what run --json prints. Names of arguments and tools in its texts are in
// backticks; see ForTerminal.
type BulkStatus struct {
	BulkSummary
	Object   string             `json:"object,omitempty"`
	Warnings []preflight.Notice `json:"warnings,omitempty" schema:"brief"`
	Windows  []BulkWindow       `json:"windows,omitempty"`
	HasMore  bool               `json:"has_more,omitempty"`
}

// BulkSummary is the state of a bulk export.
type BulkSummary struct {
	Summary     string        `json:"summary"`
	BulkID      string        `json:"bulk_id"`
	Name        string        `json:"name"`
	State       string        `json:"state" jsonschema_description:"running, paused, complete, partial, failed, cancelled."`
	Chunks      BulkChunks    `json:"chunks"`
	Percent     float64       `json:"percent"`
	Rows        int64         `json:"rows"`
	Bytes       int64         `json:"bytes"`
	Provisional int           `json:"provisional,omitempty" jsonschema_description:"Stored chunks whose rows may still change."`
	ETA         string        `json:"eta,omitempty"`
	Folder      string        `json:"folder"`
	Parquet     *BulkParquet  `json:"parquet,omitempty" schema:"brief" jsonschema_description:"folder, state (pending, made, failed, cancelled), files, rows."`
	Export      *Description  `json:"export,omitempty" schema:"brief"`
	Problems    []BulkProblem `json:"problems"`
	Next        string        `json:"next,omitempty"`
}

// BulkChunks counts the chunks of a bulk export by their states.
type BulkChunks struct {
	Planned   int `json:"planned"`
	Running   int `json:"running"`
	Stored    int `json:"stored"`
	Failed    int `json:"failed"`
	Missing   int `json:"missing,omitempty"` // stored, but the file is missing or has another size
	Cancelled int `json:"cancelled"`
	All       int `json:"all"`
}

// BulkProblem is a problem of a window, or of the whole bulk export if Start is empty.
type BulkProblem struct {
	Start   string `json:"start,omitempty"`
	End     string `json:"end,omitempty"`
	Problem string `json:"problem"`
}

// BulkWindow is a chunk of a bulk export. Its times are in the zone of the request.
type BulkWindow struct {
	Start string `json:"start"`
	End   string `json:"end"`
	State string `json:"state"`
	Rows  int64  `json:"rows"`
	File  string `json:"file,omitempty"`
}

// BulkQuery selects the details of a BulkStatus.
type BulkQuery struct {
	Detail        Detail
	Offset, Limit int // of the chunks; Limit bounds the problems too
}

// Detail is what a BulkStatus contains beyond the summary.
type Detail string

// The details.
const (
	DetailSummary  Detail = "summary"  // nothing
	DetailProblems Detail = "problems" // windows that failed, files that are missing, notices
	DetailChunks   Detail = "chunks"   // every window
)

// bulkPollInterval is the pause between two reads of a bulk export while a call waits.
const bulkPollInterval = 200 * time.Millisecond

// Bulk waits until a bulk export, given by id or name, is not running any more or only
// waits for rows to settle, and its Parquet files are made, or until the instant until, and
// returns its status then. A zero until does not wait.
func (a *Account) Bulk(
	ctx context.Context, id string, q BulkQuery, until time.Time, report Report,
) (BulkStatus, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return BulkStatus{}, err
	}
	for {
		s, err := engine.Status(ctx, id)
		left := time.Until(until)
		if err != nil {
			return BulkStatus{}, unknownBulk(id, err)
		}
		over := s.Bulk.State != ledger.BulkRunning || s.Counts.Settling()
		if over && !s.converting() || left <= 0 {
			out := BulkStatus{BulkSummary: summarize(engine, s), Object: engine.Object(s.Bulk)}
			return out, out.detail(ctx, engine, s, q)
		}
		stored, all := s.Counts.By[ledger.ChunkStored]-s.Damaged, s.Counts.All()
		report.say(100*float64(stored)/float64(max(1, all)), "%d of %d chunks are stored.", stored, all)
		select {
		case <-ctx.Done():
			return BulkStatus{}, ctx.Err()
		case <-time.After(min(bulkPollInterval, left)):
		}
	}
}

// BulkStatus returns the status of a bulk export now, with its problems.
func (a *Account) BulkStatus(ctx context.Context, id string) (BulkStatus, error) {
	return a.Bulk(ctx, id, BulkQuery{Detail: DetailProblems, Limit: 50}, time.Time{}, nil)
}

// summarize returns the state of a bulk export.
func summarize(engine *Exports, s Status) BulkSummary {
	n := s.Counts
	request, _ := requestOf(s.Bulk)
	s.Bulk.Reason, s.BlockedReason = client.Clean(s.Bulk.Reason, pauseLimit), client.Clean(s.BlockedReason, pauseLimit)
	out := BulkSummary{
		BulkID: s.Bulk.ID, Name: s.Bulk.Name, State: string(s.Bulk.State),
		Chunks: BulkChunks{
			Planned: n.By[ledger.ChunkPlanned], Running: n.Running(), Stored: n.By[ledger.ChunkStored],
			Failed: n.By[ledger.ChunkFailed], Cancelled: n.By[ledger.ChunkCancelled], All: n.All(),
		},
		Rows: n.Rows, Bytes: n.Bytes, Provisional: n.Provisional,
		ETA: StampIn(s.ETA, zoneOf(request)), Folder: engine.Folder(s.Bulk), Problems: []BulkProblem{},
	}
	out.subtractLost(s.files.damaged)
	if all := n.All(); all > 0 {
		out.Percent = float64(1000*out.Chunks.Stored/all) / 10
	}
	if s.Bulk.Reason != "" {
		out.Problems = append(out.Problems, BulkProblem{Problem: s.Bulk.Reason})
	}
	for _, reason := range []string{s.BlockedReason, s.SlowReason, s.files.unchecked} {
		if reason != "" {
			out.Problems = append(out.Problems, BulkProblem{Problem: reason})
		}
	}
	var problem string
	if out.Parquet, problem = engine.parquet(s); problem != "" {
		out.Problems = append(out.Problems, BulkProblem{Problem: problem})
	}
	if request, ok := requestOf(s.Bulk); ok {
		out.Export = describe(request, s.Bulk.SegmentName)
	}
	out.Summary, out.Next = out.inWords(s)
	return out
}

// inWords describes the state of a bulk export in a summary, and the next step.
func (o BulkSummary) inWords(s Status) (summary, next string) {
	stored := fmt.Sprintf("%d of %s stored, %s",
		o.Chunks.Stored, Counted(o.Chunks.All, "chunk"), Counted(int(o.Rows), "row"))
	if s.Damaged > 0 {
		stored += "; " + s.lostText()
	}
	request, known := requestOf(s.Bulk)
	switch s.Bulk.State {
	case ledger.BulkComplete:
		summary, next = o.completeInWords(request, s.files.unchecked)
	case ledger.BulkPartial, ledger.BulkFailed:
		summary = fmt.Sprintf("%s has ended, and %s failed: %s.", o.Name, Counted(o.Chunks.Failed, "chunk"), stored)
		next = "`detail` problems shows why; `control_bulk_export` with `retry_failed` exports these chunks again."
		if o.Chunks.Failed == 0 && s.Damaged > 0 {
			summary, next = o.lostInWords(s), "`control_bulk_export` with `retry_failed` exports them again."
		}
	case ledger.BulkPaused:
		summary = fmt.Sprintf("%s is paused: %s. %s", o.Name, stored, s.Bulk.Reason)
		next = "`control_bulk_export` with resume continues it; stored files stay."
		if s.Bulk.Reason != PausedOnRequest {
			next = "Once the reason is fixed, which may need the user, `control_bulk_export` with resume continues it; stored " +
				"files stay."
		}
	case ledger.BulkCancelled:
		summary = fmt.Sprintf("%s was cancelled: %s.", o.Name, stored)
		next = "Stored files stay in `folder`. To start it anew, give another `name`."
	default:
		summary, next = o.runningInWords(s, stored)
	}
	summary, next = o.parquetInWords(s, strings.TrimSpace(summary), next)
	if known {
		summary += " " + contentSentences(request, segmentName(s.Bulk))
	}
	return summary, next
}

// FilesInFolder is the next step after a bulk export that is complete.
const FilesInFolder = "The files and manifest.json are in `folder`."

// completeInWords does the same for a bulk export that is complete. unchecked is why its
// files could not be checked, a sentence, or "".
func (o BulkSummary) completeInWords(request client.ExportRequest, unchecked string) (summary, next string) {
	chunks := Counted(o.Chunks.Stored, "chunk")
	summary = fmt.Sprintf("%s is complete: %s, %s, verified.", o.Name, chunks, Counted(int(o.Rows), "row"))
	next = FilesInFolder
	if o.Rows == 0 {
		var reason string
		reason, next = WhyEmpty(request)
		summary = fmt.Sprintf("No row matched: %s has ended with %s and 0 rows. %s", o.Name, chunks, reason)
	}
	if request.Type == client.TypeIndividual && o.Chunks.Stored > 1 && o.Rows > 0 {
		summary += " Each person has a row in every chunk with activity: there may be fewer people than rows."
	}
	if unchecked != "" {
		summary += " Whether the files are still there is not known. " + unchecked
	}
	if o.Provisional > 0 {
		summary += fmt.Sprintf(" %s exported before the rows had settled.", Counted(o.Provisional, "chunk"))
		next += " `plan_time_chunks` with `missing_from` names what to export again after a day."
	}
	return summary, next
}

// runningInWords does the same for a bulk export that is running.
func (o BulkSummary) runningInWords(s Status, stored string) (summary, next string) {
	request, _ := requestOf(s.Bulk)
	summary, next = fmt.Sprintf("%s is under way: %s", o.Name, stored),
		"`get_bulk_export` with `wait_seconds` waits for it; the work continues in the background."
	if s.Damaged > 0 {
		summary += "; " + againText(s.Damaged)
	}
	if o.Chunks.Failed > 0 {
		summary += ", " + Counted(o.Chunks.Failed, "chunk") + " failed"
	}
	if o.Chunks.Planned+o.Chunks.Running == 0 && o.Provisional > 0 {
		summary += fmt.Sprintf(", %s to be exported again 24 hours after the end", Counted(o.Provisional, "chunk"))
		next = "The files in `folder` can be used. Rows may still change; the rest is done in the background, a day after " +
			"the end of each chunk, so there is nothing to wait for now."
	} else if !s.ETA.IsZero() {
		summary += ", done at about " + At(s.ETA, request)
	}
	summary += ". It was started " + lasted(s.Age) + " ago"
	if left := s.ETA.Sub(s.At); !s.ETA.IsZero() && left >= time.Second {
		summary += " and needs about " + lasted(left) + " more"
	}
	summary += "."
	if s.BlockedReason != "" {
		summary += " It is blocked at present: " + s.BlockedReason
	}
	if s.SlowReason != "" {
		summary += " It is slow at present: " + lowered(s.SlowReason)
	}
	return summary, next
}

// detail adds the details that q selects.
func (o *BulkStatus) detail(ctx context.Context, engine *Exports, s Status, q BulkQuery) error {
	switch q.Detail {
	case DetailProblems:
		o.Warnings = noticesOf(s.Bulk)
		return o.addProblems(ctx, engine, s, q)
	case DetailChunks:
		return o.addChunks(ctx, engine, s, q)
	}
	return nil
}

// addProblems adds the problems of windows.
func (o *BulkStatus) addProblems(ctx context.Context, engine *Exports, s Status, q BulkQuery) error {
	request, _ := requestOf(s.Bulk)
	problems, err := engine.Problems(ctx, s, q.Limit)
	for _, p := range problems {
		if p.Text == s.Bulk.Reason {
			continue // the summary has it already
		}
		o.Problems = append(o.Problems, BulkProblem{
			Start: StampIn(p.Start, zoneOf(request)), End: StampIn(p.End, zoneOf(request)),
			Problem: problemInWords(s.Bulk.State, p, request),
		})
	}
	fitting := Fitting(o.Problems)
	o.HasMore = len(problems) >= q.Limit || fitting < len(o.Problems)
	o.Problems = o.Problems[:fitting]
	return err
}

// addChunks adds a page of the chunks.
func (o *BulkStatus) addChunks(ctx context.Context, engine *Exports, s Status, q BulkQuery) error {
	chunks, err := engine.Chunks(ctx, s.Bulk, q.Offset, q.Limit)
	suffix, _ := suffixOf(s.Bulk)
	damaged := make(map[int64]damagedFile, len(s.files.damaged))
	for _, d := range s.files.damaged {
		damaged[d.chunk.Number] = d
	}
	for _, c := range chunks {
		o.Windows = append(o.Windows, windowOf(s, c, suffix, damaged))
	}
	o.HasMore = q.Offset+len(chunks) < o.Chunks.All
	if o.HasMore {
		o.Next = fmt.Sprintf("Call again with `offset` %d for more. %s", q.Offset+len(chunks), o.Next)
	}
	return err
}

const (
	// pauseLimit is the most characters of the reason why a bulk export is blocked, with
	// its remedy.
	pauseLimit = 1000
	// problemLimit is the most characters of the problem of a window.
	problemLimit = 400
)

// problemInWords describes a problem of a window, and when the window is retried.
func problemInWords(state ledger.BulkState, p Problem, r client.ExportRequest) string {
	text := client.Clean(p.Text, problemLimit)
	switch {
	case p.Failed:
		return text
	case state != ledger.BulkRunning:
		return "It waits until the bulk export is resumed. " + text
	case !p.NextAt.IsZero():
		return "It is retried at " + At(p.NextAt, r) + ". " + text
	}
	return "It is retried. " + text
}

// noticesOf returns the notices that were given when a bulk export was started; nil if
// the ledger has none.
func noticesOf(b ledger.Bulk) (notices []preflight.Notice) {
	if json.Unmarshal(b.Notices, &notices) != nil {
		return nil
	}
	return notices
}
