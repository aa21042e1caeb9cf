package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/profile"
)

// manifestTries is how often a manifest with pages is read while another process
// replaces it.
const manifestTries = 3

// Copy returns the function with which archive.Bring copies the files of a folder
// of the archive, and their profiles. It returns nil if m is nil.
func (m *Mirror) Copy(folder string) func(ctx context.Context, f archive.File, content io.ReaderAt) error {
	if m == nil {
		return nil
	}
	return func(ctx context.Context, f archive.File, content io.ReaderAt) error {
		return m.Put(ctx, folder+"/"+f.Name, content, f.Bytes, f.SHA256)
	}
}

// CopyManifest copies the current manifest of a folder. Call it after the files
// that the manifest names were copied, so that a reader of the mirror finds all of
// them. It does nothing if m is nil.
func (m *Mirror) CopyManifest(ctx context.Context, a *archive.Archive, folder string) error {
	if m == nil {
		return nil
	}
	copied := map[string]bool{}
	err := a.EachManifestFile(folder, func(name string, content []byte) error {
		sum := sha256.Sum256(content)
		copied[folder+"/"+name] = true
		return m.Put(ctx, folder+"/"+name, bytes.NewReader(content), int64(len(content)), hex.EncodeToString(sum[:]))
	})
	if err != nil {
		return fmt.Errorf("copy the manifest: %w", err)
	}
	if len(copied) > 1 {
		m.removePages(ctx, folder, copied)
	}
	return nil
}

// removePages removes the pages of earlier manifests of a folder. Credentials that may
// not delete leave them, which costs space and nothing else.
func (m *Mirror) removePages(ctx context.Context, folder string, keep map[string]bool) {
	present, err := m.List(ctx, folder+"/"+archive.PagesFolder)
	if err != nil {
		return
	}
	for name := range present {
		if !keep[name] && m.Remove(ctx, name) != nil {
			return
		}
	}
}

// Profile returns the copied profile of a file of a folder. It returns ErrMissing if there
// is none, and if m is nil, and otherwise fails as archive.ParseProfile does.
func (m *Mirror) Profile(ctx context.Context, folder string, f archive.File) (profile.Profile, error) {
	if m == nil {
		return profile.Profile{}, ErrMissing
	}
	raw, err := m.Get(ctx, folder+"/"+archive.ProfileName(f.Name), profile.MostBytes)
	if err != nil {
		return profile.Profile{}, err
	}
	return archive.ParseProfile(raw, f)
}

// Manifest returns the copied manifest of a folder. The files that it names are in
// the mirror. It returns ErrMissing if there is none, and if m is nil.
func (m *Mirror) Manifest(ctx context.Context, folder string) (archive.Manifest, error) {
	if m == nil {
		return archive.Manifest{}, ErrMissing
	}
	for tries := 1; ; tries++ { // another process may replace the manifest meanwhile
		raw, err := m.Get(ctx, folder+"/"+archive.ManifestName, archive.MaxManifest)
		if err != nil {
			return archive.Manifest{}, err
		}
		path := m.Address(folder + "/" + archive.ManifestName)
		read, err := archive.ParseManifest(raw, path, func(name string) ([]byte, error) {
			page, err := m.Get(ctx, folder+"/"+name, archive.MaxManifest)
			if errors.Is(err, ErrMissing) {
				err = fs.ErrNotExist
			}
			return page, err
		})
		if !errors.Is(err, archive.ErrPageGone) || tries == manifestTries {
			return read, err
		}
	}
}
