package landing

import (
	"hash/maphash"
	"math/bits"
)

const (
	// marks is how many hashes of values a dictionary remembers at once.
	marks = 1 << 14
	// entryBytes is what an entry of the library's dictionaries takes besides its value, and
	// copies how often they have the value.
	entryBytes = 64
	copies     = 3
)

// dictionary estimates the memory of the dictionary of a column, which the library does
// not tell. It counts a value unless it has seen one of the same hash lately, so values
// that return after very many others count again.
type dictionary struct {
	all  *int // bytes of all dictionaries of a file
	seed maphash.Seed
	seen [marks / 64]uint64
	n    int // marks that are set
}

func newDictionary(all *int) *dictionary { return &dictionary{all: all, seed: maphash.MakeSeed()} }

// text counts a text.
func (d *dictionary) text(s []byte) { d.count(maphash.Bytes(d.seed, s), len(s)) }

// number counts a number.
func (d *dictionary) number(n int64) {
	high, low := bits.Mul64(uint64(n)^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	d.count(high^low, 8)
}

func (d *dictionary) count(hash uint64, size int) {
	at, bit := hash%marks/64, uint64(1)<<(hash%64)
	if d.seen[at]&bit != 0 {
		return
	}
	if d.n++; d.n > marks/2 {
		d.reset()
	}
	d.seen[at] |= bit
	*d.all += entryBytes + copies*size
}

// reset forgets all values.
func (d *dictionary) reset() { d.seen, d.n = [marks / 64]uint64{}, 0 }
