package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

const (
	// looked is how many files of a bulk export are looked at for a status.
	looked = 5000
	// copiesLife is how long a list of the mirror is believed where it is only
	// shown.
	copiesLife = 10 * time.Second
	// copiesLate is by how much a list may be behind what was stored, and the
	// clocks of several machines apart.
	copiesLate = time.Minute
)

// spoiltFile is a stored chunk whose file is missing or has another size.
type spoiltFile struct {
	chunk ledger.Chunk
	text  string
}

// copies are the files of a bulk export in the mirror.
type copies struct {
	bulk  string
	at    time.Time
	sizes map[string]int64
}

// spoiltFiles returns the stored chunks whose files are missing or have another
// size; in the mirror, if there is one, because other processes have stored
// files, too, as it was at most old ago.
func (e *Engine) spoiltFiles(ctx context.Context, b ledger.Bulk, limit int, old time.Duration) (spoilt []spoiltFile, err error) {
	var r client.ExportRequest
	if err := json.Unmarshal(b.Request, &r); err != nil {
		return nil, err
	}
	stored, err := e.o.Ledger.Chunks(ctx, b.ID, 0, looked, ledger.ChunkStored)
	if err != nil || len(stored) == 0 {
		return nil, err
	}
	look := e.onDisk
	if e.o.Mirror != nil {
		if look, err = e.inMirror(ctx, b, old); err != nil {
			return nil, err
		}
	}
	for _, c := range stored {
		if len(spoilt) == limit {
			break
		}
		name := fileName(c, r)
		switch bytes := look(b, c, name); {
		case bytes < 0:
			spoilt = append(spoilt, spoiltFile{c, fmt.Sprintf("The stored file %s is missing; retry_failed exports it again.", name)})
		case bytes != c.Bytes:
			spoilt = append(spoilt, spoiltFile{c, fmt.Sprintf("The stored file %s has %d bytes instead of %d; retry_failed exports it again.", name, bytes, c.Bytes)})
		}
	}
	return spoilt, nil
}

// onDisk returns the bytes of the file of a chunk, -1 if it is missing. One that
// cannot be looked at counts as sound.
func (e *Engine) onDisk(b ledger.Bulk, c ledger.Chunk, name string) int64 {
	info, err := os.Stat(e.o.Archive.Path(b.Name, name))
	switch {
	case os.IsNotExist(err):
		return -1
	case err != nil:
		return c.Bytes
	}
	return info.Size()
}

// inMirror returns what does so for copies in the mirror. One that may be newer
// than the list counts as sound.
func (e *Engine) inMirror(ctx context.Context, b ledger.Bulk, old time.Duration) (func(ledger.Bulk, ledger.Chunk, string) int64, error) {
	e.mu.Lock()
	known := e.copies
	e.mu.Unlock()
	if known.bulk != b.ID || time.Since(known.at) > old {
		known = copies{bulk: b.ID, at: time.Now()}
		var err error
		if known.sizes, err = e.o.Mirror.List(ctx, b.Name); err != nil {
			return nil, err
		}
		e.mu.Lock()
		e.copies = known
		e.mu.Unlock()
	}
	return func(b ledger.Bulk, c ledger.Chunk, name string) int64 {
		bytes, ok := known.sizes[b.Name+"/"+name]
		switch {
		case c.StoredAt.After(known.at.Add(-copiesLate)):
			return c.Bytes
		case !ok:
			return -1
		}
		return bytes
	}, nil
}
