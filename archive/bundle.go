package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"
)

// Document is a small file of a Bundle whose content is in memory.
type Document struct {
	Name    string
	Content []byte
}

// Bundle is an export as one tar file: the manifest and its pages, then the files in
// order. It is made while it is read, so it takes neither disk nor, besides the
// documents, memory. The same documents and files make the same bytes. It is an
// io.ReadSeekCloser for one reader at a time; use NewBundle.
type Bundle struct {
	members []member
	size    int64
	sum     string // of the documents
	open    Opener

	at      int64
	content io.ReadSeekCloser // of the member that is being read; nil: none
	of      int               // which one content is of
}

// member is a file of a Bundle: its header, its content, and zeros up to a whole block.
type member struct {
	name          string
	bytes         int64
	at            time.Time
	start, header int64  // where its header begins, and how long that is
	document      []byte // its content if it is in memory
	file          File   // otherwise
}

// blockSize is the size of which the parts of a tar file are multiples. Two blocks of
// zeros end one.
const blockSize = 512

func padded(n int64) int64 { return (n + blockSize - 1) / blockSize * blockSize }

// NewBundle returns the bundle of documents and files, which open opens when they are
// read. at is the time of the documents.
func NewBundle(documents []Document, at time.Time, files []File, open Opener) (*Bundle, error) {
	b := &Bundle{open: open}
	sum := sha256.New()
	for _, d := range documents {
		fmt.Fprintf(sum, "%q %d\n", d.Name, len(d.Content))
		sum.Write(d.Content)
		b.members = append(b.members, member{name: d.Name, bytes: int64(len(d.Content)), at: at, document: d.Content})
	}
	b.sum = hex.EncodeToString(sum.Sum(nil))
	for _, f := range files {
		b.members = append(b.members, member{name: f.Name, bytes: f.Bytes, at: f.ExportedAt, file: f})
	}
	for i := range b.members {
		m := &b.members[i]
		header, err := m.head()
		if err != nil {
			return nil, fmt.Errorf("%q in a tar file: %w", m.name, err)
		}
		m.start, m.header = b.size, int64(len(header))
		b.size = m.end()
	}
	b.size += 2 * blockSize
	return b, nil
}

// head returns the header of a member, which has more than one block if its size or its
// name needs that.
func (m *member) head() ([]byte, error) {
	var head bytes.Buffer
	at := m.at.UTC().Truncate(time.Second)
	if at.Before(time.Unix(0, 0)) {
		at = time.Unix(0, 0)
	}
	err := tar.NewWriter(&head).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: m.name, Size: m.bytes, Mode: fileMode, ModTime: at,
	})
	return head.Bytes(), err
}

// fileMode is the mode of the members of a Bundle: for their owner alone, as on disk.
const fileMode = 0o600

// end returns where the next member begins.
func (m *member) end() int64 { return m.start + m.header + padded(m.bytes) }

// Sum identifies the content of b, since the manifest in it has the checksums of all
// files.
func (b *Bundle) Sum() string { return b.sum }

// Size returns the size of b in bytes.
func (b *Bundle) Size() int64 { return b.size }

// Close closes the file that is being read.
func (b *Bundle) Close() error {
	if b.content == nil {
		return nil
	}
	err := b.content.Close()
	b.content = nil
	return err
}

// Seek sets where the next Read begins.
func (b *Bundle) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.size
	}
	if offset < 0 {
		return 0, errors.New("the offset is before the start")
	}
	b.at = offset
	return offset, nil
}

// Read reads from one part of one member at most. It fails with ErrChanged, before the
// last bytes of a file, if that is read from its start and is not what was verified.
func (b *Bundle) Read(p []byte) (n int, err error) {
	if b.at >= b.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p = p[:min(int64(len(p)), b.size-b.at)]
	i := sort.Search(len(b.members), func(i int) bool { return b.members[i].end() > b.at })
	if i == len(b.members) { // the end
		n = len(p)
		clear(p)
	} else {
		n, err = b.readMember(i, p)
	}
	b.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// readMember reads from the part of a member that b.at is in.
func (b *Bundle) readMember(i int, p []byte) (int, error) {
	m := &b.members[i]
	at := b.at - m.start
	if at < m.header {
		header, err := m.head()
		if err != nil {
			return 0, err
		}
		return copy(p, header[at:]), nil
	}
	at -= m.header
	switch {
	case at >= m.bytes:
		n := min(int64(len(p)), padded(m.bytes)-at)
		clear(p[:n])
		return int(n), nil
	case m.document != nil:
		return copy(p, m.document[at:]), nil
	}
	if err := b.openAt(i, at); err != nil {
		return 0, err
	}
	n, err := b.content.Read(p[:min(int64(len(p)), m.bytes-at)])
	if n == 0 && err == io.EOF {
		err = ErrChanged // it has become shorter
	}
	return n, err
}

// openAt makes b.content the content of a member that is a file, of which byte at is read
// next. Reads that follow each other share one opened file.
func (b *Bundle) openAt(i int, at int64) error {
	if b.content == nil || b.of != i {
		b.Close()
		content, err := b.open(b.members[i].file)
		if err != nil {
			return err
		}
		b.content, b.of = Verified(content, b.members[i].file), i
	} else if now, err := b.content.Seek(0, io.SeekCurrent); err == nil && now == at {
		return nil
	}
	_, err := b.content.Seek(at, io.SeekStart)
	return err
}

// Documents returns the manifest of a bundle of m's files, and its pages if it is too
// large for one file. Those are read from the folder of m on disk, where they are the
// newest that were written.
func (a *Archive) Documents(folder string, m Manifest) ([]Document, error) {
	raw, err := m.sharingColumns().described(nil).whole()
	if err != nil {
		return nil, err
	}
	if raw != nil {
		return []Document{{ManifestName, raw}}, nil
	}
	var documents []Document
	err = a.EachManifestFile(folder, func(name string, content []byte) error {
		documents = append(documents, Document{name, content})
		return nil
	})
	slices.Reverse(documents) // the manifest comes last, and first in a bundle
	return documents, err
}
