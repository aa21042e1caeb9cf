package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

// Wanted is a file to be brought into the archive.
type Wanted struct {
	Folder      string        // name of a folder of the archive; made if missing
	Name        string        // name of the file, see FileName
	OperationID string        // of the export
	Rules       rows.Rules    // that its rows must satisfy; their window is that of the file
	ExportedAt  time.Time     // when Fullstory took the rows; zero: now
	Took        time.Duration // how long Fullstory worked on the export; 0: not known

	// KeepDamaged keeps a complete file that fails verification in the folder
	// .rejected, with a note of why. The *rows.Error says where.
	KeepDamaged bool
	// Replace lets the file replace one with different content, which moves to the
	// folder .superseded. The name exists at every instant. Without Replace such a file
	// is a *ConflictError.
	Replace bool
	// Check, if set, may reject a verified file before it gets its name. attachment is the
	// name that the store gave it, if any. If Check fails, nothing is kept, and Bring
	// returns its error.
	Check func(f File, attachment string) error
	// Copy, if set, receives the verified file before it gets its name, and then its profile
	// as a File of which only Name, Bytes and SHA256 are set. If Copy fails, the part is kept
	// for the next call, and Bring returns its error. BringOnce also calls it with a file that
	// is stored already.
	Copy func(ctx context.Context, f File, content io.ReaderAt) error
}

// Load writes a file to p, which may have the start of it from an earlier call. It
// returns once p has the whole file.
type Load func(ctx context.Context, p *Part) (Loaded, error)

// Loaded describes a file as the store does.
type Loaded struct {
	Attachment string // the name that the store gave the file, if any
	Empty      bool   // the store confirmed that the file has 0 bytes, so it is not even gzip
}

// BringOnce returns the file if the manifest of its folder records it and it is on
// disk. Otherwise it brings the file and records it. It fails as Bring does.
func (a *Archive) BringOnce(ctx context.Context, w Wanted, load Load) (file File, superseded string, err error) {
	file, ok := a.stored(w)
	if ok {
		return file, "", a.copyStored(ctx, w, file)
	}
	if file, superseded, err = a.Bring(ctx, w, load); err != nil {
		return file, superseded, err
	}
	return file, superseded, a.UpdateManifest(ctx, w.Folder, func(m *Manifest) error {
		if m.OperationID == "" && w.Folder == OperationFolder(w.OperationID) {
			m.OperationID = w.OperationID
		}
		m.put(file)
		return nil
	})
}

// Bring loads and verifies a file and gives it its name. It neither reads nor writes
// the manifest of the folder. If load fails or is cancelled, the next call continues
// with the bytes it stored, also after a crash.
//
// superseded is the new path of the file that this one replaced, relative to the
// folder; "" if it replaced none. After a crash the next call returns it again.
//
// Bring fails with a *rows.Error, *DiskError, *BusyError or *ConflictError, the error
// of load, Check or Copy, or that of ctx.
func (a *Archive) Bring(ctx context.Context, w Wanted, load Load) (file File, superseded string, err error) {
	if !validName(w.Name) || w.Name == ManifestName {
		return File{}, "", fmt.Errorf("%q cannot be the name of a file of the archive", w.Name)
	}
	if err := ctx.Err(); err != nil {
		return File{}, "", err
	}
	root, err := a.folder(w.Folder, true)
	if err != nil {
		return File{}, "", err
	}
	defer root.Close()
	p, err := openPart(ctx, root, w.Name, w.OperationID, w.Rules)
	if err != nil {
		return File{}, "", err
	}
	defer p.close()
	p.reserve, p.keepDamaged = a.reserve, w.KeepDamaged
	if file, err = w.fill(ctx, p, load); err != nil {
		return File{}, "", err
	}
	superseded, err = w.publish(ctx, p, file.SHA256)
	return file, superseded, p.discard(err)
}

// fill loads the file into p, verifies it, and calls w.Check and w.Copy.
func (w Wanted) fill(ctx context.Context, p *Part, load Load) (File, error) {
	loaded, err := load(ctx, p)
	if err != nil {
		return File{}, p.discard(err)
	}
	got, sum, err := p.check.Finish()
	if loaded.Empty && p.size == 0 {
		got, err = rows.Summary{Warnings: rows.Warnings{EmptyObject: true}}, nil
	}
	if err != nil {
		return File{}, p.damaged(err, sum)
	}
	file := w.record(p.size, sum, got)
	made, err := profileOf(p.made, file)
	if err != nil {
		return File{}, err
	}
	file.Filled, file.Profile = made.filled, ProfileName(w.Name)
	if w.Check != nil {
		if err := w.Check(file, loaded.Attachment); err != nil {
			p.object.ETag = "" // so that close removes the part
			return File{}, err
		}
	}
	if w.Copy != nil {
		if err := w.Copy(ctx, file, p.file); err != nil {
			return File{}, err
		}
		if err := w.copyProfile(ctx, made.raw); err != nil {
			return File{}, err
		}
	}
	p.profile = made.raw
	return file, nil
}

// copyProfile passes a profile to w.Copy.
func (w Wanted) copyProfile(ctx context.Context, raw []byte) error {
	sum := sha256.Sum256(raw)
	as := File{Name: ProfileName(w.Name), Bytes: int64(len(raw)), SHA256: hex.EncodeToString(sum[:])}
	return w.Copy(ctx, as, bytes.NewReader(raw))
}

// discard returns err. The part is removed when it is closed if err is a fault of the
// content, since more bytes cannot help, or if no space is left: a full disk stops all
// work, also that of the ledger, and the bytes can be loaded again. If the disk is only
// about to be full, the part is kept, and continued once there is space.
func (p *Part) discard(err error) error {
	_, wrong := errors.AsType[*rows.Error](err)
	if wrong || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		p.object.ETag = ""
	}
	return err
}

// damaged returns the error of a complete file that failed verification. With
// keepDamaged it first moves the file to the folder .rejected.
func (p *Part) damaged(err error, sum string) error {
	content, wrong := errors.AsType[*rows.Error](err)
	if !wrong || !p.keepDamaged {
		return p.discard(err)
	}
	p.object.ETag = ""
	kept, failed := p.reject(content, sum)
	if failed != nil {
		return errors.Join(err, failed)
	}
	content.Kept = kept
	return err
}

// copyStored passes a file that is stored already to w.Copy.
func (a *Archive) copyStored(ctx context.Context, w Wanted, file File) error {
	if w.Copy == nil {
		return nil
	}
	root, err := a.folder(w.Folder, false)
	if err != nil {
		return err
	}
	defer root.Close()
	content, err := local.OpenIn(root, w.Name)
	if err != nil {
		return diskError(a.Path(w.Folder, w.Name), err)
	}
	defer content.Close()
	if err := w.Copy(ctx, file, content); err != nil {
		return err
	}
	if _, err := readProfile(root, file); err != nil {
		return nil // it has none that could be copied
	}
	raw, err := profileBytes(root, w.Name)
	if err != nil {
		return nil
	}
	return w.copyProfile(ctx, raw)
}

// record returns the manifest entry of a verified file.
func (w Wanted) record(bytes int64, sum string, got rows.Summary) File {
	file := File{
		Name: w.Name, Start: instant(w.Rules.Start), End: instant(w.Rules.End), OperationID: w.OperationID,
		Bytes: bytes, SHA256: sum,
		Rows: got.Rows, FirstEvent: got.FirstText, LastEvent: got.LastText,
		Columns: got.Columns, ColumnsSHA256: columnsSum(got.Columns), Warnings: got.Warnings, NotChecked: got.NotChecked,
		ExportedAt: w.ExportedAt.UTC(), ExportSeconds: w.Took.Seconds(),
		RowsByHour: got.ByHour,
	}
	if w.ExportedAt.IsZero() {
		file.ExportedAt = time.Now().UTC().Truncate(time.Second)
	}
	if file.Columns == nil {
		file.Columns = []string{}
	}
	return file
}

// stored returns the manifest entry of a file. ok reports whether there is one and the
// file on disk has its size.
func (a *Archive) stored(w Wanted) (f File, ok bool) {
	m, err := a.Manifest(w.Folder)
	if err != nil {
		return File{}, false
	}
	root, err := a.folder(w.Folder, false)
	if err != nil {
		return File{}, false
	}
	defer root.Close()
	for _, file := range m.Files {
		if file.Name == w.Name && file.OperationID == w.OperationID {
			info, err := root.Lstat(w.Name)
			return file, err == nil && info.Mode().IsRegular() && info.Size() == file.Bytes
		}
	}
	return File{}, false
}

// publish gives a verified part, whose checksum is sum, its name. With w.Replace a file
// with different content that has the name is superseded, and publish returns its new
// path. The profile is written before, so that no file is without one after a crash; while
// an earlier file has the name, the profile is stale.
func (w Wanted) publish(ctx context.Context, p *Part, sum string) (superseded string, err error) {
	stored, err := checksum(p.root, p.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", diskError(p.root.Name(), err)
	case stored == sum: // as after a crash: the part is not needed
		p.object.ETag = ""
		_, err := writeProfile(ctx, p.root, p.name, p.profile)
		return supersededBy(p.root, p.name, sum), err
	case !w.Replace:
		return "", &ConflictError{Path: filepath.Join(p.root.Name(), p.name)}
	default:
		by := succession{SHA256: sum, OperationID: w.OperationID, At: time.Now().UTC()}
		if superseded, err = supersede(p.root, p.name, stored, by); err != nil {
			return "", err
		}
	}
	if _, err := writeProfile(ctx, p.root, p.name, p.profile); err != nil {
		return "", err
	}
	return superseded, p.publish()
}

// checksum returns the sha256 of a file of root, in hex.
func checksum(root *os.Root, name string) (string, error) {
	f, err := local.OpenIn(root, name)
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

// instant formats a side of a window for the manifest; "" if it is open.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
