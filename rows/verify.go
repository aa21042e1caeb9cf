package rows

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
)

// Verifier checks a gzip file in one pass, while the file is written to it: checksum,
// gzip with its trailer, format, rows and times. It unpacks the file in a goroutine,
// which Finish and Close end; one of them must be called.
type Verifier struct {
	sum  hash.Hash
	pipe *io.PipeWriter
	done chan struct{}

	rows Summary // rows and err may be read once done is closed
	err  error
}

var errAbandoned = errors.New("the verification was abandoned")

// NewVerifier returns a Verifier of one file.
func NewVerifier(r Rules) *Verifier {
	read, write := io.Pipe()
	v := &Verifier{sum: sha256.New(), pipe: write, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		v.rows, v.err = unpack(read, r)
		if v.err != nil {
			read.CloseWithError(v.err) // Write returns it from now on
			return
		}
		read.CloseWithError(bad(KindTrailing, "something follows the end of the gzip file"))
	}()
	return v
}

// Write adds the next bytes of the file. It fails with an *Error as soon as the file
// cannot be valid; the checksum still covers all bytes written.
func (v *Verifier) Write(p []byte) (int, error) {
	v.sum.Write(p)
	return v.pipe.Write(p)
}

// Finish ends the file. It returns a summary of its rows and the sha256 of its
// bytes, in hex, also when err is an *Error.
func (v *Verifier) Finish() (rows Summary, sum string, err error) {
	v.pipe.Close()
	<-v.done
	return v.rows, hex.EncodeToString(v.sum.Sum(nil)), v.err
}

// Close abandons the verification. After Finish it does nothing.
func (v *Verifier) Close() {
	v.pipe.CloseWithError(errAbandoned)
	<-v.done
}

// Verify checks a whole file that r reads, like a Verifier. sum covers all bytes, also
// if the file is damaged; damage then says how. If r fails, read is its error.
func Verify(r io.Reader, rules Rules) (rows Summary, sum string, damage, read error) {
	h := sha256.New()
	source := &failing{r: io.TeeReader(r, h)}
	rows, damage = unpack(source, rules)
	if source.err == nil { // read what damage has left, for the checksum
		_, source.err = io.Copy(io.Discard, source)
	}
	return rows, hex.EncodeToString(h.Sum(nil)), damage, source.err
}

// failing remembers the error of a reader, so that it can be told from a damaged file.
type failing struct {
	r   io.Reader
	err error // other than io.EOF
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// unpack reads all rows of a gzip file.
func unpack(r io.Reader, rules Rules) (rows Summary, err error) {
	defer recovered(&err)
	m, err := newMembers(r)
	if err != nil {
		return Summary{}, err
	}
	rows, err = readRows(m, rules)
	return rows, unpackError(err)
}
