package rows

import "io"

// firstRead is the size of the buffer in bytes, until a row is longer.
const firstRead = 256 << 10

// lookahead buffers a stream: b[at:] was read and not used yet. The buffer doubles
// until it holds the longest row, and has at most longestRow bytes.
type lookahead struct {
	r    io.Reader
	b    []byte
	at   int   // where the unused part begins
	line int64 // line ends passed by skipSpace and restOfLine
}

// more reads more bytes. It moves b[at:] to the start of the buffer, so that slices
// of b become invalid.
func (w *lookahead) more() error {
	if w.at > 0 {
		w.b = w.b[:copy(w.b, w.b[w.at:])]
		w.at = 0
	}
	if len(w.b) == cap(w.b) {
		grown := make([]byte, len(w.b), min(2*cap(w.b), longestRow))
		copy(grown, w.b)
		w.b = grown
	}
	n, err := w.r.Read(w.b[len(w.b):cap(w.b)])
	w.b = w.b[:len(w.b)+n]
	if n > 0 {
		return nil // an error comes again with the next read
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// ahead reads until b[at:] has at least n bytes, n being at most longestRow. If the stream ends before, it returns
// io.EOF and leaves what there is in b[at:].
func (w *lookahead) ahead(n int) error {
	for len(w.b)-w.at < n {
		if err := w.more(); err != nil {
			return err
		}
	}
	return nil
}

// skipSpace advances to the next byte that is not white space.
func (w *lookahead) skipSpace() error {
	for {
		if err := w.ahead(1); err != nil {
			return err
		}
		switch w.b[w.at] {
		case '\n':
			w.line++
			w.at++
		case ' ', '\t', '\r':
			w.at++
		default:
			return nil
		}
	}
}

// restOfLine advances past the next line end, or to the first byte before it that is
// not white space. blank reports that there was none. At the end of the stream it
// returns io.EOF.
func (w *lookahead) restOfLine() (blank bool, err error) {
	for {
		if err := w.ahead(1); err != nil {
			return true, err
		}
		c := w.b[w.at]
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false, nil
		}
		w.at++
		if c == '\n' {
			w.line++
			return true, nil
		}
	}
}

// Read implements io.Reader over the unused bytes and the rest of the stream.
func (w *lookahead) Read(p []byte) (int, error) {
	if w.at < len(w.b) {
		n := copy(p, w.b[w.at:])
		w.at += n
		return n, nil
	}
	return w.r.Read(p)
}
