package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Fetch is a file to be brought into the archive.
type Fetch struct {
	Folder      string        // name of a folder of the archive; made if missing
	Name        string        // name of the file, see FileName
	OperationID string        // of the export
	Start, End  time.Time     // the window, half-open; a zero side is open
	Format      string        // FORMAT_NDJSON, FORMAT_JSON or FORMAT_CSV; empty: found out
	TimeColumn  string        // whose times must lie in the window; empty: none
	ExportedAt  time.Time     // when Fullstory took the rows; zero: now
	Took        time.Duration // how long Fullstory worked on it; 0: not known

	// Link returns a fresh link to the file. It is called again when a link has
	// expired. The links are secrets and are in no error.
	Link func(context.Context) (string, error)
	// Unrecorded leaves the manifest alone: the caller keeps the record of what
	// is stored, and the file is fetched whatever the manifest says.
	Unrecorded bool
	// Check, if set, has the last word on a verified file before it gets its
	// name. attachment is the name that the store gave it, if any. When Check
	// fails nothing is kept, and its error is that of Fetch.
	Check func(f File, attachment string) error
	// Copy, if set, is given the verified file before it gets its name. When it
	// fails, what was loaded is kept for the next call, and its error is that of
	// Fetch. It is called for a file that is there already as well.
	Copy func(ctx context.Context, f File, content io.ReaderAt) error
	// AllowLoopback lets links lead to this machine, where the API is as well.
	AllowLoopback bool
	// Progress, if set, is called as bytes arrive; total is -1 when not known.
	Progress func(done, total int64)
}

// Fetch downloads and verifies a file, gives it its name and records it in the
// manifest of its folder. A file that is there and recorded is not fetched
// again. What a call that fails or is cancelled has loaded is taken up by the
// next if the store can send the rest, also after a crash.
//
// It fails with a *ContentError, *LinkError, *TransferError, *DiskError,
// *BusyError or *ConflictError, the error of Link, Check or Copy, or that of ctx.
func (a *Archive) Fetch(ctx context.Context, f Fetch) (File, error) {
	if !validName(f.Name) || f.Name == ManifestName {
		return File{}, fmt.Errorf("%q is no name of a file of the archive", f.Name)
	}
	if !f.Unrecorded {
		if file, ok := a.Stored(f); ok {
			return file, a.copyStored(ctx, f, file)
		}
	}
	if err := ctx.Err(); err != nil {
		return File{}, err
	}
	root, err := a.folder(f.Folder, true)
	if err != nil {
		return File{}, err
	}
	defer root.Close()
	p, err := openPart(ctx, root, f.Name, f.OperationID, rules{format: f.Format, timeColumn: f.TimeColumn, start: f.Start, end: f.End})
	if err != nil {
		return File{}, err
	}
	defer p.close()
	t := &transfer{http: newDownloader(f.AllowLoopback), limits: a.limits, link: f.Link, loopback: f.AllowLoopback, progress: f.Progress, part: p}
	defer t.http.CloseIdleConnections()

	var rows summary
	var sum string
	if err = t.run(ctx); err == nil {
		rows, sum, err = p.check.finish()
	}
	var content *ContentError
	if errors.As(err, &content) {
		p.ETag = "" // not to be taken up again
	}
	if err != nil {
		return File{}, err
	}
	file := f.record(p.size, sum, rows)
	if f.Check != nil {
		if err := f.Check(file, t.attachment); err != nil {
			p.ETag = ""
			return File{}, err
		}
	}
	if f.Copy != nil {
		if err := f.Copy(ctx, file, p.file); err != nil {
			return File{}, err
		}
	}
	if err := publish(p, sum); err != nil || f.Unrecorded {
		return file, err
	}
	return file, a.UpdateManifest(f.Folder, func(m *Manifest) error {
		if m.OperationID == "" && f.Folder == OperationFolder(f.OperationID) {
			m.OperationID = f.OperationID
		}
		m.put(file)
		return nil
	})
}

// copyStored gives a file that is there already to f.Copy.
func (a *Archive) copyStored(ctx context.Context, f Fetch, file File) error {
	if f.Copy == nil {
		return nil
	}
	content, err := os.Open(a.Path(f.Folder, f.Name))
	if err != nil {
		return diskError(a.Path(f.Folder, f.Name), err)
	}
	defer content.Close()
	return f.Copy(ctx, file, content)
}

// record is what the manifest says of a verified file.
func (f Fetch) record(bytes int64, sum string, rows summary) File {
	file := File{
		Name: f.Name, Start: instant(f.Start), End: instant(f.End), OperationID: f.OperationID,
		Bytes: bytes, SHA256: sum,
		Rows: rows.rows, FirstEvent: instant(rows.first), LastEvent: instant(rows.last), Columns: rows.columns,
		ExportedAt: f.ExportedAt.UTC(), ExportSeconds: f.Took.Seconds(),
		RowsByHour: rows.hours.between(rows.first, rows.last),
	}
	if f.ExportedAt.IsZero() {
		file.ExportedAt = time.Now().UTC().Truncate(time.Second)
	}
	if file.Columns == nil {
		file.Columns = []string{}
	}
	return file
}

// Stored returns what the manifest says of the file, if it is there in full.
// Link is not needed for that.
func (a *Archive) Stored(f Fetch) (File, bool) {
	m, err := a.Manifest(f.Folder)
	if err != nil {
		return File{}, false
	}
	root, err := a.folder(f.Folder, false)
	if err != nil {
		return File{}, false
	}
	defer root.Close()
	for _, file := range m.Files {
		if file.Name == f.Name && file.OperationID == f.OperationID {
			info, err := root.Lstat(f.Name)
			return file, err == nil && info.Mode().IsRegular() && info.Size() == file.Bytes
		}
	}
	return File{}, false
}

// publish gives a verified part its name, unless a file of another content has
// it.
func publish(p *part, sum string) error {
	there, err := checksum(p.root, p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.publish()
	case err != nil:
		return diskError(p.root.Name(), err)
	case there != sum:
		return &ConflictError{Path: filepath.Join(p.root.Name(), p.name)}
	}
	p.ETag = "" // the same file is there: the part is not needed
	return nil
}

func checksum(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
