package rows

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"
)

// headBytes is how much of a file kindOf needs at most to recognize it.
const headBytes = 512

var gzipMagic = []byte{0x1f, 0x8b}

// members reads the gzip members of a file, one after another. Zeros may follow
// the last: tapes and some stores pad files. The gzip package would read them as a
// damaged member, so members reads each one on its own.
type members struct {
	packed   *bufio.Reader
	read     *counter // under packed, which reads up to 64 KiB ahead
	unpacked int64    // bytes
	gzip     *gzip.Reader
	ended    error // why reading ended; io.EOF at the end of a sound file
}

// counter counts the bytes that are read from r.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// newMembers returns a reader of a gzip file. It fails with an *Error if r is
// something else, or the error of r.
func newMembers(r io.Reader) (*members, error) {
	read := &counter{r: r}
	packed := bufio.NewReaderSize(read, 64<<10)
	head, err := packed.Peek(headBytes)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) == 0 {
		return nil, bad(KindGzip, "it is empty, not even gzip")
	}
	if !bytes.HasPrefix(head, gzipMagic) {
		return nil, bad(KindGzip, "it is not gzip but %s", kindOf(head))
	}
	first, err := gzip.NewReader(packed)
	if err != nil {
		return nil, unpackError(err)
	}
	first.Multistream(false) // end at the member, so that next can look at what follows
	return &members{packed: packed, read: read, gzip: first}, nil
}

// Read implements io.Reader over the unpacked bytes.
func (m *members) Read(p []byte) (int, error) {
	for m.ended == nil {
		n, err := m.gzip.Read(p)
		if err == io.EOF {
			err = m.next()
		}
		m.ended = err
		m.unpacked += int64(n)
		if err := m.excess(); err != nil {
			m.ended = err
			break
		}
		if n > 0 {
			return n, nil // the next call returns m.ended
		}
	}
	return 0, m.ended
}

// excess returns an *Error if the file unpacks to more than is accepted of its size.
func (m *members) excess() error {
	if m.unpacked <= freeUnpacked || m.unpacked/maxRatio <= m.read.n {
		return nil
	}
	e := bad(KindSize, "%s of it unpack to more than %s, and the limit is %d times the size: request a smaller window",
		FormatBytes(m.read.n), FormatBytes(m.unpacked), maxRatio)
	e.TooLarge = true
	return e
}

// next moves to the next member. At the end of the file it returns io.EOF.
func (m *members) next() error {
	head, err := m.packed.Peek(len(gzipMagic))
	if err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(head, gzipMagic) {
		return m.trailing()
	}
	if err := m.gzip.Reset(m.packed); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // it ends inside the header of the member
		}
		return err
	}
	m.gzip.Multistream(false) // Reset turns it on
	return nil
}

// trailing reads the bytes after the last member. It returns io.EOF if all of them
// are zeros, and an *Error otherwise.
func (m *members) trailing() error {
	var zeros, others int64
	var head []byte
	block := make([]byte, 4<<10)
	for {
		n, err := m.packed.Read(block)
		b := block[:n]
		if others == 0 {
			rest := bytes.TrimLeft(b, "\x00")
			zeros += int64(len(b) - len(rest))
			b = rest
		}
		others += int64(len(b))
		head = append(head, b[:min(len(b), headBytes-len(head))]...)
		switch {
		case err == nil:
		case err != io.EOF:
			return err
		case others == 0:
			return io.EOF
		default:
			return bad(KindTrailing, "something that is not gzip follows the end of the gzip data: %s, %s",
				FormatBytes(zeros+others), kindOf(head))
		}
	}
}

// unpackError turns an error of the gzip reader into an *Error. It returns an *Error,
// and the errors of the disk, of a context and of an abandoned verification, as they
// are.
func unpackError(err error) error {
	var content *Error
	var disk *fs.PathError
	switch {
	case err == nil, errors.Is(err, errAbandoned):
		return err
	case errors.As(err, new(eachError)):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &content), errors.As(err, &disk):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return bad(KindGzip, "the gzip file is cut off")
	case errors.Is(err, gzip.ErrChecksum):
		return bad(KindGzip, "the checksum of the gzip file is wrong")
	case errors.Is(err, gzip.ErrHeader):
		return bad(KindGzip, "the header of the gzip file is wrong")
	}
	return bad(KindGzip, "it cannot be unpacked: %v", err)
}

// kindOf describes the beginning of a file. It quotes at most four bytes: the file
// may hold secrets.
func kindOf(head []byte) string {
	start := bytes.ToLower(bytes.TrimSpace(head))
	switch {
	case bytes.HasPrefix(start, []byte("<?xml")), bytes.HasPrefix(start, []byte("<error")):
		return "an XML page, probably an error of the store"
	case bytes.HasPrefix(start, []byte("<")):
		return "an HTML page"
	case bytes.HasPrefix(start, []byte("{")), bytes.HasPrefix(start, []byte("[")):
		return "plain JSON"
	}
	return fmt.Sprintf("something that begins with the bytes % x", head[:min(4, len(head))])
}
