package delta

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// Snapshot is one version of a table. It never changes, and it is safe for concurrent use.
type Snapshot struct {
	Version int64
	Schema  Schema

	protocol *protocol
	meta     *metaData
	files    layered[*File]
	windows  layered[string] // path of the active file, by the value of WindowTag
	removed  layered[tombstone]
	foreign  string // why this package must not write, or ""
	txns     bool   // other programs noted transactions, which a checkpoint of this package would lose
}

// tombstone is a removed file, which readers of earlier versions may still read.
type tombstone struct {
	at        int64 // milliseconds
	size      int64
	partition map[string]string
}

// File returns the active file of a path.
func (s Snapshot) File(path string) (File, bool) {
	f, ok := s.files.get(path)
	if !ok {
		return File{}, false
	}
	return *f, true
}

// Window returns the active file of a window; see WindowTag.
func (s Snapshot) Window(window string) (File, bool) {
	path, ok := s.windows.get(window)
	if !ok {
		return File{}, false
	}
	return s.File(path)
}

// Files returns the active files by their paths, in no order. Their maps must not be changed.
func (s Snapshot) Files() iter.Seq2[string, File] {
	return func(yield func(string, File) bool) {
		for path, f := range s.files.all() {
			if !yield(path, *f) {
				return
			}
		}
	}
}

// Len returns the number of active files.
func (s Snapshot) Len() int { return s.files.n }

// Expired returns the paths, sorted, of files that were removed before an instant. Once no
// reader can have an older version open, delete them and call Table.Deleted.
func (s Snapshot) Expired(before time.Time) []string {
	var paths []string
	for path, r := range s.removed.all() {
		if r.at < before.UnixMilli() {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// Deleted notes that files which Expired returned were deleted from the store, so that Expired
// leaves them out. It is kept by the next checkpoint; until then a newly opened table returns
// them again.
func (t *Table) Deleted(paths ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	gone := map[string]entry[tombstone]{}
	for _, path := range paths {
		gone[path] = entry[tombstone]{}
	}
	s := t.current
	s.removed = s.removed.with(gone)
	t.current = s
	t.latest.Store(&s)
}

// apply returns the next version of a table. Its errors are about the actions.
func (s Snapshot) apply(version int64, actions []action) (Snapshot, error) {
	c := changes{
		from: s, next: s, files: map[string]entry[*File]{}, removed: map[string]entry[tombstone]{},
		windows: map[string]entry[string]{},
	}
	for _, a := range actions {
		if err := c.take(a); err != nil {
			return s, err
		}
	}
	next := c.next
	next.Version = version
	next.files, next.removed = s.files.with(c.files), s.removed.with(c.removed)
	next.windows = s.windows.with(c.windows)
	if next.files.n > mostFiles || next.removed.n > mostFiles {
		return s, fmt.Errorf("the table has more than %d files", mostFiles)
	}
	if next.meta == nil || next.protocol == nil {
		return s, errors.New("the table has no metaData or protocol")
	}
	return next, nil
}

// changes collects those of a commit.
type changes struct {
	from, next Snapshot
	files      map[string]entry[*File]
	removed    map[string]entry[tombstone]
	windows    map[string]entry[string]
}

// take adds an action.
func (c *changes) take(a action) error {
	switch {
	case a.Protocol != nil:
		c.next.protocol = a.Protocol
	case a.MetaData != nil:
		return c.next.setMeta(a.MetaData)
	case a.Remove != nil:
		return c.remove(a.Remove)
	case a.Add != nil:
		return c.add(a.Add)
	case a.Txn != nil:
		c.next.txns = true
	}
	return nil
}

func (c *changes) add(a *addFile) error {
	f, err := a.file()
	if err != nil {
		return err
	}
	c.files[f.Path] = entry[*File]{f, true}
	c.removed[f.Path] = entry[tombstone]{}
	if window := f.window(); window != "" {
		c.windows[window] = entry[string]{f.Path, true}
	}
	return nil
}

// remove removes a file. Actions of a commit have no order.
func (c *changes) remove(r *removeFile) error {
	path, err := decodePath(r.Path)
	if err != nil {
		return err
	}
	old, _ := c.from.files.get(path)
	window := old.window()
	if holder, _ := c.from.windows.get(window); holder == path && !c.windows[window].there {
		c.windows[window] = entry[string]{}
	}
	if !c.files[path].there {
		c.files[path] = entry[*File]{}
		c.removed[path] = entry[tombstone]{r.tombstone(), true}
	}
	return nil
}

// window returns the window of a file, or "".
func (f *File) window() string {
	if f == nil {
		return ""
	}
	return f.Tags[WindowTag]
}

func (r *removeFile) tombstone() tombstone {
	return tombstone{r.DeletionTimestamp, r.Size, texts(r.PartitionValues)}
}

// setMeta takes the metadata over.
func (s *Snapshot) setMeta(m *metaData) error {
	if n := len(m.Name) + len(m.Description) + len(m.ID); n > mostMetaBytes {
		return fmt.Errorf("the table has names of %d bytes and the limit is %d", n, mostMetaBytes)
	}
	schema, _, enforced, err := parseSchema(m.SchemaString, m.PartitionColumns)
	if err != nil {
		return err
	}
	s.meta, s.Schema, s.foreign = m, schema, ""
	switch {
	case enforced:
		s.foreign = "its columns have rules for values"
	case m.Configuration["delta.appendOnly"] == "true":
		s.foreign = "it is append-only"
	case m.Format.Provider != "parquet":
		s.foreign = "its files are not Parquet"
	}
	return nil
}

// check returns ErrProtocol unless this package may write the table.
func (s Snapshot) check() error {
	if p := s.protocol; p.MinReaderVersion > 1 || p.MinWriterVersion > 2 {
		return fmt.Errorf("%w: it has protocol %d for readers and %d for writers",
			ErrProtocol, p.MinReaderVersion, p.MinWriterVersion)
	}
	if s.foreign != "" {
		return fmt.Errorf("%w: %s", ErrProtocol, s.foreign)
	}
	return nil
}

// layered is a map that never changes, in two layers, so that a changed copy costs little: the
// changes lie in top until there are many.
type layered[V any] struct {
	base map[string]V
	top  map[string]entry[V]
	n    int // keys
}

// entry is a value in the upper layer; there is false if the key was removed.
type entry[V any] struct {
	value V
	there bool
}

// mostTop is how many changes the upper layer of a map has at most.
const mostTop = 512

func (l layered[V]) get(key string) (V, bool) {
	if e, ok := l.top[key]; ok {
		return e.value, e.there
	}
	v, ok := l.base[key]
	return v, ok
}

// with returns a changed copy.
func (l layered[V]) with(changes map[string]entry[V]) layered[V] {
	if len(changes) == 0 {
		return l
	}
	next := layered[V]{l.base, maps.Clone(l.top), l.n}
	if next.top == nil {
		next.top = make(map[string]entry[V], len(changes))
	}
	for key, e := range changes {
		_, there := l.get(key)
		switch {
		case e.there && !there:
			next.n++
		case !e.there && there:
			next.n--
		case !e.there:
			continue
		}
		next.top[key] = e
	}
	if len(next.top) <= mostTop {
		return next
	}
	base := make(map[string]V, next.n)
	for key, v := range next.all() {
		base[key] = v
	}
	return layered[V]{base: base, n: len(base)}
}

func (l layered[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for key, e := range l.top {
			if e.there && !yield(key, e.value) {
				return
			}
		}
		for key, v := range l.base {
			if _, changed := l.top[key]; !changed && !yield(key, v) {
				return
			}
		}
	}
}
