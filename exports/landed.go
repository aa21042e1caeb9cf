package exports

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/landing"
)

const (
	// landingLimit bounds a conversion of a folder for calls. The files made until then stay.
	landingLimit = time.Hour
	// mostLanded is of how many folders it is known that their Parquet files are made.
	mostLanded = 1000
)

// landings make the Parquet files of folders for calls, in the background: a large folder
// takes longer than a call may. Calls for the same folder share a conversion, and an account
// has one at a time. The zero value is ready; it is safe for concurrent use.
type landings struct {
	mu    sync.Mutex
	runs  map[string]*landingRun       // by folder: those under way
	known map[string][sha256.Size]byte // by folder: the files that were all converted
	turn  chan struct{}                // held by the conversion that works
	ctx   context.Context              // of the conversions; nil before the first
	stop  context.CancelFunc
	ended sync.WaitGroup // conversions
}

// converter makes the Parquet files of a folder, and calls report as it gets on.
type converter func(ctx context.Context, report func(landing.Progress)) (landing.Result, error)

// landingRun is a conversion under way.
type landingRun struct {
	done   chan struct{} // closed when result and err are set
	result landing.Result
	err    error

	mu       sync.Mutex
	progress landing.Progress
}

func (r *landingRun) at(p landing.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress = p
}

// percent returns how much of the exported files has been read.
func (r *landingRun) percent() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return 100 * r.progress.Bytes / max(1, r.progress.AllBytes)
}

// sumOf identifies files by their content.
func sumOf(files []archive.File) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%s\x00", f.Name, f.SHA256)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// get waits until the Parquet files of a folder with these files are made. It returns the run
// without a result if ctx ends first; the conversion continues. convert makes the files.
func (l *landings) get(
	ctx context.Context, folder string, files []archive.File, convert converter,
) (r *landingRun, ended bool) {
	r = l.run(ctx, folder, sumOf(files), convert)
	select {
	case <-r.done:
		return r, true
	case <-ctx.Done():
		return r, false
	}
}

// run returns the run of a folder, which is a new one if none is under way.
func (l *landings) run(
	ctx context.Context, folder string, sum [sha256.Size]byte, convert converter,
) *landingRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.runs[folder]; r != nil {
		return r
	}
	r := &landingRun{done: make(chan struct{})}
	if l.known[folder] == sum {
		close(r.done)
		return r
	}
	if l.ctx == nil {
		l.ctx, l.stop = context.WithCancel(context.Background())
		l.runs, l.turn = map[string]*landingRun{}, make(chan struct{}, 1)
	}
	if l.known == nil || len(l.known) >= mostLanded {
		l.known = map[string][sha256.Size]byte{}
	}
	l.runs[folder] = r
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), landingLimit)
	unlink := context.AfterFunc(l.ctx, cancel)
	turn := l.turn
	l.ended.Go(func() {
		defer cancel()
		defer unlink()
		r.work(work, turn, convert)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.runs, folder)
		if r.err == nil && len(r.result.Problems) == 0 {
			l.known[folder] = sum
		}
		close(r.done)
	})
	return r
}

// work waits for its turn and converts.
func (r *landingRun) work(ctx context.Context, turn chan struct{}, convert converter) {
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
		r.result, r.err = convert(ctx, r.at)
	case <-ctx.Done():
		r.err = ctx.Err()
	}
}

// forget makes the next get look at the files again.
func (l *landings) forget(folder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, folder)
}

// close ends the conversions and waits for their end.
func (l *landings) close() {
	l.mu.Lock()
	if l.stop != nil {
		l.stop()
	}
	l.ctx, l.stop = nil, nil
	l.mu.Unlock()
	l.ended.Wait()
}
