package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"fullstory-export-mcp/local"
)

// Folder returns the store of the table in a folder of this machine. root must stay open while
// the store is in use. The file system must have hard links, with which a commit appears under
// its name whole and never in place of another; those of memory cards have none.
func Folder(root *os.Root) Store { return folder{root} }

type folder struct{ root *os.Root }

const unfinished = ".part" // the end of the names of files that are being written

func (f folder) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return local.ReadIn(f.root, LogFolder+"/"+name, limit)
}

func (f folder) create(ctx context.Context, name string, content []byte) error {
	temporary, err := f.write(ctx, name, content)
	if err != nil {
		return err
	}
	err = f.root.Link(temporary, LogFolder+"/"+name)
	f.root.Remove(temporary) // clean removes it otherwise
	switch {
	case errors.Is(err, fs.ErrExist):
		return err
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("the file system must have hard links: %w", err)
	case err != nil: // a server of files may have made the link, and its answer was lost
		return fmt.Errorf("%w: %w", errMaybe, err)
	}
	if err := f.settle(ctx); err != nil {
		return fmt.Errorf("%w: %w", errMaybe, err)
	}
	return nil
}

func (f folder) settle(context.Context) error { return local.SyncIn(f.root, LogFolder) }

func (f folder) replace(ctx context.Context, name string, content []byte) error {
	temporary, err := f.write(ctx, name, content)
	if err != nil {
		return err
	}
	if err := f.root.Rename(temporary, LogFolder+"/"+name); err != nil {
		f.root.Remove(temporary)
		return err
	}
	return f.settle(ctx)
}

// write writes a new file durably under a name that nobody else uses, and returns its path.
func (f folder) write(ctx context.Context, name string, content []byte) (path string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	path = LogFolder + "/." + name + "." + newID() + unfinished
	file, err := local.CreateIn(f.root, path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.makeLog(); err != nil {
			return "", err
		}
		file, err = local.CreateIn(f.root, path, 0)
	}
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err != nil {
		f.root.Remove(path)
	}
	return path, err
}

// makeLog makes the folder of the log durably.
func (f folder) makeLog() error {
	if err := local.MkdirIn(f.root, LogFolder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return local.SyncIn(f.root, ".")
}

func (f folder) list(ctx context.Context, _ string, each func(string, time.Time)) error {
	var failed error
	err := local.ListIn(f.root, LogFolder, func(e fs.DirEntry) {
		if failed != nil || !e.Type().IsRegular() {
			return
		}
		if failed = ctx.Err(); failed != nil {
			return
		}
		info, err := e.Info()
		switch {
		case err == nil:
			each(e.Name(), info.ModTime())
		case !errors.Is(err, fs.ErrNotExist): // removed meanwhile
			failed = err
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, failed)
}

func (f folder) remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.root.Remove(LogFolder + "/" + name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f folder) clean(ctx context.Context, since time.Time) error {
	var left []string
	err := f.list(ctx, "", func(name string, changed time.Time) {
		if strings.HasPrefix(name, ".") && strings.HasSuffix(name, unfinished) && changed.Before(since) {
			left = append(left, name)
		}
	})
	for _, name := range left {
		err = errors.Join(err, f.remove(ctx, name))
	}
	return err
}
