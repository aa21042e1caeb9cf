package sandbox

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"fullstory-export-mcp/local"
)

// fileStore keeps the gzipped files of exports. It writes them in the background, as
// many at once as there are processors, while their operations run. Equal exports
// give equal bytes, so several processes may share a folder: if two write a file,
// the second replaces it by an equal one. It is safe for concurrent use.
type fileStore struct {
	dir     string
	ctx     context.Context
	stop    context.CancelFunc
	slots   chan struct{}
	running sync.WaitGroup

	mu   sync.Mutex
	byID map[string]*fileState
}

// temporaryPrefix begins the names of files that are being written.
const temporaryPrefix = ".making-"

// fileState says whether a file has been written. Neither done nor err: it is being
// written.
type fileState struct {
	done bool
	err  error
}

// newFileStore opens the folder dir and creates it if missing. It removes files
// that are older than life, because their exports have expired.
func newFileStore(dir string, life time.Duration) (*fileStore, error) {
	if err := local.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := local.CheckPlace(dir); err != nil {
		return nil, err
	}
	entries, err := local.List(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		keep := life + time.Hour
		if strings.HasPrefix(e.Name(), temporaryPrefix) {
			keep = time.Hour // left by a process that died; none takes an hour to write
		}
		if time.Since(info.ModTime()) > keep {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	return &fileStore{dir: dir, ctx: ctx, stop: stop, slots: make(chan struct{}, runtime.GOMAXPROCS(0)),
		byID: map[string]*fileState{}}, nil
}

// close stops writing and waits for the writers to return.
func (f *fileStore) close() {
	f.stop()
	f.running.Wait()
}

// ensure reports whether the file of id is complete. On the first call for an id
// without a file it starts writing one in the background with write. A write that
// fails is not repeated; errorOf returns its error.
func (f *fileStore) ensure(id string, write func(context.Context, io.Writer) error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.byID[id]; m != nil {
		return m.done
	}
	m := &fileState{}
	if _, err := os.Stat(f.path(id)); err == nil {
		m.done = true
	} else if f.ctx.Err() == nil {
		f.running.Go(func() { f.produce(id, m, write) })
	}
	f.byID[id] = m
	return m.done
}

// errorOf returns the error that writing the file of id ended with, or nil.
func (f *fileStore) errorOf(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.byID[id]; m != nil {
		return m.err
	}
	return nil
}

func (f *fileStore) path(id string) string { return filepath.Join(f.dir, id) }

func (f *fileStore) open(id string) (*os.File, error) { return local.Open(f.path(id)) }

// produce writes the file of id once a slot is free, and records the outcome in m.
func (f *fileStore) produce(id string, m *fileState, write func(context.Context, io.Writer) error) {
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	err := f.write(id, write)
	f.mu.Lock()
	defer f.mu.Unlock()
	m.done, m.err = err == nil, err
}

// write writes the file of id with write, gzipped. The file appears under its name
// only when it is complete.
func (f *fileStore) write(id string, write func(context.Context, io.Writer) error) error {
	temporary, err := os.CreateTemp(f.dir, temporaryPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	packed, err := gzip.NewWriterLevel(temporary, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := write(f.ctx, packed); err != nil {
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), f.path(id))
}

// ensureFile reports whether the file of an export is complete, and starts writing
// it if necessary.
func (s *Sandbox) ensureFile(x export) bool {
	segment := s.segment(x.request.Segment)
	if segment == nil { // the state folder is from a sandbox with other segments
		return true
	}
	return s.files.ensure(x.id, func(ctx context.Context, w io.Writer) error {
		_, err := s.data.write(ctx, w, s.config.query(x.request, segment, x.created))
		return err
	})
}

func (s *Sandbox) fileError(x export) error { return s.files.errorOf(x.id) }
