package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
)

// verifier checks a gzip file while it is written to it: checksum, gzip with
// its trailer, format, rows and times, in one pass. Its unpacking runs beside
// the writing.
type verifier struct {
	sum  hash.Hash
	pipe *io.PipeWriter
	done chan struct{}

	rows summary // once done is closed
	err  error
}

var errAbandoned = errors.New("the verification was abandoned")

func newVerifier(r rules) *verifier {
	read, write := io.Pipe()
	v := &verifier{sum: sha256.New(), pipe: write, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		v.rows, v.err = unpack(read, r)
		if v.err != nil {
			read.CloseWithError(v.err)
			return
		}
		read.CloseWithError(bad("something follows the end of the gzip file"))
	}()
	return v
}

// Write takes in the next bytes of the file. It fails with a *ContentError as
// soon as they cannot be right.
func (v *verifier) Write(p []byte) (int, error) {
	v.sum.Write(p)
	return v.pipe.Write(p)
}

// finish says that the file has ended, and returns what it is.
func (v *verifier) finish() (rows summary, sum string, err error) {
	v.pipe.Close()
	<-v.done
	return v.rows, hex.EncodeToString(v.sum.Sum(nil)), v.err
}

// abandon ends the verification.
func (v *verifier) abandon() {
	v.pipe.CloseWithError(errAbandoned)
	<-v.done
}

func unpack(r io.Reader, rules rules) (summary, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return summary{}, err
	}
	head = head[:n]
	if n == 0 {
		return summary{}, bad("it is empty, not even gzip")
	}
	if !bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		return summary{}, bad("it is not gzip but %s", kindOf(head))
	}
	zipped, err := gzip.NewReader(io.MultiReader(bytes.NewReader(head), r))
	if err != nil {
		return summary{}, unpackError(err)
	}
	rows, err := readRows(zipped, rules)
	return rows, unpackError(err)
}

// unpackError says in words what is wrong with a gzip file.
func unpackError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		return bad("the gzip file is cut off")
	case errors.Is(err, gzip.ErrChecksum):
		return bad("the checksum of the gzip file is wrong")
	case errors.Is(err, gzip.ErrHeader):
		return bad("something that is not gzip follows in the file")
	case errors.Is(err, errAbandoned):
		return err
	}
	var content *ContentError
	if errors.As(err, &content) {
		return err
	}
	return bad("it cannot be unpacked: %v", err)
}

// kindOf names what arrived instead of gzip, without repeating it: it may hold
// anything.
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
