package landing

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// removeOthers removes the Parquet files that are not wanted, with their copies, and nothing else;
// those that readers of a Delta table may need stay for a while. A file leaves the index after its
// copy is gone, so that a killed conversion forgets none.
func (c *conversion) removeOthers(ctx context.Context, there []string, wanted map[string]bool) error {
	others, err := c.forgotten(ctx)
	if err != nil {
		return err
	}
	own, copied, err := c.readable(ctx)
	if err != nil {
		return err
	}
	others = append(append(others, there...), slices.Collect(maps.Keys(c.index.Files))...)
	slices.Sort(others)
	for _, path := range slices.Compact(others) {
		if wanted[path] || !isParquet(path) {
			continue
		}
		if err := c.removeOther(ctx, path, own[path], copied[path]); err != nil {
			return err
		}
	}
	return nil
}

// removeOther removes a file unless keep, and its copy unless keepCopy.
func (c *conversion) removeOther(ctx context.Context, path string, keep, keepCopy bool) error {
	if !keep {
		if err := c.folder.Remove(path); err != nil {
			return err
		}
		c.result.Removed++
	}
	if c.copies != nil && !keepCopy && (c.index.lost || c.index.Files[path].Copied != "") {
		if err := c.copies.Remove(ctx, c.copyName(path)); err != nil {
			return err
		}
	}
	if !keep && !keepCopy {
		c.index.remove(path)
	}
	return nil
}

// readable returns the paths, and those of copies, that readers of the Delta tables may need. It
// returns none if there are no tables.
func (c *conversion) readable(ctx context.Context) (own, copied map[string]bool, err error) {
	if c.tables == nil {
		return nil, nil, nil
	}
	if own, err = readable(c.tables.own, c.folder.Remove); err != nil || c.tables.copied == nil {
		return own, own, err
	}
	copied, err = readable(c.tables.copied, func(path string) error { return c.copies.Remove(ctx, c.copyName(path)) })
	return own, copied, err
}

// forgotten returns the paths of the copies that a folder without its index may have: another
// machine may have made them. It leaves a Delta table alone, whose log knows its files.
func (c *conversion) forgotten(ctx context.Context) (paths []string, err error) {
	if c.copies == nil || !c.index.lost || c.tables != nil {
		return nil, nil
	}
	under := c.name + "/" + Folder + "/"
	there, err := c.copies.List(ctx, strings.TrimSuffix(under, "/"))
	for name := range there {
		paths = append(paths, strings.TrimPrefix(name, under))
	}
	return paths, err
}

// isParquet reports whether a path is that of a file that a conversion may have made.
func isParquet(path string) bool {
	return strings.HasPrefix(path, partition) && strings.HasSuffix(path, suffix)
}
