package bulk

import (
	"context"
	"encoding/json"
	"time"

	"fullstory-export-mcp/ledger"
)

const (
	// attempts is how many exports of a window at the floor are tried.
	attempts = 4
	// againAfter is before the second; it doubles.
	againAfter = 15 * time.Second
)

// again lets a chunk whose export came to nothing go on: as two halves while it
// is long enough and halve is set, or else as it is, later, or not at all after
// so many attempts. What is already finished of it is kept either way.
func (w *worker) again(t *ledger.Tx, c ledger.Chunk, reason string, halve bool) error {
	c.Attempts++
	c.Error, c.Export = clipped(reason), ""
	if length := c.End.Sub(c.Start); halve && length >= 2*w.o.Floor {
		last, err := t.LastNumber(c.Bulk)
		if err != nil {
			return err
		}
		if err := move(t, c, ledger.ChunkSplit); err != nil {
			return err
		}
		middle := c.Start.Add((length / 2).Truncate(time.Minute))
		return t.AddChunks([]ledger.Chunk{
			{Bulk: c.Bulk, Number: last + 1, Start: c.Start, End: middle, State: ledger.ChunkPlanned},
			{Bulk: c.Bulk, Number: last + 2, Start: middle, End: c.End, State: ledger.ChunkPlanned},
		})
	}
	if c.Attempts >= attempts {
		return move(t, c, ledger.ChunkFailed)
	}
	c.NextAt = time.Now().Add(jitter(againAfter << (c.Attempts - 1)))
	return move(t, c, ledger.ChunkPlanned)
}

// reasonLimit is the most of a reason that is kept, in bytes.
const reasonLimit = 500

func clipped(reason string) string {
	if len(reason) > reasonLimit {
		return reason[:reasonLimit] + "…"
	}
	return reason
}

// rejected takes in that some operation is not that of an uncertain export. The
// other candidates are left; without any the search begins anew. unclear, if it
// is set, is an operation which may be the export's all the same.
func (w *worker) rejected(ctx context.Context, x ledger.Export, list []candidate, unclear string, from ledger.ExportState) error {
	raw, err := json.Marshal(list)
	if err != nil {
		return err
	}
	x.Candidates, x.Operation, x.SearchExport = raw, "", ""
	to := ledger.ChunkUncertain
	x.State = ledger.ExportUncertain
	if len(possible(list)) == 0 {
		x.State, to = ledger.ExportCreating, ledger.ChunkCreating
		x.LookedAt = time.Time{}
	}
	err = w.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.SaveExport(x, from); err != nil {
			return err
		}
		if unclear != "" {
			note := ledger.Entry{Account: x.Account, Caller: x.AskedBy, Event: ledger.Unclear, Bulk: x.Bulk, Export: x.ID, Operation: unclear}
			if err := t.Note(note); err != nil {
				return err
			}
		}
		return moveOwn(t, x, to)
	})
	nudge(w.watches)
	nudge(w.creates)
	return ignoreMoved(err)
}

// reject does so for the operation whose file was looked at.
func (w *worker) reject(ctx context.Context, x ledger.Export, empty bool) error {
	list := candidates(x)
	unclear := ""
	if empty {
		unclear = x.Operation
	}
	for i := range list {
		if list[i].Operation == x.Operation {
			list[i].Rejected = true
		}
	}
	return w.rejected(ctx, x, list, unclear, ledger.ExportCompleted)
}
