package bulk

import (
	"fmt"
	"slices"

	"fullstory-export-mcp/ledger"
)

// transitions are the ways of a chunk, from each state to those that may follow:
//
//	planned → creating → running → ready → downloading → stored
//	             ↘ uncertain   ↘ planned again, split into halves, or failed
//
// A stored chunk is planned again when it was exported too early and is to be
// settled. Cancelled is reached from every state in which something is left to
// do; from failed only planned is, when a person asks for it.
var transitions = map[ledger.ChunkState][]ledger.ChunkState{
	ledger.ChunkPlanned:     {ledger.ChunkCreating, ledger.ChunkRunning, ledger.ChunkReady, ledger.ChunkCancelled},
	ledger.ChunkCreating:    {ledger.ChunkRunning, ledger.ChunkUncertain, ledger.ChunkPlanned, ledger.ChunkSplit, ledger.ChunkFailed, ledger.ChunkCancelled},
	ledger.ChunkUncertain:   {ledger.ChunkReady, ledger.ChunkCreating, ledger.ChunkPlanned, ledger.ChunkCancelled},
	ledger.ChunkRunning:     {ledger.ChunkReady, ledger.ChunkCreating, ledger.ChunkPlanned, ledger.ChunkSplit, ledger.ChunkFailed, ledger.ChunkCancelled},
	ledger.ChunkReady:       {ledger.ChunkDownloading, ledger.ChunkPlanned, ledger.ChunkCancelled},
	ledger.ChunkDownloading: {ledger.ChunkStored, ledger.ChunkReady, ledger.ChunkUncertain, ledger.ChunkCreating, ledger.ChunkPlanned, ledger.ChunkSplit, ledger.ChunkFailed, ledger.ChunkCancelled},
	ledger.ChunkStored:      {ledger.ChunkPlanned},
	ledger.ChunkFailed:      {ledger.ChunkPlanned},
	ledger.ChunkSplit:       {},
	ledger.ChunkCancelled:   {},
}

// move saves c in its new state to, if nobody moved it meanwhile.
func move(t *ledger.Tx, c ledger.Chunk, to ledger.ChunkState) error {
	from := c.State
	if !slices.Contains(transitions[from], to) {
		return fmt.Errorf("a bug: a chunk cannot go from %s to %s", from, to)
	}
	c.State = to
	return t.SaveChunk(c, from)
}
