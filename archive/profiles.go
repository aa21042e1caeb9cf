package archive

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/profile"
	"fullstory-export-mcp/rows"
)

// profilesFolder is the folder, inside that of an export, for the profiles of its files.
// Its dot hides it from programs that load all files below a folder.
const profilesFolder = ".profile"

// ProfileName returns the name of the profile of a file, relative to the folder of both.
func ProfileName(file string) string { return profilesFolder + "/" + file + ".json" }

// Profile returns the profile of a file of a folder, which holds values of the rows as they
// are. It reads no rows: the error is fs.ErrNotExist if there is no profile,
// profile.ErrStale if it is that of another file, and another one if it is damaged. Check
// makes it again.
func (a *Archive) Profile(folder string, f File) (profile.Profile, error) {
	root, err := a.folder(folder, false)
	if err != nil {
		return profile.Profile{}, err
	}
	defer root.Close()
	return readProfile(root, f)
}

// FolderProfile returns the profile of files of a folder together. It leaves out those
// whose profile cannot be used, and returns their names: Check makes these again. It has
// one profile at a time in memory besides the sum. It fails if the folder cannot be opened
// or ctx ends.
func (a *Archive) FolderProfile(
	ctx context.Context, folder string, files []File,
) (sum profile.Profile, without []string, err error) {
	root, err := a.folder(folder, false)
	if err != nil {
		return sum, nil, err
	}
	defer root.Close()
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return sum, nil, err
		}
		p, err := readProfile(root, f)
		if err != nil {
			without = append(without, f.Name)
			continue
		}
		sum.Add(p)
	}
	return sum, without, nil
}

// ParseProfile reads the JSON of the profile of a file. It fails with profile.ErrStale if
// it is that of another file, and with another error if it is damaged.
func ParseProfile(raw []byte, f File) (profile.Profile, error) {
	return profile.Parse(raw, sourceOf(f))
}

func sourceOf(f File) profile.Source {
	return profile.Source{Name: f.Name, Bytes: f.Bytes, SHA256: f.SHA256}
}

func readProfile(root *os.Root, f File) (profile.Profile, error) {
	raw, err := profileBytes(root, f.Name)
	if err != nil {
		return profile.Profile{}, err
	}
	return ParseProfile(raw, f)
}

// profileBytes returns the content of the profile of a file.
func profileBytes(root *os.Root, file string) ([]byte, error) {
	if !validName(file) {
		return nil, fmt.Errorf("%q cannot be the name of a file of the archive", file)
	}
	return local.ReadIn(root, ProfileName(file), profile.MostBytes)
}

// writeProfile writes the profile of a file durably, as a manifest is written, unless it
// is there already; wrote says which. Two processes may do so at once.
func writeProfile(ctx context.Context, root *os.Root, file string, raw []byte) (wrote bool, err error) {
	if there, err := profileBytes(root, file); err == nil && bytes.Equal(there, raw) {
		return false, nil
	}
	switch err := local.MkdirIn(root, profilesFolder); {
	case err == nil:
		if err := syncFolder(root); err != nil {
			return false, err
		}
	case !errors.Is(err, fs.ErrExist):
		return false, diskError(root.Name(), err)
	}
	unlock, err := lock(ctx, root, profilesFolder+"/.lock")
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := writeFile(root, ProfileName(file), bytes.NewReader(raw)); err != nil {
		return false, diskError(root.Name(), err)
	}
	return true, syncPath(root, profilesFolder)
}

// profiled is the profile of a file that was verified.
type profiled struct {
	raw    []byte // its JSON
	filled string // see File.Filled
}

// profileOf returns the profile that b made of a verified file.
func profileOf(b *profile.Builder, f File) (profiled, error) {
	source := sourceOf(f)
	p := b.Profile(&source)
	raw, err := p.Encode()
	return profiled{raw, filled(p, f.Columns)}, err
}

// filled returns which columns have a value of their type in every row; see File.Filled.
func filled(p profile.Profile, columns []string) string {
	known := make(map[string]bool, len(p.Columns))
	for i := range p.Columns {
		known[p.Columns[i].Name] = p.Columns[i].Filled(p.Rows)
	}
	bits := make([]byte, (len(columns)+7)/8)
	for i, name := range columns {
		if known[name] {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return hex.EncodeToString(bits)
}

// fills reports whether column i has a value in every row of f.
func (f File) fills(i int) bool {
	at := i / 8 * 2
	if at+2 > len(f.Filled) {
		return false
	}
	bits, err := hex.DecodeString(f.Filled[at : at+2])
	return err == nil && bits[0]&(1<<(i%8)) != 0
}

// observe returns rules with a Builder that profiles the file.
func observe(r rows.Rules) (rows.Rules, *profile.Builder) {
	b := profile.NewBuilder()
	r.Observer = b
	return r, b
}

// removeProfiles removes the profiles in root whose file does not exist. One that cannot
// be removed stays.
func removeProfiles(root *os.Root) {
	var gone []string
	err := local.ListIn(root, profilesFolder, func(e fs.DirEntry) {
		file, ok := strings.CutSuffix(strings.TrimSuffix(e.Name(), ".part"), ".json")
		if !ok {
			return
		}
		if _, err := root.Lstat(file); errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, e.Name())
		}
	})
	if err != nil {
		return
	}
	for _, name := range gone {
		root.Remove(profilesFolder + "/" + name)
	}
}
