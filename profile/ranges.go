package profile

import (
	"bytes"
	"cmp"
	"time"
)

// extremes are the smallest and the largest value of one sort. Its zero value has none.
// T has the text of the value in the rows, which is kept as a copy.
type extremes[T any] struct {
	some     bool
	min, max T
	texts    [2][]byte // of min and max
}

// add counts a value whose text is text; with returns the value with a copy of it.
func (e *extremes[T]) add(v T, text []byte, compare func(a, b T) int, with func(T, []byte) T) {
	if !e.some || compare(v, e.min) < 0 {
		e.texts[0] = append(e.texts[0][:0], text...)
		e.min = with(v, e.texts[0])
	}
	if !e.some || compare(v, e.max) > 0 {
		e.texts[1] = append(e.texts[1][:0], text...)
		e.max = with(v, e.texts[1])
	}
	e.some = true
}

// spelled returns the range, nil without values.
func (e *extremes[T]) spelled() *Range {
	if !e.some {
		return nil
	}
	return &Range{Min: string(e.texts[0]), Max: string(e.texts[1])}
}

func (n number) with(text []byte) number {
	n.text = text
	return n
}

// word is a text, ordered by its bytes.
type word []byte

func (w word) compare(o word) int { return bytes.Compare(w, o) }

func (word) with(text []byte) word { return text }

// instant is a time and how it is spelled.
type instant struct {
	at   time.Time
	text []byte
}

// compare orders times by instant, and equal ones by their spelling.
func (i instant) compare(o instant) int {
	return cmp.Or(i.at.Compare(o.at), bytes.Compare(i.text, o.text))
}

func (i instant) with(text []byte) instant {
	i.text = text
	return i
}
