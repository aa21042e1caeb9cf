package profile

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
)

// A sketch has 4096 registers of 6 bits. Until that takes less space, it has the codes of
// its hashes instead: their first 26 bits and the place of the first 1 in the others.
const (
	precision   = 12
	registers   = 1 << precision
	longestRun  = 64 - precision + 1 // the largest value of a register
	sparseBits  = 26
	runBits     = 6
	betweenBits = sparseBits - precision // bits of a code that follow the register
	mostCodes   = 768
)

// Distinct estimates how many different values there are (HyperLogLog, Ertl's estimator).
// Up to 768 values it is exact, or in one of 700 cases one too small; beyond, the standard
// error is 1.6 %, and an error of more than 5 % is as rare as 1 in 500. It counts hashes of 64
// bits that are the same everywhere, so sketches of several files add up. Texts that were
// made to have equal hashes make it too small. Its zero value has seen nothing. It is for one
// goroutine.
type Distinct struct {
	codes []uint32 // an open hash table; 0 is a free place
	used  int      // places
	dense []uint8  // nil: codes has all values
}

// add counts a hash.
func (d *Distinct) add(h uint64) {
	if d.dense == nil {
		d.addCode(codeOf(h))
		return
	}
	run := uint8(min(bits.LeadingZeros64(h<<precision), longestRun-1) + 1)
	if at := &d.dense[h>>(64-precision)]; run > *at {
		*at = run
	}
}

func codeOf(h uint64) uint32 {
	const rest = 64 - sparseBits
	run := min(bits.LeadingZeros64(h<<sparseBits), rest) + 1
	return uint32(h>>rest)<<runBits | uint32(run)
}

// register returns the register of a code, and its value.
func register(code uint32) (index int, run uint8) {
	between := code >> runBits & (1<<betweenBits - 1)
	index = int(code >> (runBits + betweenBits))
	if between != 0 {
		return index, uint8(betweenBits - bits.Len32(between) + 1)
	}
	return index, uint8(betweenBits + code&(1<<runBits-1))
}

// addCode adds a code, and turns the codes into registers once there are too many.
func (d *Distinct) addCode(code uint32) {
	if d.dense != nil {
		if i, run := register(code); run > d.dense[i] {
			d.dense[i] = run
		}
		return
	}
	if 4*(d.used+1) > 3*len(d.codes) {
		d.grow()
	}
	if !d.put(code) {
		return
	}
	if d.used++; d.used <= mostCodes {
		return
	}
	codes := d.codes
	*d = Distinct{dense: make([]uint8, registers)}
	for _, c := range codes {
		if c != 0 {
			d.addCode(c)
		}
	}
}

func (d *Distinct) grow() {
	old := d.codes
	d.codes = make([]uint32, max(8, 2*len(old)))
	for _, c := range old {
		if c != 0 {
			d.put(c)
		}
	}
}

// put adds a code to the table, which has a free place. It returns false if the code is
// there.
func (d *Distinct) put(code uint32) bool {
	mask := uint32(len(d.codes) - 1)
	for i := code * 0x9e3779b1 >> 7 & mask; ; i = (i + 1) & mask {
		switch d.codes[i] {
		case 0:
			d.codes[i] = code
			return true
		case code:
			return false
		}
	}
}

// merge adds what o has seen.
func (d *Distinct) merge(o Distinct) {
	if o.dense == nil {
		for _, c := range o.codes {
			if c != 0 {
				d.addCode(c)
			}
		}
		return
	}
	codes := d.codes
	if d.dense == nil {
		*d = Distinct{dense: make([]uint8, registers)}
		for _, c := range codes {
			if c != 0 {
				d.addCode(c)
			}
		}
	}
	for i, run := range o.dense {
		d.dense[i] = max(d.dense[i], run)
	}
}

// Estimate returns about how many different values there are.
func (d Distinct) Estimate() int64 {
	if d.dense == nil {
		return int64(d.used)
	}
	var by [longestRun + 1]float64 // registers by their value
	for _, run := range d.dense {
		by[run]++
	}
	const m = float64(registers)
	z := m * tau(1-by[longestRun]/m)
	for run := longestRun - 1; run >= 1; run-- {
		z = (z + by[run]) / 2
	}
	z += m * sigma(by[0]/m)
	return int64(math.Round(m * m / (2 * math.Ln2 * z)))
}

// sigma and tau correct for registers without a value and with the largest; see Otmar
// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	for y, z := 1.0, x; ; y *= 2 {
		x *= x
		before := z
		if z += x * y; z == before {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x <= 0 || x >= 1 {
		return 0
	}
	for y, z := 1.0, 1-x; ; {
		x = math.Sqrt(x)
		y /= 2
		before := z
		if z -= (1 - x) * (1 - x) * y; z == before {
			return z / 3
		}
	}
}

// The first byte of a sketch in a file.
const (
	codesFollow     = 1
	registersFollow = 2
)

// sketch returns what d has seen: equal sets give equal bytes.
func (d Distinct) sketch() string {
	var raw []byte
	switch {
	case d.dense != nil:
		raw = append(raw, registersFollow)
		for i := 0; i < registers; i += 4 { // 4 registers are 3 bytes
			four := uint32(d.dense[i])<<18 | uint32(d.dense[i+1])<<12 | uint32(d.dense[i+2])<<6 | uint32(d.dense[i+3])
			raw = append(raw, byte(four>>16), byte(four>>8), byte(four))
		}
	case d.used > 0:
		raw = append(raw, codesFollow)
		codes := slices.DeleteFunc(slices.Clone(d.codes), func(c uint32) bool { return c == 0 })
		slices.Sort(codes)
		for _, c := range codes {
			raw = binary.BigEndian.AppendUint32(raw, c)
		}
	}
	return base64.StdEncoding.EncodeToString(raw)
}

var errSketch = errors.New("a sketch is damaged")

// longestSketch is the most characters of a sketch.
const longestSketch = 4 * (1 + 3*registers/4 + 2) / 3

// parseSketch reads a sketch.
func parseSketch(text string) (d Distinct, err error) {
	if text == "" {
		return d, nil
	}
	if len(text) > longestSketch {
		return d, errSketch
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil || len(raw) == 0:
		return d, errSketch
	case raw[0] == registersFollow && len(raw) == 1+3*registers/4:
		return registersOf(raw[1:])
	case raw[0] == codesFollow && len(raw)%4 == 1:
		return codesOf(raw[1:])
	}
	return d, errSketch
}

// registersOf reads registers, of which four are three bytes.
func registersOf(raw []byte) (Distinct, error) {
	d := Distinct{dense: make([]uint8, registers)}
	for i := range d.dense {
		at := raw[i/4*3:]
		four := uint32(at[0])<<16 | uint32(at[1])<<8 | uint32(at[2])
		run := uint8(four >> (18 - i%4*6) & 0x3f)
		if run > longestRun {
			return Distinct{}, errSketch
		}
		d.dense[i] = run
	}
	return d, nil
}

// codesOf reads codes.
func codesOf(raw []byte) (d Distinct, err error) {
	for ; len(raw) > 0; raw = raw[4:] {
		code := binary.BigEndian.Uint32(raw)
		if run := code & (1<<runBits - 1); run < 1 || run > 64-sparseBits+1 {
			return Distinct{}, errSketch
		}
		d.addCode(code)
	}
	return d, nil
}
