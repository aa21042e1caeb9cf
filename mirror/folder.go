package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"fullstory-export-mcp/archive"
)

// maxManifest bounds the bytes that are read of a manifest. The manifest of a bulk
// export has about 1 kB per chunk.
const maxManifest = 256 << 20

// Copy returns the function with which archive.Bring copies the files of a folder
// of the archive. It returns nil if m is nil.
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
	raw, err := os.ReadFile(a.Path(folder, archive.ManifestName))
	if err != nil {
		return fmt.Errorf("read the manifest to copy it: %w", err)
	}
	sum := sha256.Sum256(raw)
	name := folder + "/" + archive.ManifestName
	return m.Put(ctx, name, bytes.NewReader(raw), int64(len(raw)), hex.EncodeToString(sum[:]))
}

// Manifest returns the copied manifest of a folder. The files that it names are in
// the mirror. It returns ErrMissing if there is none, and if m is nil.
func (m *Mirror) Manifest(ctx context.Context, folder string) (archive.Manifest, error) {
	if m == nil {
		return archive.Manifest{}, ErrMissing
	}
	name := folder + "/" + archive.ManifestName
	raw, err := m.Get(ctx, name, maxManifest)
	if err != nil {
		return archive.Manifest{}, err
	}
	return archive.ParseManifest(raw, m.Address(name))
}
