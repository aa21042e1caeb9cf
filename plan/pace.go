package plan

import "time"

// aloneSeconds is the most that an export is taken to need however small it is,
// when measurements of one size cannot tell that from what its rows take.
const aloneSeconds = 10

// Pace is how long Fullstory works on an export: so long in any case, and so
// long for each row. The zero value means that nothing is known.
type Pace struct{ each, perRow float64 } // seconds

// MeasurePace returns the line that fits the samples best. Samples of which
// the time is not known are left out.
func MeasurePace(samples []Sample) Pace {
	var n, rows, seconds, squares, products float64
	least, most := int64(0), int64(0)
	for _, s := range samples {
		if s.Took <= 0 {
			continue
		}
		x, y := float64(s.Rows), s.Took.Seconds()
		n, rows, seconds = n+1, rows+x, seconds+y
		squares, products = squares+x*x, products+x*y
		if most = max(most, s.Rows); n == 1 || s.Rows < least {
			least = s.Rows
		}
	}
	if n == 0 {
		return Pace{}
	}
	mean := seconds / n
	if n >= 3 && most >= 2*max(least, 1) {
		perRow := (n*products - rows*seconds) / (n*squares - rows*rows)
		switch each := (seconds - perRow*rows) / n; {
		case perRow <= 0:
			return Pace{each: mean}
		case each < 0:
			return Pace{perRow: seconds / rows}
		default:
			return Pace{each, perRow}
		}
	}
	each := min(mean, aloneSeconds)
	return Pace{each: each, perRow: (mean - each) / max(rows/n, 1)}
}

// Known tells whether anything was measured.
func (p Pace) Known() bool { return p != Pace{} }

// Of returns how long so many exports of so many rows in all take one after
// another.
func (p Pace) Of(exports int, rows float64) time.Duration {
	return time.Duration((float64(exports)*p.each + rows*p.perRow) * float64(time.Second))
}
