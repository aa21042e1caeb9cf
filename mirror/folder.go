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

// largestManifest is the most that is read of a manifest, in bytes: that of a
// bulk export takes about 1 kB a chunk.
const largestManifest = 256 << 20

// Copy returns what keeps copies of the files of a folder of an archive, for
// archive.Fetch; nil without a mirror.
func (m *Mirror) Copy(folder string) func(ctx context.Context, f archive.File, content io.ReaderAt) error {
	if m == nil {
		return nil
	}
	return func(ctx context.Context, f archive.File, content io.ReaderAt) error {
		return m.Put(ctx, folder+"/"+f.Name, content, f.Bytes, f.SHA256)
	}
}

// CopyManifest keeps a copy of the manifest of a folder as it is now. Without a
// mirror it does nothing. It is to be called once the files that the manifest
// names are there.
func (m *Mirror) CopyManifest(ctx context.Context, a *archive.Archive, folder string) error {
	if m == nil {
		return nil
	}
	raw, err := os.ReadFile(a.Path(folder, archive.ManifestName))
	if err != nil {
		return fmt.Errorf("the manifest to be copied: %w", err)
	}
	sum := sha256.Sum256(raw)
	return m.Put(ctx, folder+"/"+archive.ManifestName, bytes.NewReader(raw), int64(len(raw)), hex.EncodeToString(sum[:]))
}

// Manifest returns the copied manifest of a folder: what it names is there. It
// fails with ErrMissing without one, and without a mirror.
func (m *Mirror) Manifest(ctx context.Context, folder string) (archive.Manifest, error) {
	if m == nil {
		return archive.Manifest{}, ErrMissing
	}
	name := folder + "/" + archive.ManifestName
	raw, err := m.Get(ctx, name, largestManifest)
	if err != nil {
		return archive.Manifest{}, err
	}
	return archive.ParseManifest(raw, m.Address(name))
}
