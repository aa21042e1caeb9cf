package sandbox

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// timeColumn is the column of event rows that decides whether a row lies inside the
// window.
const timeColumn = "EventStart"

// contentFault returns the first of the faults that changes the rows of a file, or
// nil; nil faults are ignored.
func contentFault(faults ...*Fault) *Fault {
	for _, f := range faults {
		if f == nil {
			continue
		}
		_, rows := rowChanges[f.Do]
		_, table := csvForms[f.Do]
		if rows || table || f.Do == "error_row" || f.Do == "other_window" {
			return f
		}
	}
	return nil
}

// openContent opens the file of an export as changed by a fault of its rows (nil:
// unchanged). A changed file is written once and kept under a name that follows
// from the fault's options, which openContent also returns; it identifies the
// content in the ETag.
func (s *Sandbox) openContent(x export, f *Fault) (file *os.File, name string, err error) {
	name = x.id
	if f == nil {
		file, err = s.files.open(name)
		return file, name, err
	}
	options, err := json.Marshal(Fault{Do: f.Do, Message: f.Message, Rows: f.Rows, Digits: f.Digits})
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(options)
	name += "." + hex.EncodeToString(sum[:8])
	if file, err = s.files.open(name); !errors.Is(err, fs.ErrNotExist) {
		return file, name, err
	}
	err = s.files.write(name, func(ctx context.Context, w io.Writer) error { return s.writeContent(ctx, w, x, f) })
	if err != nil {
		return nil, "", err
	}
	file, err = s.files.open(name)
	return file, name, err
}

// writeContent writes the plain file of an export as changed by a fault of its
// rows. Memory does not grow with the file.
func (s *Sandbox) writeContent(ctx context.Context, w io.Writer, x export, f *Fault) error {
	switch f.Do {
	case "error_row":
		_, err := w.Write(s.data.errorRow(x.request.Format, f.message()))
		return err
	case "other_window":
		q := s.config.query(x.request, s.segment(x.request.Segment), x.created)
		q.exports, q.matches = q.exports.earlier(q.exports.length()), q.matches.earlier(q.exports.length())
		_, err := s.data.write(ctx, w, q)
		return err
	}
	packed, err := s.files.open(x.id)
	if err != nil {
		return err
	}
	defer packed.Close()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	out, in := bufio.NewWriter(w), bufio.NewReader(plain)
	switch x.request.Format {
	case formatCSV:
		err = rewriteCSV(out, in, x.request, f)
	case formatJSON:
		err = s.data.array.rewrite(out, in, newRowRewriter(x.request, f))
	default:
		err = rewriteLines(out, in, newRowRewriter(x.request, f))
	}
	return errors.Join(err, out.Flush())
}

// errorRow returns a file whose only row is an error.
func (d *data) errorRow(f format, message string) []byte {
	row, err := json.Marshal(map[string]string{"error": message})
	if err != nil {
		panic(err)
	}
	if f == formatJSON {
		return d.array.end(append(d.array.append(nil, 0), row...), 1)
	}
	return append(row, '\n')
}

// length returns the length of the window. An open window counts as a day.
func (w window) length() time.Duration {
	if w.from.IsZero() || w.to.IsZero() {
		return 24 * time.Hour
	}
	return w.to.Sub(w.from)
}

// earlier returns the window moved back by d.
func (w window) earlier(d time.Duration) window {
	for _, side := range []*time.Time{&w.from, &w.to} {
		if !side.IsZero() {
			*side = side.Add(-d)
		}
	}
	return w
}

// rowRewriter applies a fault to the JSON of rows, one after the other.
type rowRewriter struct {
	asked *exportRequest
	fault *Fault
	left  *rowBudget
}

func newRowRewriter(asked *exportRequest, f *Fault) rowRewriter {
	return rowRewriter{asked, f, newRowBudget(f)}
}

// row returns the next row as the fault changes it.
func (r rowRewriter) row(row []byte) []byte {
	change := rowChanges[r.fault.Do].json
	if change == nil || !r.left.more() {
		return row
	}
	changed := change(r.fault, r.asked, row)
	if !bytes.Equal(changed, row) {
		r.left.left--
	}
	return changed
}

// rewriteLines rewrites the rows of an NDJSON file.
func rewriteLines(w *bufio.Writer, r *bufio.Reader, rows rowRewriter) error {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		row := bytes.TrimRight(line, "\r\n")
		end := line[len(row):]
		if len(row) > 0 {
			w.Write(rows.row(row))
		}
		if _, failed := w.Write(end); failed != nil || err == io.EOF {
			return failed
		}
	}
}

// rewrite rewrites the rows of an array of this layout.
func (l arrayLayout) rewrite(w *bufio.Writer, r io.Reader, rows rowRewriter) error {
	d := json.NewDecoder(r)
	if _, err := d.Token(); err != nil { // the opening bracket
		return err
	}
	var n int64
	for ; d.More(); n++ {
		var row json.RawMessage
		if err := d.Decode(&row); err != nil {
			return err
		}
		w.Write(l.append(nil, n))
		w.Write(rows.row(row))
	}
	_, err := w.Write(l.end(nil, n))
	return err
}

// rewriteCSV applies a fault to the form of a CSV file or to cells of its rows. It
// does not preserve blank lines, nor CR LF inside cells.
func rewriteCSV(w *bufio.Writer, r *bufio.Reader, asked *exportRequest, f *Fault) error {
	records := csv.NewReader(r)
	records.FieldsPerRecord = -1
	form, change, left := formOfCSV(f), rowChanges[f.Do].csv, newRowBudget(f)
	var header []string
	for n := 0; ; n++ {
		cells, err := records.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			header = cells
		} else if change != nil && left.more() && change(f, asked, header, cells) {
			left.left--
		}
		if err := form.write(w, n, header, cells); err != nil {
			return err
		}
	}
}

// rowBudget counts the rows that a fault may still change. Rows that the fault
// leaves as they are do not count.
type rowBudget struct {
	all  bool
	left int
}

// newRowBudget returns the budget of a fault: its option rows or, without it, the
// default of its effect.
func newRowBudget(f *Fault) *rowBudget {
	most := f.Rows
	if most == 0 {
		most = rowChanges[f.Do].rows
	}
	return &rowBudget{most == 0, most}
}

func (c *rowBudget) more() bool { return c.all || c.left > 0 }
