package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// superseded is the folder, inside that of an export, of files in whose place
// others are.
const superseded = "superseded"

// SetAside moves a file of a folder out of the way, under a name that tells
// when, and returns where it is now, relative to the folder. When the file is
// not there, it returns where it was moved to before, or "".
func (a *Archive) SetAside(folder, name string, at time.Time) (string, error) {
	if !validName(name) || name == ManifestName {
		return "", fmt.Errorf("%q is no name of a file of the archive", name)
	}
	root, err := a.folder(folder, true)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if err := root.Mkdir(superseded, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", diskError(root.Name(), err)
	}
	to := superseded + "/" + at.UTC().Format("20060102T150405.000000Z_") + name
	err = root.Rename(name, to)
	if errors.Is(err, fs.ErrNotExist) {
		before, err := fs.Glob(root.FS(), superseded+"/*_"+name)
		if err != nil || len(before) == 0 {
			return "", err
		}
		return slices.Max(before), nil
	}
	if err != nil {
		return "", diskError(root.Name(), err)
	}
	return to, syncFolder(root)
}

// Path returns where a file of a folder is.
func (a *Archive) Path(folder, name string) string { return filepath.Join(a.dir, folder, name) }

// Fault is a file that is not as its manifest says. Name is "" for what
// concerns the folder.
type Fault struct{ Name, Problem string }

// Checked is what came of checking a folder against its manifest.
type Checked struct {
	Manifest    Manifest
	Files       int // that agree
	Rows, Bytes int64
	Faults      []Fault
}

// Check checks every file in the folder at path against the manifest there:
// size, checksum, gzip, format, rows and times. It changes nothing and needs no
// network. It fails when there is no manifest that can be read, or when ctx
// ends. progress, if set, is called before each file.
func Check(ctx context.Context, path string, progress func(done, all int)) (Checked, error) {
	var c Checked
	root, err := os.OpenRoot(path)
	if err != nil {
		return c, fmt.Errorf("%s cannot be opened: %w", path, reason(err))
	}
	defer root.Close()
	c.Manifest, err = readManifest(root)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%s has no %s: give the folder of an export", path, ManifestName)
	}
	if err != nil {
		return c, err
	}
	form := requested(c.Manifest.Request)
	for i, f := range c.Manifest.Files {
		if progress != nil {
			progress(i, len(c.Manifest.Files))
		}
		problem, err := form.check(ctx, root, f)
		if err != nil {
			return c, err
		}
		if problem != "" {
			c.Faults = append(c.Faults, Fault{f.Name, problem})
			continue
		}
		c.Files, c.Rows, c.Bytes = c.Files+1, c.Rows+f.Rows, c.Bytes+f.Bytes
	}
	for _, name := range unknownFiles(root, c.Manifest.Files) {
		c.Faults = append(c.Faults, Fault{name, "is not in the manifest"})
	}
	return c, nil
}

// form is what a request says of its files.
type form struct{ format, timeColumn string }

func requested(request json.RawMessage) form {
	var r struct{ Type, Format string }
	if json.Unmarshal(request, &r) != nil || r.Type == "" {
		return form{} // not known: what can be found out is checked
	}
	return form{format: r.Format, timeColumn: TimeColumn(r.Type)}
}

// check returns in what a file differs from its record, or "".
func (m form) check(ctx context.Context, root *os.Root, f File) (problem string, err error) {
	if !validName(f.Name) {
		return "is no name of a file of a folder", nil
	}
	file, err := root.Open(f.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return "is missing", nil
	}
	if err != nil {
		return "cannot be read: " + reason(err).Error(), nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "is no file", nil
	}
	if info.Size() != f.Bytes {
		return fmt.Sprintf("has %d bytes, and the manifest says %d", info.Size(), f.Bytes), nil
	}
	r := rules{format: m.format, timeColumn: m.timeColumn}
	r.start, _ = time.Parse(time.RFC3339Nano, f.Start)
	r.end, _ = time.Parse(time.RFC3339Nano, f.End)
	v := newVerifier(r)
	_, copied := io.Copy(v, untilDone{ctx, file})
	if err := ctx.Err(); err != nil {
		v.abandon()
		return "", err
	}
	rows, sum, verified := v.finish()
	var content *ContentError
	switch {
	case sum != f.SHA256 && copied == nil:
		return "has another content than the manifest says (sha256)", nil
	case errors.As(verified, &content):
		return content.Reason, nil
	case verified != nil || copied != nil:
		return "cannot be read: " + errors.Join(copied, verified).Error(), nil
	case rows.rows != f.Rows:
		return fmt.Sprintf("has %d rows, and the manifest says %d", rows.rows, f.Rows), nil
	case m.timeColumn != "" && (instant(rows.first) != f.FirstEvent || instant(rows.last) != f.LastEvent):
		return "has other first and last times than the manifest says", nil
	}
	return "", nil
}

// unknownFiles returns the exported files of a folder that no record names.
// Those under way and those set aside do not count.
func unknownFiles(root *os.Root, known []File) []string {
	listed, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil
	}
	names := make(map[string]bool, len(known))
	for _, f := range known {
		names[f.Name] = true
	}
	var unknown []string
	for _, e := range listed {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".gz") && !names[e.Name()] {
			unknown = append(unknown, e.Name())
		}
	}
	slices.Sort(unknown)
	return unknown
}
