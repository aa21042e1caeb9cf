package delta

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// WindowTag is the tag with the window of a file. Of the active files of a table only one has
// a window: a commit that would give another the same one fails with ErrConflict.
const WindowTag = "fullstory.window"

// File is a data file of a table.
type File struct {
	// Path is the path below the folder of the table, with slashes: day=2026-10-01/a.parquet. It
	// must never have been the path of another content; a removed file may come back.
	Path     string
	Size     int64     // bytes
	Modified time.Time // to the millisecond
	Stats    string    // see StatsOf; may be empty
	// Partition are the values of the partition columns, as text. A column that it lacks, or
	// whose value is empty, is NULL in all rows of the file.
	Partition map[string]string
	Tags      map[string]string // of the caller, who gets them back; see WindowTag
}

// checkPath returns an error unless a path stays inside the folder of the table, and outside of
// its log.
func checkPath(p string) error {
	switch {
	case len(p) > 1024:
		return errors.New("a path has over 1,024 bytes")
	case !fs.ValidPath(p) || p == "." || strings.ContainsAny(p, `\`) || strings.Contains(p, "://"),
		!utf8.ValidString(p), strings.ContainsFunc(p, unicode.IsControl), len(p) > 1 && p[1] == ':':
		return fmt.Errorf("the path %.200q does not lie in the folder of the table", p)
	case strings.EqualFold(strings.SplitN(p, "/", 2)[0], LogFolder):
		return fmt.Errorf("the path %.200q lies in the log", p)
	}
	return nil
}

// encodePath returns a path as the log has it: a relative URI. Of ASCII only letters, digits
// and -_.~=/ stay.
func encodePath(p string) string {
	var b strings.Builder
	for i := range len(p) {
		c := p[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-_.~=/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// decodePath returns the path of an action.
func decodePath(encoded string) (string, error) {
	if strings.Contains(strings.SplitN(encoded, "/", 2)[0], ":") {
		return "", fmt.Errorf("the path %.200q is absolute", encoded)
	}
	p, err := url.PathUnescape(encoded)
	if err != nil {
		return "", fmt.Errorf("the path %.200q is not a URI", encoded)
	}
	return p, checkPath(p)
}

// file returns the file of an action, which another program may have written.
func (a *addFile) file() (*File, error) {
	p, err := decodePath(a.Path)
	if err != nil {
		return nil, err
	}
	f := &File{
		Path: p, Size: a.Size, Modified: time.UnixMilli(a.ModificationTime).UTC(), Stats: a.Stats,
		Partition: texts(a.PartitionValues), Tags: texts(a.Tags),
	}
	if a.DeletionVector != nil {
		return nil, fmt.Errorf("the file %.200q has a deletion vector, which needs another protocol", p)
	}
	return f, f.check()
}

// check returns an error unless a file is within the bounds of the log.
func (f *File) check() error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	if f.Size < 0 || len(f.Stats) > mostStats || len(f.Tags) > mostTags || len(f.Partition) > mostTags {
		return fmt.Errorf("the file %.200q has a size below 0, or too much of statistics, tags or partitions", f.Path)
	}
	for _, all := range []map[string]string{f.Tags, f.Partition} {
		for key, value := range all {
			if len(key) > mostTagBytes || len(value) > mostTagBytes || !utf8.ValidString(key) || !utf8.ValidString(value) {
				return fmt.Errorf("the file %.200q has a tag or partition that is too long or not UTF-8", f.Path)
			}
		}
	}
	return nil
}

// add returns the action that adds f to a table with these partition columns.
func (f *File) add(partition []string) *addFile {
	return &addFile{
		Path: encodePath(f.Path), PartitionValues: f.values(partition), Size: f.Size,
		ModificationTime: f.Modified.UnixMilli(), DataChange: true, Stats: f.Stats, Tags: pointers(f.Tags),
	}
}

// values returns the values of partition columns: nil is NULL.
func (f *File) values(partition []string) map[string]*string {
	values := make(map[string]*string, len(partition))
	for _, name := range partition {
		values[name] = nil
		if v := f.Partition[name]; v != "" {
			values[name] = &v
		}
	}
	return values
}

// remove returns the action that removes f.
func (f *File) remove(partition []string, now time.Time) *removeFile {
	return &removeFile{
		Path: encodePath(f.Path), DeletionTimestamp: now.UnixMilli(), DataChange: true, ExtendedFileMetadata: true,
		PartitionValues: f.values(partition), Size: f.Size,
	}
}

// texts returns a map without the values that are nil, or nil if nothing is left.
func texts(m map[string]*string) map[string]string {
	var t map[string]string
	for key, value := range m {
		if value == nil {
			continue
		}
		if t == nil {
			t = make(map[string]string, len(m))
		}
		t[key] = *value
	}
	return t
}

func pointers(m map[string]string) map[string]*string {
	if len(m) == 0 {
		return nil
	}
	p := make(map[string]*string, len(m))
	for key, value := range m {
		p[key] = &value
	}
	return p
}
