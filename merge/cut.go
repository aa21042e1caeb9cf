package merge

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"sort"
	"time"

	"fullstory-export-mcp/rows"
)

// ErrLarge reports that the parts of a file take more memory than Cut may use.
var ErrLarge = errors.New("the parts of the file are too large to be kept in memory")

// MostParts is the most windows that Cut may get: it takes about 1 MB of memory for each while it
// runs.
const MostParts = 32

// Window is a half-open range of time.
type Window struct{ Start, End time.Time }

// Cut reads a file once and returns what a merge of it alone would be in each of several windows,
// which are in order and do not overlap. It fails with ErrLarge if these have more than most bytes
// in all, and otherwise as Decide does.
func Cut(
	ctx context.Context, format, timeColumn string, s Source, windows []Window, most int,
) (parts []Source, err error) {
	m := &Merge{Format: format, TimeColumn: timeColumn, Sources: []Source{s}}
	s.Whole = false
	open := make([]*cutPart, len(windows))
	for i := range windows {
		p := &cutPart{}
		p.packed = gzip.NewWriter(&p.content)
		p.plain = bufio.NewWriterSize(p.packed, 4<<10)
		if p.rows, err = m.newWriter(ctx, p.plain); err != nil {
			return nil, err
		}
		open[i] = p
	}
	column, untimed, total := timeIndex{name: timeColumn}, int64(0), 0
	err = m.each(ctx, s, func(row rows.Row, _ int, _ place) error {
		t, ok := column.timeOf(row)
		if !ok {
			untimed++
			return nil
		}
		i := sort.Search(len(windows), func(i int) bool { return t.Before(windows[i].End) })
		if i == len(windows) || t.Before(windows[i].Start) {
			return nil
		}
		p := open[i]
		p.count++
		had := p.content.Len()
		err := p.rows.row(row)
		if total += p.content.Len() - had; total > most {
			return ErrLarge
		}
		return err
	})
	for _, p := range open {
		if err != nil {
			break
		}
		if err = errors.Join(p.rows.end(), p.plain.Flush(), p.packed.Close()); err == nil {
			content := p.content.Bytes()
			part := Source{Name: s.Name, Whole: true, Untimed: untimed, written: content, rows: p.count}
			part.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
			parts = append(parts, part)
		}
	}
	return parts, err
}

// cutPart is the rows of a window that were read so far.
type cutPart struct {
	content bytes.Buffer
	packed  *gzip.Writer
	plain   *bufio.Writer
	rows    rowWriter
	count   int64 // of rows
}
