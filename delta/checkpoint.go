package delta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// The rows of a checkpoint: one of the fields is set.
type (
	checkpointRow struct {
		MetaData *metaDataRow `parquet:"metaData"`
		Protocol *protocolRow `parquet:"protocol"`
		Add      *addRow      `parquet:"add"`
		Remove   *removeRow   `parquet:"remove"`
		Txn      *txnRow      `parquet:"txn"`
	}
	metaDataRow struct {
		ID               string            `parquet:"id"`
		Name             *string           `parquet:"name"`
		Description      *string           `parquet:"description"`
		Format           format            `parquet:"format"`
		SchemaString     string            `parquet:"schemaString"`
		PartitionColumns []string          `parquet:"partitionColumns,list"`
		Configuration    map[string]string `parquet:"configuration"`
		CreatedTime      *int64            `parquet:"createdTime"`
	}
	protocolRow struct {
		MinReaderVersion int32 `parquet:"minReaderVersion"`
		MinWriterVersion int32 `parquet:"minWriterVersion"`
	}
	addRow struct {
		Path             string             `parquet:"path"`
		PartitionValues  map[string]*string `parquet:"partitionValues"`
		Size             int64              `parquet:"size"`
		ModificationTime int64              `parquet:"modificationTime"`
		DataChange       bool               `parquet:"dataChange"`
		Stats            *string            `parquet:"stats"`
		Tags             map[string]*string `parquet:"tags,optional"`
	}
	removeRow struct {
		Path                 string             `parquet:"path"`
		DeletionTimestamp    *int64             `parquet:"deletionTimestamp"`
		DataChange           bool               `parquet:"dataChange"`
		ExtendedFileMetadata *bool              `parquet:"extendedFileMetadata"`
		PartitionValues      map[string]*string `parquet:"partitionValues,optional"`
		Size                 *int64             `parquet:"size"`
	}
	txnRow struct {
		AppID   string `parquet:"appId"`
		Version int64  `parquet:"version"`
	}
)

const (
	checkpointEvery = 10 // commits
	mostCheckpoint  = 1 << 30
	// tombstoneAge is how long a checkpoint keeps removed files that nobody has deleted.
	tombstoneAge = 30 * 24 * time.Hour
	rowBatch     = 256
)

// buffers are kept from one checkpoint to the next.
type buffers struct {
	content bytes.Buffer
	writer  *parquet.GenericWriter[checkpointRow]
	rows    []checkpointRow
}

// Checkpoint writes a checkpoint of the latest version if at least ten commits came after the
// last one, and reports whether it did; it then removes what the log has of before the last 30
// days. Call it after Commit: the log is whole without it, but takes longer to read. Commits may be
// made meanwhile. Its errors are those of the store.
func (t *Table) Checkpoint(ctx context.Context) (bool, error) {
	t.checkpoints.Lock()
	defer t.checkpoints.Unlock()
	s := t.Snapshot()
	if s.Version < max(t.checkpoint, 0)+checkpointEvery || s.txns {
		return false, nil
	}
	hint, err := t.buffers.encode(s, t.now())
	if err == nil {
		err = t.store.create(ctx, checkpointName(s.Version), t.buffers.content.Bytes())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // that of another process has the same actions
		return false, fmt.Errorf("write a checkpoint of the Delta log: %w", err)
	}
	t.checkpoint = s.Version
	content, err := json.Marshal(hint)
	if err == nil {
		err = t.store.replace(ctx, lastCheckpointName, content)
	}
	if err == nil {
		err = t.cleanUp(ctx)
	}
	if err != nil {
		return true, fmt.Errorf("complete a checkpoint of the Delta log: %w", err)
	}
	return true, nil
}

// logAge is how long the log keeps what a later checkpoint has.
const logAge = 30 * 24 * time.Hour

// cleanUp removes the commits and checkpoints before the latest checkpoint that is older than
// logAge, so that every version since can still be read.
func (t *Table) cleanUp(ctx context.Context) error {
	before := t.now().Add(-logAge)
	old := map[string]int64{}
	last := int64(-1)
	err := t.store.list(ctx, "", func(name string, changed time.Time) {
		if !changed.Before(before) {
			return
		}
		version, ok := versionOf(name, checkpointSuffix)
		if ok {
			last = max(last, version)
		} else {
			version, ok = versionOf(name, commitSuffix)
		}
		if ok {
			old[name] = version
		}
	})
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if err == nil && old[name] < last {
			err = t.store.remove(ctx, name)
		}
	}
	return err
}

// encode writes the checkpoint of s to b.content.
func (b *buffers) encode(s Snapshot, now time.Time) (lastCheckpoint, error) {
	b.content.Reset()
	if b.writer == nil {
		b.writer = parquet.NewGenericWriter[checkpointRow](&b.content, parquet.Compression(&parquet.Snappy),
			parquet.DataPageVersion(1), parquet.DataPageStatistics(false), parquet.PageBufferSize(1<<20),
			parquet.SkipPageBounds("add", "stats"), parquet.SkipPageBounds("metaData", "schemaString"))
	} else {
		b.writer.Reset(&b.content)
	}
	size := int64(0)
	put := func(row checkpointRow) error {
		b.rows = append(b.rows, row)
		size++
		if len(b.rows) < rowBatch {
			return nil
		}
		return b.flush()
	}
	err := put(checkpointRow{Protocol: &protocolRow{s.protocol.MinReaderVersion, s.protocol.MinWriterVersion}})
	if err == nil {
		err = put(checkpointRow{MetaData: s.meta.row()})
	}
	partition := s.meta.PartitionColumns
	for path, r := range s.removed.all() {
		if err == nil && r.at >= now.Add(-tombstoneAge).UnixMilli() {
			err = put(checkpointRow{Remove: r.row(path, partition)})
		}
	}
	for _, f := range s.files.all() {
		if err == nil {
			err = put(checkpointRow{Add: f.row(partition)})
		}
	}
	if err == nil {
		err = b.flush()
	}
	if err == nil {
		err = b.writer.Close()
	}
	return lastCheckpoint{s.Version, size, int64(b.content.Len()), int64(s.files.n)}, err
}

// flush passes the rows on.
func (b *buffers) flush() error {
	_, err := b.writer.Write(b.rows)
	clear(b.rows)
	b.rows = b.rows[:0]
	return err
}

func (m *metaData) row() *metaDataRow {
	return &metaDataRow{
		ID: m.ID, Name: optional(m.Name), Description: optional(m.Description), Format: m.Format,
		SchemaString: m.SchemaString, PartitionColumns: m.PartitionColumns, Configuration: m.Configuration,
		CreatedTime: optional(m.CreatedTime),
	}
}

func (f *File) row(partition []string) *addRow {
	return &addRow{
		Path: encodePath(f.Path), PartitionValues: f.values(partition), Size: f.Size,
		ModificationTime: f.Modified.UnixMilli(), Stats: optional(f.Stats), Tags: pointers(f.Tags),
	}
}

func (r tombstone) row(path string, partition []string) *removeRow {
	f := File{Path: path, Size: r.size, Partition: r.partition}
	extended := true
	return &removeRow{
		Path: encodePath(path), DeletionTimestamp: &r.at, ExtendedFileMetadata: &extended,
		PartitionValues: f.values(partition), Size: &r.size,
	}
}

// optional returns a pointer to a value, or nil if it is zero.
func optional[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// value returns what p points to, or zero.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// readCheckpoint reads a checkpoint, which another program may have written.
func (t *Table) readCheckpoint(ctx context.Context, version int64) (s Snapshot, err error) {
	name := checkpointName(version)
	content, err := t.store.read(ctx, name, mostCheckpoint)
	if err != nil {
		return s, err
	}
	defer func() { // the library may panic if the file is damaged
		if p := recover(); p != nil {
			s, err = Snapshot{}, &LogError{name, fmt.Sprintf("it cannot be read: %.200q", fmt.Sprint(p))}
		}
	}()
	if s, err = decodeCheckpoint(content); err != nil {
		return s, &LogError{name, fmt.Sprintf("%.300q", err.Error())}
	}
	s.Version = version
	return s, s.check()
}

func decodeCheckpoint(content []byte) (Snapshot, error) {
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)),
		parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return Snapshot{}, err
	}
	if n := f.NumRows(); n > 2*mostFiles {
		return Snapshot{}, fmt.Errorf("it has %d actions and the limit is %d", n, 2*mostFiles)
	}
	s := Snapshot{
		files: layered[*File]{base: map[string]*File{}}, windows: layered[string]{base: map[string]string{}},
		removed: layered[tombstone]{base: map[string]tombstone{}},
	}
	r := parquet.NewGenericReader[checkpointRow](f)
	defer r.Close()
	rows := make([]checkpointRow, rowBatch)
	for {
		clear(rows)
		n, err := r.Read(rows)
		for i := range rows[:n] {
			if err := s.take(&rows[i]); err != nil {
				return s, err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return s, err
		}
	}
	s.files.n, s.windows.n, s.removed.n = len(s.files.base), len(s.windows.base), len(s.removed.base)
	if s.meta == nil || s.protocol == nil {
		return s, fmt.Errorf("it has no metaData or protocol")
	}
	return s, nil
}

// take adds a row of a checkpoint to a version that nobody else has yet.
func (s *Snapshot) take(row *checkpointRow) error {
	switch {
	case row.Protocol != nil:
		s.protocol = &protocol{row.Protocol.MinReaderVersion, row.Protocol.MinWriterVersion}
	case row.MetaData != nil:
		m := row.MetaData
		return s.setMeta(&metaData{
			ID: m.ID, Name: value(m.Name), Description: value(m.Description), Format: m.Format,
			SchemaString: m.SchemaString, PartitionColumns: append([]string{}, m.PartitionColumns...),
			Configuration: m.Configuration, CreatedTime: value(m.CreatedTime),
		})
	case row.Add != nil:
		a := addFile{
			Path: row.Add.Path, PartitionValues: row.Add.PartitionValues, Size: row.Add.Size,
			ModificationTime: row.Add.ModificationTime, Stats: value(row.Add.Stats), Tags: row.Add.Tags,
		}
		f, err := a.file()
		if err != nil {
			return err
		}
		s.files.base[f.Path] = f
		if window := f.window(); window != "" {
			s.windows.base[window] = f.Path
		}
	case row.Remove != nil:
		path, err := decodePath(row.Remove.Path)
		if err != nil {
			return err
		}
		s.removed.base[path] = tombstone{
			value(row.Remove.DeletionTimestamp), value(row.Remove.Size), texts(row.Remove.PartitionValues),
		}
	case row.Txn != nil:
		s.txns = true
	}
	return nil
}
