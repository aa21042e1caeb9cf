package archive

import (
	"context"
	"errors"
	"sync"
)

// DownloadState says how a download stands.
type DownloadState string

// The states of a download.
const (
	Downloading DownloadState = "downloading"
	Stored      DownloadState = "stored"
	Failed      DownloadState = "failed"
)

// Downloads are the downloads of this process. They go on in the background,
// whoever asked for them, and one file is fetched by one of them. It is safe
// for concurrent use.
type Downloads struct {
	archive *Archive
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	byID map[string]*Download
}

// NewDownloads returns an empty registry of downloads into a.
func NewDownloads(a *Archive) *Downloads {
	ctx, stop := context.WithCancel(context.Background())
	return &Downloads{archive: a, ctx: ctx, stop: stop, byID: map[string]*Download{}}
}

// Download is one download of a registry.
type Download struct {
	done chan struct{} // closed when it has ended

	mu     sync.Mutex
	status DownloadStatus
}

// DownloadStatus is how a download stands.
type DownloadStatus struct {
	State       DownloadState
	Done, Total int64 // bytes; Total -1 or 0: not known
	File        File  // when stored
	Err         error // when failed
}

// Start begins the download known by key, or joins the one that runs. One that
// has ended is begun again; after Close it fails at once. f.Progress is not used.
func (d *Downloads) Start(key string, f Fetch) *Download {
	d.mu.Lock()
	defer d.mu.Unlock()
	if running, ok := d.byID[key]; ok && running.Status().State == Downloading {
		return running
	}
	one := &Download{done: make(chan struct{}), status: DownloadStatus{State: Downloading, Total: -1}}
	d.byID[key] = one
	f.Progress = func(done, total int64) {
		one.mu.Lock()
		defer one.mu.Unlock()
		one.status.Done, one.status.Total = done, total
	}
	if err := d.ctx.Err(); err != nil {
		one.end(File{}, err)
		return one
	}
	d.running.Go(func() {
		file, err := d.archive.Fetch(d.ctx, f)
		one.end(file, err)
	})
	return one
}

// Forget removes the download one, known by key, if it has ended.
func (d *Downloads) Forget(key string, one *Download) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID[key] == one && one.Status().State != Downloading {
		delete(d.byID, key)
	}
}

// Get returns the download known by key, or nil.
func (d *Downloads) Get(key string) *Download {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.byID[key]
}

// Close ends the running downloads and waits for them. What they loaded is
// taken up by a later process.
func (d *Downloads) Close() {
	d.mu.Lock()
	d.stop() // none begins after this
	d.mu.Unlock()
	d.running.Wait()
}

func (o *Download) end(file File, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.status.State, o.status.File, o.status.Err = Stored, file, err
	if err != nil {
		o.status.State = Failed
	}
	close(o.done)
}

// Status returns how the download stands.
func (o *Download) Status() DownloadStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.status
}

// Wait returns how the download stands once it has ended or ctx has.
func (o *Download) Wait(ctx context.Context) DownloadStatus {
	select {
	case <-o.done:
	case <-ctx.Done():
	}
	return o.Status()
}

// Interrupted tells whether a download failed because the process is ending.
func (s DownloadStatus) Interrupted() bool { return errors.Is(s.Err, context.Canceled) }
