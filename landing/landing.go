// Package landing makes Parquet files of verified export files. They are derived: the
// exported files stay the record, and Parquet can be made of them again at any time.
//
// The files of a folder lie in <folder>/parquet/day=YYYY-MM-DD/<window>.parquet. All have
// the same columns in the same order, so that they can be loaded as one table. With a Delta table
// the names of files have a version as well: <window>-<version>.parquet. What a
// value becomes depends on the name of its column alone, never on other values; what does
// not fit its column is in the column _rest, unaltered.
package landing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/delta"
	"fullstory-export-mcp/plan"
)

const (
	// Folder is the folder, inside that of an export, for Parquet files.
	Folder = "parquet"
	suffix = columnar.Suffix
	// partition is how the names of the folders in Folder begin.
	partition = "day="
	// noDay is the partition of a window without a start, as Hive calls it.
	noDay = "__HIVE_DEFAULT_PARTITION__"
)

// Result is the result of converting a folder.
type Result struct {
	Converted int   `json:"converted"`       // files that were made
	Kept      int   `json:"kept"`            // files that were there already
	Removed   int   `json:"removed"`         // files whose source was replaced or is not in the manifest
	Rows      int64 `json:"rows"`            // of all files
	Bytes     int64 `json:"bytes"`           // of all files
	Columns   int   `json:"columns"`         // of each file, or of the Delta table
	Delta     bool  `json:"delta,omitempty"` // the files are a Delta table
	// InRest are the columns of the rows whose values are in _rest: another column has the
	// same name except for case, or the name cannot be one.
	InRest   []string  `json:"in_rest,omitempty"`
	Problems []Problem `json:"problems"` // of exported files, which have no Parquet file of their content

	Made []Made `json:"-"` // the Parquet files that there are, in the order of the manifest
}

// Made is a Parquet file of the content of an exported file.
type Made struct {
	Path   string // absolute, or as the archive was opened
	Window string // name of its window, see columnar.File
	File   archive.File
}

// Problem says what is wrong with an exported file. Text follows the name of the file in
// a sentence: "is missing".
type Problem struct {
	File string `json:"file"`
	Text string `json:"problem"`
}

// Progress says how far a conversion is. Bytes are those of the exported files.
type Progress struct {
	Files, AllFiles int
	Bytes, AllBytes int64
	Converted       int // of Files, those whose Parquet file was made just now
}

// Convert makes the Parquet files of a folder of an archive that are missing, or whose
// source or columns have changed, and removes those whose source is not in the manifest any
// more. The columns are those of all files in the manifest: if a file brings another
// column, all files are made again. It needs no network. Only one process at a time
// converts a folder; others wait.
//
// progress, if set, is called as work is done. An exported file that is missing or was
// changed is a Problem. Convert fails if the manifest cannot be read, the disk is full or
// ctx ends; files that are complete then stay, and the next call makes the others.
func Convert(
	ctx context.Context, a *archive.Archive, folder string, o Options, progress func(Progress),
) (Result, error) {
	if _, err := a.Manifest(folder); err != nil {
		return Result{}, err // before anything is made in the folder
	}
	manifest := func() (archive.Manifest, error) { return a.Manifest(folder) }
	return ConvertFiles(ctx, a, folder, Source{Manifest: manifest, Open: a.Opener(folder), Options: o}, progress)
}

// Options say what a conversion makes besides Parquet files.
type Options struct {
	// Delta keeps a Delta Lake table of them. Once a folder has one, it stays, also without Delta.
	Delta bool
	// Statements, if set, returns the load statements for them.
	Statements Statements
}

// Source has the exported files of a conversion.
type Source struct {
	Options
	// Manifest is called once no other process converts the folder, so that what it
	// returns cannot be older than what another conversion went by.
	Manifest func() (archive.Manifest, error)
	Open     archive.Opener
	// Grow leaves a file as it is if other files have further columns: a file that is made now has
	// the columns of all, and earlier ones lack some of them. For exports that grow for years, of
	// which every new column would make all files again.
	Grow bool
	// Copies, if set, gets a copy of each Parquet file. If one cannot be copied, the others are
	// made nevertheless, and ConvertFiles fails at the end.
	Copies Copies
	// CopiedTable is the place of the Delta table of Copies. It is needed with Copies and Delta.
	CopiedTable delta.Store
}

// ConvertFiles is Convert for files that lie elsewhere too, or whose manifest is not
// written yet.
func ConvertFiles(
	ctx context.Context, a *archive.Archive, folder string, source Source, progress func(Progress),
) (Result, error) {
	derived, err := a.OpenDerived(ctx, folder, Folder)
	if err != nil {
		return Result{}, err
	}
	defer derived.Close()
	m, err := source.Manifest()
	if err != nil {
		return Result{}, err
	}
	names, err := a.ColumnNames(folder, m)
	if err != nil {
		return Result{}, err
	}
	request := requestOf(m)
	c := conversion{
		folder: derived, open: source.Open, set: columnsOf(names), grow: source.Grow, copies: source.Copies,
		manifest: source.Manifest, statements: source.Statements, name: folder, format: request.Format,
		zone: request.zone(), show: progress,
	}
	c.result = Result{Columns: len(c.set.columns) + 1, InRest: c.set.inRest, Problems: []Problem{}}
	if _, err := derived.Stat(delta.LogFolder); err == nil || source.Delta {
		c.result.Delta = true
		c.grow = true // a file never changes, and readers take a column that it lacks as NULL
		if err := c.openTables(ctx, m.BulkID, source.CopiedTable); err != nil {
			return Result{}, err
		}
	}
	c.progress.AllFiles = len(m.Files)
	for _, f := range m.Files {
		c.progress.AllBytes += f.Bytes
	}
	c.fits = fitting{c.set, map[string]bool{}}
	c.index = readIndex(derived)
	err = c.files(ctx, m.Files)
	return c.result, errors.Join(err, c.index.write(derived))
}

// request is what a conversion needs of the request of an export.
type request struct{ Format, Timezone string }

func requestOf(m archive.Manifest) (r request) {
	if json.Unmarshal(m.Request, &r) != nil {
		return request{} // rows are then recognized by their first byte
	}
	return r
}

// zone returns the zone of the request, or UTC.
func (r request) zone() *time.Location {
	if zone, err := plan.Zone(r.Timezone); r.Timezone != "" && err == nil {
		return zone
	}
	return time.UTC
}

// target returns the path of the Parquet file of an exported file: its day is that of the
// start of its window in the zone of the request, also if the window is longer than a day.
func (c *conversion) target(f archive.File) string {
	day := noDay
	if start := f.Window().Start; !start.IsZero() {
		day = start.In(c.zone).Format(time.DateOnly)
	}
	if c.tables != nil {
		return partition + day + "/" + versionName(f)
	}
	return partition + day + "/" + FileName(f)
}

// FileName returns the name of the Parquet file of an exported file, without its folders.
func FileName(f archive.File) string { return base(f) + suffix }

// base returns the part of a file's name that says its window.
func base(f archive.File) string {
	name, _, _ := strings.Cut(f.Name, ".")
	return name
}

// versionName is FileName in a Delta table. There other rows get another name, and so do
// other columns that are made of the rows, because readers of earlier versions of the table go on
// to read the file.
func versionName(f archive.File) string {
	sum := sha256.Sum256([]byte(mapping + " " + f.SHA256))
	return base(f) + "-" + hex.EncodeToString(sum[:4]) + suffix
}

// Current returns a function that tells whether a Parquet file, given by its name, has the rows
// of one of these exported files. Others are of files that were replaced.
func Current(files []archive.File) func(name string) bool {
	names := make(map[string]bool, 2*len(files))
	for _, f := range files {
		names[FileName(f)], names[versionName(f)] = true, true
	}
	return func(name string) bool { return names[name] }
}
