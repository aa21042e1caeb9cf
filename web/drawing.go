package web

import (
	"context"

	"fullstory-export-mcp/exports"
)

// drawing is the data of package views.
type drawing struct {
	Items     []any                       `json:"items"` // exports.BulkStatus or exports.SyncStatus
	Calendars map[string]exports.Calendar `json:"calendars"`
	Can       []string                    `json:"can"`
}

// bulkOf returns a bulk export as it is sent: without the folder on the server's disk, and without
// sentences that are for an assistant.
func bulkOf(s exports.BulkStatus) exports.BulkStatus {
	s.Folder, s.Object, s.Summary, s.Next, s.Warnings = "", "", "", "", nil
	return s
}

// syncOf returns a sync likewise.
func syncOf(s exports.SyncStatus) exports.SyncStatus {
	s.Folder, s.Summary, s.Next, s.Into = "", "", "", ""
	return s
}

// can returns what the person may do.
func (v *visit) can(may bool) []string {
	if !may {
		return []string{}
	}
	return []string{"pause", "resume", "retry"}
}

// drawBulk returns the drawing of a bulk export.
func (v *visit) drawBulk(ctx context.Context, a *exports.Account, id string) (drawing, exports.BulkStatus, error) {
	s, err := a.BulkStatus(ctx, id)
	if err != nil {
		return drawing{}, s, err
	}
	d := drawing{Items: []any{bulkOf(s)}, Calendars: map[string]exports.Calendar{}, Can: v.can(v.mayAct())}
	d.Calendars[s.BulkID], err = a.BulkCalendar(ctx, s.BulkID)
	return d, s, err
}

// drawSync returns the drawing of a sync.
func (v *visit) drawSync(ctx context.Context, a *exports.Account, id string) (drawing, exports.SyncStatus, error) {
	s, err := a.SyncStatus(ctx, id)
	if err != nil {
		return drawing{}, s, err
	}
	d := drawing{Items: []any{syncOf(s)}, Calendars: map[string]exports.Calendar{}, Can: v.can(v.maySync())}
	d.Calendars[s.BulkID], err = a.SyncCalendar(ctx, s.SyncID)
	return d, s, err
}

// pageLength is how many bulk exports, files or entries a page has.
const pageLength = 50

// listed is what the list shows.
type listed struct {
	Syncs []exports.SyncStatus
	Bulks []exports.BulkSummary
	Next  int // offset of the next page of bulk exports; 0: this is the last
}

// listOf returns the syncs of an account, and a page of its bulk exports without those of syncs.
func listOf(ctx context.Context, a *exports.Account, offset int) (l listed, err error) {
	if !a.HasLedger() { // nothing was ever requested, and looking must not create one
		return l, nil
	}
	all, err := a.Syncs(ctx)
	if err != nil {
		return l, err
	}
	ofSync := map[string]bool{}
	for _, s := range all {
		ofSync[s.BulkID] = true
		if offset == 0 {
			l.Syncs = append(l.Syncs, s)
		}
	}
	bulks, err := a.Bulks(ctx, "", offset, pageLength)
	for _, b := range bulks.Bulks {
		if !ofSync[b.BulkID] {
			l.Bulks = append(l.Bulks, b)
		}
	}
	l.Next = bulks.Next
	return l, err
}

// drawing returns the drawing of a list. A list of one export is drawn like that export.
func (v *visit) drawList(ctx context.Context, a *exports.Account, l listed) (drawing, error) {
	d := drawing{Items: []any{}, Calendars: map[string]exports.Calendar{}, Can: v.can(v.mayAct() && v.maySync())}
	for _, s := range l.Syncs {
		d.Items = append(d.Items, syncOf(s))
	}
	for _, b := range l.Bulks {
		d.Items = append(d.Items, bulkOf(exports.BulkStatus{BulkSummary: b}))
	}
	var err error
	if len(d.Items) == 1 {
		if len(l.Syncs) == 1 {
			d.Calendars[l.Syncs[0].BulkID], err = a.SyncCalendar(ctx, l.Syncs[0].SyncID)
		} else {
			d.Calendars[l.Bulks[0].BulkID], err = a.BulkCalendar(ctx, l.Bulks[0].BulkID)
		}
	}
	return d, err
}
