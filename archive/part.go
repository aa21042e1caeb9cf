package archive

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

// part is a file that is being downloaded, with its verification. What it
// holds is kept over a crash: beside it lies a note of which object it is a
// part of, without which it is worth nothing.
type part struct {
	root  *os.Root
	name  string // of the final file
	file  *os.File
	rules rules
	check *verifier
	size  int64
	object

	published bool
}

// object is what a store said of the file that it sends.
type object struct {
	Operation string `json:"operation"`
	ETag      string `json:"etag"`  // strong; empty: what is there cannot be resumed
	Total     int64  `json:"total"` // bytes; -1: not known
}

func (p *part) partName() string { return p.name + ".part" }
func (p *part) noteName() string { return p.name + ".part.json" }

// openPart opens the part of a file of operation, empty or with what an earlier
// attempt left. Only one may be open at a time, on the whole machine: another
// gets a *BusyError. When ctx ends before what is there was read, it is kept.
func openPart(ctx context.Context, root *os.Root, name, operation string, r rules) (*part, error) {
	f, err := root.OpenFile(name+".part", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	if err := lockFile(f, false); err != nil {
		f.Close()
		return nil, &BusyError{Name: name}
	}
	if !same(root, name+".part", f) {
		f.Close() // the other has just finished, and f is its file
		return nil, &BusyError{Name: name}
	}
	p := &part{root: root, name: name, file: f, rules: r, check: newVerifier(r), object: object{Operation: operation, Total: -1}}
	if p.takeUp(ctx, operation) {
		return p, nil
	}
	if err := ctx.Err(); err != nil {
		p.check.abandon()
		f.Close()
		return nil, err
	}
	if err := p.reset(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// same tells whether name still is the open file f.
func same(root *os.Root, name string, f *os.File) bool {
	there, err := root.Lstat(name)
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(there, open)
}

// takeUp reads what is there through the verification. It returns false when
// that is of no use.
func (p *part) takeUp(ctx context.Context, operation string) bool {
	raw, err := p.root.ReadFile(p.noteName())
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

// untilDone reads r until ctx ends.
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

// reset forgets what is there.
func (p *part) reset() error {
	p.check.abandon()
	p.check = newVerifier(p.rules)
	p.size, p.object = 0, object{Operation: p.Operation, Total: -1}
	if err := p.root.Remove(p.noteName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(p.root.Name(), err)
	}
	if err := p.file.Truncate(0); err != nil {
		return diskError(p.root.Name(), err)
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return diskError(p.root.Name(), err)
}

// begin notes which object follows. The part must be empty.
func (p *part) begin(etag string, total int64) error {
	if !strings.HasPrefix(etag, `"`) {
		etag = "" // a weak one does not tell two contents apart
	}
	p.ETag, p.Total = etag, total
	raw, err := json.Marshal(p.object)
	if err != nil {
		return err
	}
	return replace(p.root, p.noteName(), raw)
}

// Write adds to the part.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	if err != nil {
		return n, diskError(p.root.Name(), err)
	}
	return p.check.Write(b)
}

// close leaves the part as it is, to be taken up later if it can be.
func (p *part) close() {
	p.check.abandon()
	if !p.published && (p.size == 0 || p.ETag == "") { // the name may be another's by now
		p.remove() // before the lock goes with the file
	}
	p.file.Close()
}

// remove deletes the part.
func (p *part) remove() {
	p.root.Remove(p.partName())
	p.root.Remove(p.noteName())
}

// publish gives the part its final name.
func (p *part) publish() error {
	if err := p.file.Sync(); err != nil {
		return diskError(p.root.Name(), err)
	}
	if err := p.root.Rename(p.partName(), p.name); err != nil {
		return diskError(p.root.Name(), err)
	}
	p.published = true
	if err := syncFolder(p.root); err != nil {
		return err
	}
	p.root.Remove(p.noteName())
	return p.file.Close()
}
