package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/profile"
	"fullstory-export-mcp/rows"
)

// Path returns the absolute path of a file of a folder.
func (a *Archive) Path(folder, name string) string { return filepath.Join(a.dir, folder, name) }

// Fault says how a file differs from the manifest. Problem follows the name of the file
// in a sentence: "is missing".
type Fault struct{ Name, Problem string }

// Checked is the result of checking a folder against its manifest.
type Checked struct {
	Manifest    Manifest      // without Files if these would take too much memory
	Listed      int           // files of the manifest
	Files       int           // that agree with the manifest
	Rows, Bytes int64         // of these files
	Warnings    rows.Warnings // of these files, as the manifest has them
	Profiled    int           // of these files: how many got a profile, because theirs was missing, damaged or stale
	// Unprofiled is the reason why the first profile that was to be written was not, for
	// instance because the folder may not be changed; nil if all were.
	Unprofiled error
	Faults     []Fault // in the order of the manifest, then files it does not list; not from CheckEach
}

// Check compares every file in the folder at path with the manifest there: size,
// checksum, gzip, format, columns, rows and times. In the same pass it makes the profile of
// each file that agrees, and writes it where it is missing, damaged or stale; it changes
// nothing else. It uses all cores and needs no network. It fails if the manifest cannot be read or ctx ends; a file
// that differs is a Fault. progress, if set, is called as each result arrives, in the
// order of the files, with the number of results before it.
func Check(ctx context.Context, path string, progress func(done, all int)) (Checked, error) {
	var faults []Fault
	c, err := CheckEach(ctx, path, progress, func(f Fault) { faults = append(faults, f) })
	c.Faults = faults
	return c, err
}

// CheckEach is Check for a folder with any number of faults: it calls fault with each,
// and takes memory that is bounded whatever the folder holds.
func CheckEach(
	ctx context.Context, path string, progress func(done, all int), fault func(Fault),
) (c Checked, err error) {
	return checkEach(ctx, path, progress, fault, func(File) {})
}

// checkEach is CheckEach. It calls agrees with the entry that each file which agrees with
// the manifest has in one of the current version.
func checkEach(
	ctx context.Context, path string, progress func(done, all int), fault func(Fault), agrees func(File),
) (c Checked, err error) {
	root, err := local.OpenFolder(path)
	if err != nil {
		return c, fmt.Errorf("%s cannot be opened: %w", local.Shown(path), reason(err))
	}
	defer root.Close()
	listed, err := openListed(ctx, root)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%s has no %s: give the folder of an export", local.Shown(path), ManifestName)
	}
	if err != nil {
		return c, err
	}
	c.Manifest, c.Listed = listed.Manifest, listed.files
	rules := requested(c.Manifest.Request)
	known, done := newNames(), 0
	err = listed.each(ctx, root, func(files []File) error {
		work := func(ctx context.Context, i int) (verdict, error) { return check(ctx, root, files[i], rules) }
		at := 0
		for v, err := range inOrder(ctx, len(files), work) {
			if err != nil {
				return err
			}
			if progress != nil {
				progress(done, c.Listed)
			}
			c.add(files[at], v, fault, agrees)
			known.add(files[at].Name)
			at, done = at+1, done+1
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	for _, name := range unknownFiles(root, known) {
		fault(Fault{name, "is not in the manifest"})
	}
	removeProfiles(root)
	return c, nil
}

// add counts a file.
func (c *Checked) add(f File, v verdict, fault func(Fault), agrees func(File)) {
	if v.problem != "" {
		fault(Fault{f.Name, v.problem})
		return
	}
	c.Files, c.Rows, c.Bytes = c.Files+1, c.Rows+f.Rows, c.Bytes+f.Bytes
	c.Warnings = c.Warnings.Plus(f.Warnings)
	if v.profiled {
		c.Profiled++
	}
	if c.Unprofiled == nil {
		c.Unprofiled = v.unprofiled
	}
	agrees(v.entry)
}

// requested returns the rules of a request. If the request is not known, they are zero:
// the format is then detected.
func requested(request json.RawMessage) rows.Rules {
	var r struct {
		Type, Format string
		Fields       []string
	}
	if json.Unmarshal(request, &r) != nil || r.Type == "" {
		return rows.Rules{}
	}
	return rows.RulesOf(r.Type, r.Format, r.Fields)
}

// verdict is the result of checking a file.
type verdict struct {
	problem    string // how it differs from its record; "" if it does not
	entry      File   // its record in the current version, if it does not differ
	profiled   bool   // its profile was written
	unprofiled error  // its profile could not be written
}

// check compares a file with its record, and writes its profile if it agrees. It only fails
// if ctx ends.
func check(ctx context.Context, root *os.Root, f File, rules rows.Rules) (v verdict, err error) {
	if !validName(f.Name) {
		return verdict{problem: "is not a valid name of a file"}, nil
	}
	file, err := local.OpenIn(root, f.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return verdict{problem: "is missing"}, nil
	case errors.Is(err, local.ErrNotRegular):
		return verdict{problem: "is not a regular file"}, nil
	case err != nil:
		return verdict{problem: "cannot be read: " + reason(err).Error()}, nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return verdict{problem: "cannot be read: " + reason(err).Error()}, nil
	}
	if info.Size() != f.Bytes {
		return verdict{problem: fmt.Sprintf("has %d bytes, and the manifest says %d", info.Size(), f.Bytes)}, nil
	}
	window := f.Window()
	observed, made := observe(rules.Within(window.Start, window.End))
	got, sum, damage, read := rows.Verify(untilDone{ctx, file}, observed)
	if ctx.Err() != nil {
		return v, ctx.Err()
	}
	if v.problem = readProblem(f, sum, damage, read); v.problem == "" {
		v.problem = differs(got, f, rules.TimeColumn != "")
	}
	if v.problem == "" {
		v.entry = f.current(got)
		v.profiled, v.unprofiled = v.profile(ctx, root, made)
	}
	return v, ctx.Err()
}

// readProblem returns how the content of a file differs from its record, from the results
// of rows.Verify; "" if it does not.
func readProblem(f File, sum string, damage, read error) string {
	if f.Warnings.EmptyObject && f.Bytes == 0 {
		damage = nil // it is not gzip, as the record says
	}
	var content *rows.Error
	switch {
	case read != nil:
		return "cannot be read: " + reason(read).Error()
	case sum != f.SHA256 && errors.As(damage, &content):
		return "differs from the checksum in the manifest (sha256): " + content.Reason
	case sum != f.SHA256:
		return "differs from the checksum in the manifest (sha256)"
	case errors.As(damage, &content):
		return content.Reason
	case damage != nil:
		return "cannot be read: " + damage.Error()
	}
	return ""
}

// profile writes the profile of the file, and notes it in its record.
func (v *verdict) profile(ctx context.Context, root *os.Root, made *profile.Builder) (wrote bool, err error) {
	of, err := profileOf(made, v.entry)
	if err != nil {
		return false, err
	}
	v.entry.Filled = of.filled
	if wrote, err = writeProfile(ctx, root, v.entry.Name, of.raw); err == nil {
		v.entry.Profile = ProfileName(v.entry.Name)
	}
	return wrote, err
}

// differs returns how verified rows differ from their record, or "". timed says that
// rows of this export have times.
func differs(got rows.Summary, f File, timed bool) string {
	count := got.Rows
	if f.ColumnsSHA256 == "" && f.Rows != count {
		count -= got.Blank // version 1 of the manifest did not count them
	}
	switch {
	case count != f.Rows:
		return fmt.Sprintf("has %d rows, and the manifest says %d", got.Rows, f.Rows)
	case f.ColumnsSHA256 != "" && f.ColumnsSHA256 != columnsSum(got.Columns):
		return "has other columns than the manifest says"
	case !timed:
		return ""
	case !sameTime(got.FirstText, f.FirstEvent), !sameTime(got.LastText, f.LastEvent):
		return "has other first and last times than the manifest says"
	}
	return ""
}

// sameTime reports whether two times are spelled alike or are one instant.
func sameTime(a, b string) bool {
	if a == b {
		return true
	}
	first, _, ok := rows.ParseTime(a)
	second, _, alsoOK := rows.ParseTime(b)
	return ok && alsoOK && first.Equal(second)
}

// unknownFiles returns the exported files of a folder that the manifest does not list.
// It leaves out parts, whose names end in .part, and files in folders inside.
func unknownFiles(root *os.Root, known names) (unknown []string) {
	err := local.ListIn(root, ".", func(e fs.DirEntry) {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".gz") && !known.has(e.Name()) {
			unknown = append(unknown, e.Name())
		}
	})
	if err != nil {
		return nil
	}
	slices.Sort(unknown)
	return unknown
}
