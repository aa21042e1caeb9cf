package archive

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/profile"
	"fullstory-export-mcp/rows"
)

// Part is a file that is being loaded. It is verified while it is written. Its bytes
// survive a crash: a note beside them identifies the object of the store that they
// belong to. Bytes without a note are dropped, since nothing says how they continue.
//
// A Part is for one goroutine. Its file is locked until it is closed.
type Part struct {
	root    *os.Root
	name    string // of the final file
	file    *os.File
	rules   rows.Rules
	check   *rows.Verifier   // has seen all bytes of file
	made    *profile.Builder // by check
	profile []byte           // the JSON of what made has seen, once the file is verified
	size    int64            // bytes of file
	object  object           // of the store

	reserve     uint64                             // bytes of disk left free
	free        func(*os.File) (n uint64, ok bool) // bytes of disk that are free
	unchecked   int64                              // bytes written since the free space was asked
	keepDamaged bool                               // bytes are stored also after the verification has failed
	published   bool                               // the file has another name now, so close must not remove it
}

// object identifies a file of the store. It is also the note beside a part.
type object struct {
	Operation string `json:"operation"`
	ETag      string `json:"etag"`  // strong; empty: the part cannot be resumed
	Total     int64  `json:"total"` // bytes; -1: not known
}

// maxNote is the most bytes that are read of a note beside a file.
const maxNote = 64 << 10

func (p *Part) partName() string { return p.name + ".part" }
func (p *Part) noteName() string { return p.name + ".part.json" }

// openPart opens the part of a file of operation. It is empty or has the bytes of an
// earlier attempt, which openPart verifies first. Only one may be open at a time on the
// whole machine; another gets a *BusyError. If ctx ends during the verification, the
// bytes are kept for the next attempt.
func openPart(ctx context.Context, root *os.Root, name, operation string, r rows.Rules) (*Part, error) {
	f, err := local.CreateIn(root, name+".part", 0)
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, &BusyError{Name: name}
	}
	if !same(root, name+".part", f) {
		f.Close() // another process has just published or removed the file that f is
		return nil, &BusyError{Name: name}
	}
	p := &Part{
		root: root, name: name, file: f, rules: r, free: free, object: object{Operation: operation, Total: -1},
	}
	p.verify()
	if p.resume(ctx, operation) {
		return p, nil
	}
	if err := ctx.Err(); err != nil {
		p.check.Close()
		f.Close()
		return nil, err
	}
	if err := p.Reset(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// same reports whether name still leads to the open file f.
func same(root *os.Root, name string, f *os.File) bool {
	there, err := root.Lstat(name)
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(there, open)
}

// resume verifies the bytes that an earlier attempt left. It returns false if there are
// none that can be continued.
func (p *Part) resume(ctx context.Context, operation string) bool {
	raw, err := local.ReadIn(p.root, p.noteName(), maxNote)
	var o object
	if err != nil || json.Unmarshal(raw, &o) != nil || o.Operation != operation || o.ETag == "" {
		return false
	}
	n, err := io.Copy(p.check, untilDone{ctx, p.file})
	if err != nil || o.Total >= 0 && n > o.Total {
		return false
	}
	p.size, p.object = n, o
	return true
}

// untilDone reads r until ctx ends, and then returns the error of ctx.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// verify begins a new verification.
func (p *Part) verify() {
	rules, made := observe(p.rules)
	p.check, p.made = rows.NewVerifier(rules), made
}

// Reset empties the part. It removes the note first: a crash in between must not leave a
// note that does not fit the bytes.
func (p *Part) Reset() error {
	p.check.Close()
	p.verify()
	p.size, p.object = 0, object{Operation: p.object.Operation, Total: -1}
	if err := p.root.Remove(p.noteName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(p.root.Name(), err)
	}
	if err := p.file.Truncate(0); err != nil {
		return diskError(p.root.Name(), err)
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return diskError(p.root.Name(), err)
}

// Has returns how many bytes the part has, and of which object: its strong ETag, "" if
// the bytes cannot be continued, and its length, -1 if that is not known.
func (p *Part) Has() (size int64, etag string, length int64) {
	return p.size, p.object.ETag, p.object.Total
}

// Begin notes which object the bytes that follow belong to. The part must be empty.
func (p *Part) Begin(etag string, length int64) error {
	p.object.ETag, p.object.Total = etag, length
	raw, err := json.Marshal(p.object)
	if err != nil {
		return err
	}
	return replace(p.root, p.noteName(), raw)
}

// Reserve returns a *DiskError if n more bytes would leave less of the disk free
// than the archive keeps.
func (p *Part) Reserve(n int64) error {
	available, ok := p.free(p.file)
	if !ok || uint64(n)+p.reserve <= available {
		return nil
	}
	return &DiskError{
		Path: filepath.Clean(p.root.Name()), Need: n, Keep: int64(p.reserve), Free: int64(min(available, 1<<62)),
	}
}

// checkEvery is after how many bytes Write asks for the free space again: other programs,
// and other downloads of this one, fill the disk meanwhile.
const checkEvery = 64 << 20

// Write adds to the part. It fails with a *rows.Error as soon as the file cannot be what
// was exported; with keepDamaged it stores the rest all the same. It fails with a
// *DiskError before the disk is full.
func (p *Part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	if err != nil {
		return n, diskError(p.root.Name(), err)
	}
	if p.unchecked += int64(n); p.unchecked >= checkEvery {
		p.unchecked = 0
		if err := p.Reserve(max(0, p.object.Total-p.size)); err != nil {
			return n, err
		}
	}
	n, err = p.check.Write(b)
	var damage *rows.Error
	if p.keepDamaged && errors.As(err, &damage) {
		return len(b), nil // Verifier.Finish returns the damage
	}
	return n, err
}

// close leaves the part for a later attempt, or removes it if it cannot be continued.
// Once the part is published, another process may have begun one of the same name.
func (p *Part) close() {
	p.check.Close()
	if !p.published && (p.size == 0 || p.object.ETag == "") {
		p.remove() // before Close, which releases the lock
	}
	p.file.Close()
}

// remove deletes the part.
func (p *Part) remove() {
	p.root.Remove(p.partName())
	p.root.Remove(p.noteName())
}

// publish gives the part its final name, in place of any file that has it.
func (p *Part) publish() error { return p.moveTo(p.name) }

// moveTo flushes the part, gives it another name and closes it. It removes the note
// last: after a crash a note without a part does no harm.
func (p *Part) moveTo(name string) error {
	if err := p.file.Sync(); err != nil {
		return diskError(p.root.Name(), err)
	}
	if err := p.root.Rename(p.partName(), name); err != nil {
		return diskError(p.root.Name(), err)
	}
	p.published = true
	if err := syncPath(p.root, path.Dir(name)); err != nil {
		return err
	}
	p.root.Remove(p.noteName())
	return p.file.Close()
}
