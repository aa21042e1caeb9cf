package exports

import (
	"fmt"
	"strings"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

// The states that a stored chunk has in a BulkWindow if its file is not as it was stored.
const (
	windowMissing = "missing"
	windowDamaged = "damaged" // another size
)

// subtractLost takes the damaged files out of what is stored.
func (o *BulkSummary) subtractLost(damaged []damagedFile) {
	o.Chunks.Missing = len(damaged)
	o.Chunks.Stored = max(0, o.Chunks.Stored-len(damaged))
	for _, d := range damaged {
		o.Rows, o.Bytes = max(0, o.Rows-d.chunk.Rows), max(0, o.Bytes-d.chunk.Bytes)
		if d.chunk.Provisional {
			o.Provisional = max(0, o.Provisional-1)
		}
	}
}

// lostText names the windows of damaged files, such as "missing: 13 Sep, 20 Sep; of
// another size: 15 Sep"; "" without any.
func (s Status) lostText() string {
	request, _ := requestOf(s.Bulk)
	var missing, resized []plan.Range
	for _, d := range s.files.damaged {
		if w := (plan.Range{Start: d.chunk.Start, End: d.chunk.End}); d.missing {
			missing = append(missing, w)
		} else {
			resized = append(resized, w)
		}
	}
	var parts []string
	named := func(what string, windows []plan.Range) {
		if len(windows) > 0 {
			parts = append(parts, what+": "+windowsText(windows, rangeOf(request), zoneOf(request)))
		}
	}
	named("missing", missing)
	named("of another size", resized)
	return strings.Join(parts, "; ")
}

// lostInWords describes a bulk export that has ended with nothing wrong but damaged
// files, such as "september is incomplete: 29 of 30 files; missing: 13 Sep; `retry_failed`
// exports it again. 14,000 rows are stored."
func (o BulkSummary) lostInWords(s Status) string {
	return fmt.Sprintf("%s is incomplete: %d of %s; %s; %s. %s stored.", o.Name,
		o.Chunks.Stored, Counted(o.Chunks.All, "file"), s.lostText(), againText(s.Damaged), Counted(int(o.Rows), "row"))
}

// againText says how n files are exported again.
func againText(n int) string {
	if n == 1 {
		return "`retry_failed` exports it again"
	}
	return "`retry_failed` exports them again"
}

// damagedText says that stored files are missing or have another size.
func damagedText(n int) string {
	if n == 1 {
		return "1 stored file is missing or damaged"
	}
	return fmt.Sprintf("%d stored files are missing or damaged", n)
}

// windowOf returns a chunk as a BulkWindow. damaged are the damaged files by the number of
// their chunk.
func windowOf(s Status, c ledger.Attempt, suffix string, damaged map[int64]damagedFile) BulkWindow {
	request, _ := requestOf(s.Bulk)
	w := BulkWindow{
		Start: StampIn(c.Start, zoneOf(request)), End: StampIn(c.End, zoneOf(request)), State: string(c.State), Rows: c.Rows,
	}
	if c.State != ledger.ChunkStored {
		return w
	}
	w.File = archive.FileName(c.Start, c.End, suffix)
	if d, ok := damaged[c.Number]; ok {
		w.Rows = 0
		if w.State = windowDamaged; d.missing {
			w.State = windowMissing
		}
	}
	return w
}
