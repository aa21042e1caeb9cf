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
)

// fileStore keeps the packed files of exports. They are made in the background,
// a few at a time, while their operations run. Equal exports give equal bytes.
// It is safe for concurrent use, also by several processes on one folder.
type fileStore struct {
	dir     string
	ctx     context.Context
	stop    context.CancelFunc
	slots   chan struct{}
	running sync.WaitGroup

	mu   sync.Mutex
	byID map[string]*making
}

// makingPrefix begins the names of files that are not whole.
const makingPrefix = ".making-"

// making is a file that is made or was.
type making struct {
	done bool
	err  error
}

// newFileStore opens the folder dir. Files that are older than life are removed:
// their exports have expired.
func newFileStore(dir string, life time.Duration) (*fileStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		keep := life + time.Hour
		if strings.HasPrefix(e.Name(), makingPrefix) {
			keep = time.Hour // a process died while it made it
		}
		if time.Since(info.ModTime()) > keep {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	return &fileStore{dir: dir, ctx: ctx, stop: stop, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), byID: map[string]*making{}}, nil
}

// close ends what is being made.
func (f *fileStore) close() {
	f.stop()
	f.running.Wait()
}

// ready tells whether the file of id is there. If it is not, it begins to make
// it with write.
func (f *fileStore) ready(id string, write func(context.Context, io.Writer) error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.byID[id]; m != nil {
		return m.done
	}
	m := &making{}
	if _, err := os.Stat(f.path(id)); err == nil {
		m.done = true
	} else if f.ctx.Err() == nil {
		f.running.Go(func() { f.make(id, m, write) })
	}
	f.byID[id] = m
	return m.done
}

// failure returns why the file of id could not be made, or nil.
func (f *fileStore) failure(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.byID[id]; m != nil {
		return m.err
	}
	return nil
}

func (f *fileStore) path(id string) string { return filepath.Join(f.dir, id) }

func (f *fileStore) open(id string) (*os.File, error) { return os.Open(f.path(id)) }

func (f *fileStore) make(id string, m *making, write func(context.Context, io.Writer) error) {
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	err := f.write(id, write)
	f.mu.Lock()
	defer f.mu.Unlock()
	m.done, m.err = err == nil, err
}

func (f *fileStore) write(id string, write func(context.Context, io.Writer) error) error {
	temporary, err := os.CreateTemp(f.dir, makingPrefix+"*")
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

// made tells whether the file of an export is there, and sees to it that it
// will be.
func (s *Sandbox) made(x export) bool {
	segment := s.segment(x.request.Segment)
	if segment == nil { // the state is of a sandbox with other segments
		return true
	}
	return s.files.ready(x.id, func(ctx context.Context, w io.Writer) error {
		_, err := s.data.write(ctx, w, x.request.query(segment, x.created))
		return err
	})
}

func (s *Sandbox) failedToMake(x export) error { return s.files.failure(x.id) }
