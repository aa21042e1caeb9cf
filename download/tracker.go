package download

import "sync"

// Tracker records how many bytes of each file that is being downloaded have arrived. Its
// zero value is ready to use. It is safe for concurrent use.
type Tracker struct {
	mu    sync.Mutex
	files map[string]arrived
}

// arrived counts bytes of a file; total is -1 if it is not known.
type arrived struct{ done, total int64 }

// Track returns a function for Source.Progress of the download of a key, and one that
// ends its tracking. A key is for one download at a time.
func (t *Tracker) Track(key string) (progress func(done, total int64), end func()) {
	progress = func(done, total int64) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.files == nil {
			t.files = map[string]arrived{}
		}
		t.files[key] = arrived{done, total}
	}
	end = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.files, key)
	}
	return progress, end
}

// Arrived returns how many bytes of the file of a key have arrived, and how many it has,
// -1 if that is not known. ok is false if the file is not tracked or nothing has arrived
// yet.
func (t *Tracker) Arrived(key string) (done, total int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok := t.files[key]
	return f.done, f.total, ok
}
