package landing

import (
	"encoding/json"
	"io/fs"
	"slices"

	"fullstory-export-mcp/archive"
)

const (
	// indexName is the file, beside the folders of Parquet files, that says what they were made of.
	indexName = ".index.json"
	// mostIndex bounds its size in bytes: a year of hourly windows takes 3 MB.
	mostIndex = 256 << 20
)

// index says what each Parquet file of a folder was made of, so that a conversion need not open
// them all: a footer takes milliseconds, and an export may have thousands of files. It is a
// copy of what the footers say, is believed while size and time of the file are those noted,
// and is written at the end of a conversion: a killed one opens the footers of what it made.
type index struct {
	Mapping string              `json:"mapping"` // see mapping
	Columns map[string][]string `json:"columns"` // names of columns, as the rows have them, by checksum
	Files   map[string]indexed  `json:"files"`   // by path
	// Statements are the address and the checksum of the load statements that were copied.
	Statements string `json:"statements,omitempty"`
	changed    bool
	lost       bool // what was made and copied before is not known
}

// indexed is a Parquet file in the index.
type indexed struct {
	Source   string `json:"source"`  // checksum of the exported file
	Columns  string `json:"columns"` // of index.Columns
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
	Modified int64  `json:"modified"`         // nanoseconds since 1970
	Copied   string `json:"copied,omitempty"` // address of its copy
}

// readIndex reads the index of a folder. It returns an empty one if there is none, if it cannot be
// read, or if it is of another mapping.
func readIndex(folder *archive.Derived) *index {
	x := &index{}
	raw, err := folder.ReadFile(indexName, mostIndex)
	if err != nil || json.Unmarshal(raw, x) != nil || x.Mapping != mapping {
		x = &index{Mapping: mapping, changed: true, lost: true}
	}
	if x.Columns == nil {
		x.Columns = map[string][]string{}
	}
	if x.Files == nil {
		x.Files = map[string]indexed{}
	}
	return x
}

// write writes the index, if it has changed, without the files that are gone.
func (x *index) write(folder *archive.Derived) error {
	if !x.changed {
		return nil
	}
	used := map[string]bool{}
	for _, f := range x.Files {
		used[f.Columns] = true
	}
	for sum := range x.Columns {
		if !used[sum] {
			delete(x.Columns, sum)
		}
	}
	raw, err := json.Marshal(x)
	if err != nil {
		return err
	}
	x.changed = false
	return folder.WriteFile(indexName, raw)
}

// get returns what the Parquet file at path was made of, if the index knows it of a file with
// this size and time.
func (x *index) get(path string, info fs.FileInfo) (m made, known bool) {
	f, known := x.Files[path]
	if !known || f.Bytes != info.Size() || f.Modified != info.ModTime().UnixNano() {
		return made{}, false
	}
	names, known := x.Columns[f.Columns]
	return made{sum: f.Source, columns: f.Columns, names: names, rows: f.Rows, bytes: f.Bytes}, known
}

// put notes what a file was made of.
func (x *index) put(path string, m made, info fs.FileInfo) {
	x.Files[path] = indexed{
		Source: m.sum, Columns: m.columns, Rows: m.rows, Bytes: info.Size(), Modified: info.ModTime().UnixNano(),
	}
	x.Columns[m.columns] = m.names
	x.changed = true
}

// copied notes the address of the copy of a file.
func (x *index) copied(path, address string) {
	f, known := x.Files[path]
	if !known {
		return
	}
	f.Copied = address
	x.Files[path], x.changed = f, true
}

// remove forgets a file.
func (x *index) remove(path string) {
	if _, known := x.Files[path]; known {
		delete(x.Files, path)
		x.changed = true
	}
}

// fitting tells which files have only columns of a set; see made.within. It remembers the answers:
// thousands of files have the same columns.
type fitting struct {
	set   columnSet
	known map[string]bool // by checksum of the columns
}

func (f *fitting) of(m made) bool {
	fit, known := f.known[m.columns]
	if !known {
		fit = m.within(f.set)
		f.known[m.columns] = fit
	}
	return fit
}

// namesOf returns the names of the columns of a set as the rows have them.
func (s columnSet) names() []string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = c.source
	}
	return slices.Clip(names)
}
