package landing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// Copies is where copies of Parquet files are kept, as package mirror does. Names have the folder
// of the export, and slashes.
type Copies interface {
	Address(name string) string
	// Put copies content, unless there is a copy of it already. A reader sees the old object or
	// the new one.
	Put(ctx context.Context, name string, content io.ReaderAt, size int64, sha256 string) error
	// Remove succeeds if there is no object of the name.
	Remove(ctx context.Context, name string) error
	// List returns the sizes of the objects below a folder, by name.
	List(ctx context.Context, folder string) (map[string]int64, error)
}

// copy copies the Parquet file at path, unless the index says that it was copied there. After
// an error, which is returned at the end, nothing else is copied: it would be the same one, after
// a minute of tries.
func (c *conversion) copy(ctx context.Context, path string) {
	if c.copies != nil && c.notCopied == nil {
		c.notCopied = c.tryCopy(ctx, path)
	}
}

func (c *conversion) tryCopy(ctx context.Context, path string) error {
	name := c.copyName(path)
	address := c.copies.Address(name)
	if c.index.Files[path].Copied == address {
		return nil
	}
	file, err := c.folder.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return err
	}
	if err := c.copies.Put(ctx, name, file, size, hex.EncodeToString(hash.Sum(nil))); err != nil {
		return err
	}
	c.index.copied(path, address)
	return nil
}

// copyName returns the name of the copy of a Parquet file.
func (c *conversion) copyName(path string) string { return c.name + "/" + Folder + "/" + path }
