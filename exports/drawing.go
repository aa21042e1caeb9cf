package exports

import (
	"context"
	"errors"
	"time"

	"fullstory-export-mcp/ledger"
)

// mostCalendars is how many calendars a drawing of several exports has.
const mostCalendars = 3

// Drawing is what package views draws: one bulk export or sync, or a list of them.
type Drawing struct {
	Items     []any               `json:"items"`     // BulkStatus or SyncStatus, all of one kind
	Calendars map[string]Calendar `json:"calendars"` // by id of the bulk export, of the first few
	// Can is what the caller may do: pause, resume, retry. Those who serve a drawing set it.
	Can       []string `json:"can"`
	Simulated bool     `json:"simulated,omitempty"` // the data is that of the built-in sandbox
}

func (a *Account) newDrawing() Drawing {
	return Drawing{Items: []any{}, Calendars: map[string]Calendar{}, Can: []string{}, Simulated: a.Sandbox}
}

// DrawBulks returns the drawing of bulk exports, given by ids or names: of one with its problems,
// of several without.
func (a *Account) DrawBulks(ctx context.Context, ids ...string) (Drawing, error) {
	d, query := a.newDrawing(), BulkQuery{}
	if len(ids) == 1 {
		query = BulkQuery{Detail: DetailProblems, Limit: 50}
	}
	for _, id := range ids {
		s, err := a.Bulk(ctx, id, query, time.Time{}, nil)
		if err != nil {
			return d, err
		}
		d.Items = append(d.Items, s)
		if len(d.Calendars) < mostCalendars {
			if d.Calendars[s.BulkID], err = a.BulkCalendar(ctx, s.BulkID); err != nil {
				return d, err
			}
		}
	}
	return d, nil
}

// DrawSyncs returns the drawing of syncs with these states. One that was removed has no calendar.
func (a *Account) DrawSyncs(ctx context.Context, syncs ...SyncStatus) (_ Drawing, err error) {
	d := a.newDrawing()
	for _, s := range syncs {
		d.Items = append(d.Items, s)
		if len(d.Calendars) == mostCalendars {
			continue
		}
		c, err := a.SyncCalendar(ctx, s.SyncID)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return d, err
		}
		d.Calendars[s.BulkID] = c
	}
	return d, nil
}
