package ledger

import "context"

// Totals are counts over all exports of an account.
type Totals struct {
	InFlight int                // exports that run at Fullstory, or may run there
	Chunks   map[ChunkState]int // of bulk exports that have not ended
	Stored   int64              // bytes of the stored chunks of all bulk exports
}

// Totals returns the counts over all exports of an account.
func (l *Ledger) Totals(ctx context.Context, account string) (Totals, error) {
	t := Totals{Chunks: map[ChunkState]int{}}
	running, err := l.InFlight(ctx, account)
	if t.InFlight = running.All; err != nil {
		return t, err
	}
	type group struct {
		state    ChunkState
		n, bytes int64
	}
	rows, err := l.read.QueryContext(ctx, `SELECT c.state,
			sum(CASE WHEN b.finished_at = 0 THEN 1 ELSE 0 END), sum(c.byte_count)
		FROM bulks b JOIN attempts c ON c.bulk = b.id WHERE b.account = $1 AND b.single = 0 GROUP BY c.state`, account)
	groups, err := all(rows, err, func(row scanner) (g group, err error) {
		err = row.Scan(&g.state, &g.n, &g.bytes)
		return g, err
	})
	for _, g := range groups {
		if g.n > 0 && g.state != ChunkSplit {
			t.Chunks[g.state] = int(g.n)
		}
		if g.state == ChunkStored {
			t.Stored = g.bytes
		}
	}
	return t, l.wrap(err)
}
