package rows

import (
	"bytes"
	"io"
)

// csvLines is a reader that counts the line ends of a CSV file and rejects with an
// *Error two things that encoding/csv accepts: a CR outside quotes without an LF
// after it, which only some programs read as a line end, and a row longer than
// longestRow, which would need as much memory.
type csvLines struct {
	r     io.Reader
	row   int   // bytes read since the last record; csvReader sets it to 0
	ends  int64 // line ends read
	fault error // the first failure, which every later Read returns

	quoted bool // the bytes read so far end inside quotes
	cr     bool // the bytes read so far end in a CR outside quotes
}

// Read implements io.Reader.
func (l *csvLines) Read(p []byte) (int, error) {
	if l.fault != nil {
		return 0, l.fault
	}
	if l.row >= longestRow {
		l.fault = bad(KindRow, "a row is longer than %s, or a quote does not end", FormatBytes(longestRow))
		return 0, l.fault
	}
	n, err := l.r.Read(p)
	l.row += n
	l.scan(p[:n])
	if err == io.EOF && l.cr && l.fault == nil {
		l.fault = l.loneCR(nil)
	}
	if l.fault != nil {
		err = l.fault
	}
	return n, err
}

// scan counts the line ends and quotes of b, and finds the first lone CR.
func (l *csvLines) scan(b []byte) {
	if len(b) == 0 {
		return
	}
	if l.cr && b[0] != '\n' { // the CR was the last byte of the read before
		l.fault = l.loneCR(nil)
	}
	l.cr = false
	rest := b
	for l.fault == nil {
		i := bytes.IndexByte(rest, '\r')
		if i < 0 {
			break
		}
		l.quotes(rest[:i])
		switch {
		case l.quoted:
		case i+1 == len(rest):
			l.cr = true
		case rest[i+1] != '\n':
			l.fault = l.loneCR(b[:len(b)-len(rest)+i])
		}
		rest = rest[i+1:]
	}
	l.quotes(rest)
	l.ends += int64(bytes.Count(b, []byte{'\n'}))
}

// quotes updates quoted. An escaped quote is two quotes, which cancel out.
func (l *csvLines) quotes(b []byte) {
	if bytes.Count(b, []byte{'"'})%2 == 1 {
		l.quoted = !l.quoted
	}
}

// loneCR returns the error of a CR after the bytes before, whose line ends are not
// counted yet.
func (l *csvLines) loneCR(before []byte) error {
	line := l.ends + int64(bytes.Count(before, []byte{'\n'})) + 1
	e := bad(KindLineEnds, "line %d has a CR without LF outside quotes: lines must end in LF or CR LF", line)
	e.Line = line
	return e
}
