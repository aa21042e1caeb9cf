package sandbox

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fullstory-export-mcp/local"
)

// records is a source that serves the rows of a real export from memory. It does
// not change after newRecords returns it.
type records struct {
	visits   []*session // sorted by their first event
	columns  []column[*event]
	userVars []column[*person]
}

// record is one row of the file. Its values keep their bytes, so that numbers and
// escapes are exported exactly as they were read.
type record struct {
	line  []byte // JSON
	cells []cell
}

// cell is one member of a row.
type cell struct {
	name  string
	value []byte // JSON, part of line
}

// value returns the JSON of a field, nil when the row lacks it.
func (r *record) value(name string) []byte {
	for i := range r.cells {
		if r.cells[i].name == name {
			return r.cells[i].value
		}
	}
	return nil
}

// readRecords reads event rows from a file: a JSON array or one object a line,
// gzipped or not. Errors name the file and the number of the wrong row, from 1.
func readRecords(path string) (*records, error) {
	f, err := local.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sandbox data: %w", err)
	}
	defer f.Close()
	rows, err := decodeRecords(f)
	if err == nil && len(rows) == 0 {
		err = errors.New("the file has no rows")
	}
	if err != nil {
		return nil, fmt.Errorf("sandbox data: %s: %w", path, err)
	}
	r, err := newRecords(rows)
	if err != nil {
		return nil, fmt.Errorf("sandbox data: %s: %w", path, err)
	}
	return r, nil
}

// decodeRecords finds out by the first bytes whether f is gzipped and whether it is
// an array.
func decodeRecords(f io.Reader) ([]*record, error) {
	in := bufio.NewReader(f)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(unpacked)
	}
	dec := json.NewDecoder(in)
	var array bool
	if first, err := firstByte(in); err == nil && first == '[' {
		array = true
		if _, err := dec.Token(); err != nil {
			return nil, err
		}
	}
	names := map[string]string{}
	var rows []*record
	for {
		if array && !dec.More() {
			_, err := dec.Token() // the closing bracket
			return rows, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); errors.Is(err, io.EOF) && !array {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("row %d: %w; the file must be a JSON array of objects or one object a line",
				len(rows)+1, err)
		}
		row, err := newRecord(raw, names)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", len(rows)+1, err)
		}
		rows = append(rows, row)
	}
}

// firstByte returns the first byte that is not white space, without consuming it.
func firstByte(in *bufio.Reader) (byte, error) {
	for {
		next, err := in.Peek(1)
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n", rune(next[0])) {
			return next[0], nil
		}
		if _, err := in.Discard(1); err != nil {
			return 0, err
		}
	}
}

// newRecord splits an object into its members without changing a byte of their
// values. names interns the member names, which repeat in every row.
func newRecord(raw json.RawMessage, names map[string]string) (*record, error) {
	row := &record{line: raw}
	if bytes.IndexByte(raw, '\n') >= 0 { // an indented object: rows are written one a line
		var line bytes.Buffer
		if err := json.Compact(&line, raw); err != nil {
			return nil, err
		}
		row.line = line.Bytes()
	}
	dec := json.NewDecoder(bytes.NewReader(row.line))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := key.(string)
		if kept, ok := names[name]; ok {
			name = kept
		} else {
			names[name] = name
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		end := int(dec.InputOffset())
		row.cells = append(row.cells, cell{name, row.line[end-len(value) : end]})
	}
	return row, nil
}

// sessions implements source. Every visit gets a copy of the session, because
// hideFuture shortens its events; the events themselves must not be changed.
func (r *records) sessions(ctx context.Context, in span, now int64, wanted func(*person) bool,
	visit func(*session) error) error {
	for _, kept := range r.visits {
		if err := ctx.Err(); err != nil {
			return err
		}
		first, last := kept.events[0].at, kept.events[len(kept.events)-1].at
		if first >= min(in.to, now) || last < in.from || wanted != nil && !wanted(kept.person) {
			continue
		}
		s := *kept // shares the events; hideFuture shortens only the copy's slice
		s.hideFuture(now, false)
		if err := visit(&s); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) eventColumns() []column[*event] { return r.columns }

func (r *records) userColumns() []column[*person] { return r.userVars }

// nameColumns collects the columns: those of the dictionary, then the others that
// the rows have, by name.
func (r *records) nameColumns(rows []*record) {
	extra := map[string]bool{}
	for _, row := range rows {
		for _, c := range row.cells {
			extra[c.name] = true
		}
	}
	names := []string{}
	for _, c := range apiEventColumns() {
		if c.constant == onRequest && !extra[c.name] {
			continue
		}
		names = append(names, c.name)
		delete(extra, c.name)
	}
	var others []string
	for name := range extra {
		others = append(others, name)
	}
	slices.Sort(others)
	for _, name := range append(names, others...) {
		r.columns = append(r.columns, column[*event]{name, eachRow, func(dst []byte, e *event) []byte {
			return append(dst, e.record.value(name)...)
		}})
		if strings.HasPrefix(name, "user_") {
			r.userVars = append(r.userVars, column[*person]{name, eachRow, func(dst []byte, p *person) []byte {
				return append(dst, p.vars.value(name)...)
			}})
		}
	}
}
