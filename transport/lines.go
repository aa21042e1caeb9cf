package transport

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"sync"
)

const (
	// maxLine is the longest message that stdio accepts, in bytes.
	maxLine = 4 << 20
	// keptEnds is how many bytes of either end of a longer message are kept, to
	// find its id.
	keptEnds = 4 << 10
)

// tooLong is an error: a line longer than maxLine, of which only the ends were kept.
type tooLong struct{ head, tail []byte }

func (*tooLong) Error() string { return "line too long" }

// readLine returns the next line without white space around it and without a byte order
// mark; the last one need not be terminated. It fails with a *tooLong after a line longer than maxLine,
// which it does not keep, and with io.EOF at the end of input.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	var long *tooLong
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case long != nil:
			long.tail = lastBytes(append(long.tail, part...), keptEnds)
		case len(line)+len(part) > maxLine:
			line = append(line, part...)
			long = &tooLong{head: bytes.Clone(line[:keptEnds]), tail: bytes.Clone(lastBytes(line, keptEnds))}
			line = nil
		default:
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long != nil {
			return nil, long
		}
		if err != nil && len(line) == 0 {
			return nil, err
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return bytes.TrimSpace(trimMark(line)), nil
	}
}

func lastBytes(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// id returns the JSON-RPC id of the message, or nil if neither end has it. It
// ignores an id inside the arguments.
func (l *tooLong) id() json.RawMessage {
	if id := topLevelID(l.head); id != nil {
		return id
	}
	if m := trailingID().FindSubmatch(l.tail); m != nil && json.Valid(m[1]) {
		return m[1]
	}
	return nil
}

// trailingID finds an id among the last members of the outermost object.
// It is compiled when it is first used, because few messages are too long.
var trailingID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)\s*(?:,[^{}\[\]]*)?\}\s*$`)
})

// topLevelID returns the id among the complete members at the beginning of an
// object, or nil.
func topLevelID(head []byte) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(head))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil
		}
		if key == "id" {
			return value
		}
	}
	return nil
}
