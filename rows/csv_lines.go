package rows

import (
	"bytes"
	"io"
)

// csvLines is a reader that counts the line ends of a CSV file and rejects with an
// *Error what encoding/csv accepts: a CR outside quotes without an LF after it, which
// only some programs read as a line end, and a header or row beyond a limit, which
// would need as much memory.
type csvLines struct {
	r     io.Reader
	ends  int64 // line ends read
	fault error // the first failure, which every later Read returns

	// Of the record that the bytes read so far end in:
	row    int  // its bytes
	commas int  // its commas outside quotes
	later  bool // it is not the first, so not the header
	quoted bool // it ends inside quotes
	cr     bool // it ends in a CR outside quotes
}

// Read implements io.Reader.
func (l *csvLines) Read(p []byte) (int, error) {
	if l.fault != nil {
		return 0, l.fault
	}
	n, err := l.r.Read(p)
	l.scan(p[:n])
	if err == io.EOF && l.cr && l.fault == nil {
		l.fault = l.loneCR()
	}
	if l.fault != nil {
		err = l.fault
	}
	return n, err
}

// scan looks at the next bytes, up to the first fault.
func (l *csvLines) scan(b []byte) {
	for len(b) > 0 && l.fault == nil {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			l.part(b)
			l.row += len(b)
			break
		}
		if line := b[:end]; !l.simple(line) {
			l.part(line)
		}
		l.cr = false // an LF follows it
		if l.row += end + 1; l.fault == nil {
			l.fault = l.excess()
		}
		if l.fault == nil {
			l.ends++
		}
		if !l.quoted {
			l.row, l.commas, l.later = 0, 0, true
		}
		b = b[end+1:]
	}
	if l.fault == nil {
		l.fault = l.excess()
	}
}

// simple reports whether a line is a whole record without a lone CR and with few commas,
// also inside quotes, so that it needs no closer look.
func (l *csvLines) simple(line []byte) bool {
	if l.row > 0 || bytes.Count(line, []byte{'"'})%2 != 0 || bytes.Count(line, []byte{','}) >= maxColumns {
		return false
	}
	cr := bytes.IndexByte(line, '\r')
	return cr < 0 || cr == len(line)-1
}

// part looks at a part of a line, without its end.
func (l *csvLines) part(b []byte) {
	if l.cr && len(b) > 0 {
		l.fault = l.loneCR()
		return
	}
	for {
		quote := bytes.IndexByte(b, '"')
		outside := b
		if quote >= 0 {
			outside = b[:quote]
		}
		if !l.quoted {
			l.commas += bytes.Count(outside, []byte{','})
			if at := bytes.IndexByte(outside, '\r'); at >= 0 && at < len(b)-1 {
				l.fault = l.loneCR()
				return
			} else if at >= 0 {
				l.cr = true
			}
		}
		if quote < 0 {
			return
		}
		l.quoted = !l.quoted // an escaped quote is two quotes, which cancel out
		b = b[quote+1:]
	}
}

// excess returns the limit that the current record exceeds, or nil.
func (l *csvLines) excess() error {
	var e *Error
	switch {
	case l.commas >= maxColumns && l.later:
		e = bad(KindRow, "a row has more than %d cells, which is the limit of columns", maxColumns)
	case l.commas >= maxColumns:
		e = tooMany()
	case l.row > longestRow:
		e = bad(KindRow, "a row is longer than %s, which is the limit, or a quote does not end", FormatBytes(longestRow))
	case l.row > longestHeader && !l.later:
		e = bad(KindHeader, "its header is longer than %s, which is the limit, or a quote does not end: "+
			"request only the fields that you need", FormatBytes(longestHeader))
	default:
		return nil
	}
	e.Line = l.ends + 1
	return e
}

// loneCR returns the error of a CR in the current line.
func (l *csvLines) loneCR() error {
	e := bad(KindLineEnds, "line %d has a CR without LF outside quotes: lines must end in LF or CR LF", l.ends+1)
	e.Line = l.ends + 1
	return e
}
