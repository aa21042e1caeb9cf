package web

import (
	"context"

	"fullstory-export-mcp/exports"
)

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
func (v *visit) drawBulk(ctx context.Context, a *exports.Account, id string) (exports.Drawing, error) {
	d, err := a.DrawBulks(ctx, id)
	return sent(d, v.can(v.mayAct())), err
}

// drawSync returns the drawing of a sync.
func (v *visit) drawSync(ctx context.Context, a *exports.Account, id string) (exports.Drawing, error) {
	s, err := a.SyncStatus(ctx, id)
	if err != nil {
		return exports.Drawing{}, err
	}
	d, err := a.DrawSyncs(ctx, s)
	return sent(d, v.can(v.maySync())), err
}

// sent returns a drawing as it is sent to a person who can do what can says.
func sent(d exports.Drawing, can []string) exports.Drawing {
	for i, item := range d.Items {
		switch s := item.(type) {
		case exports.BulkStatus:
			d.Items[i] = bulkOf(s)
		case exports.SyncStatus:
			d.Items[i] = syncOf(s)
		}
	}
	d.Can = can
	return d
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

// drawList returns the drawing of a list. A list of one export is drawn like that export.
func (v *visit) drawList(ctx context.Context, a *exports.Account, l listed) (exports.Drawing, error) {
	switch {
	case len(l.Syncs) == 1 && len(l.Bulks) == 0:
		return v.drawSync(ctx, a, l.Syncs[0].SyncID)
	case len(l.Syncs) == 0 && len(l.Bulks) == 1:
		return v.drawBulk(ctx, a, l.Bulks[0].BulkID)
	}
	d := exports.Drawing{Items: []any{}, Calendars: map[string]exports.Calendar{}, Simulated: v.s.o.Sandbox}
	for _, s := range l.Syncs {
		d.Items = append(d.Items, s)
	}
	for _, b := range l.Bulks {
		d.Items = append(d.Items, exports.BulkStatus{BulkSummary: b})
	}
	return sent(d, v.can(false)), nil
}
