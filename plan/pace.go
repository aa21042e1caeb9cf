package plan

import "time"

// maxFixedSeconds bounds the assumed fixed time of an export, in seconds. It
// applies when the samples are too alike in size to separate the fixed time
// from the time per row.
const maxFixedSeconds = 10

// Pace models how long Fullstory works on an export: a fixed time, and a time
// per row. The zero value means that nothing was measured.
type Pace struct{ fixed, perRow float64 } // seconds

// MeasurePace fits a Pace to the samples by least squares. It ignores samples
// whose Took is not known.
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
	// A line needs at least three samples, the largest at least twice as large as
	// the smallest. A negative coefficient is noise and counts as 0.
	if n >= 3 && most >= 2*max(least, 1) {
		perRow := (n*products - rows*seconds) / (n*squares - rows*rows)
		switch fixed := (seconds - perRow*rows) / n; {
		case perRow <= 0:
			return Pace{fixed: mean}
		case fixed < 0:
			return Pace{perRow: seconds / rows}
		default:
			return Pace{fixed, perRow}
		}
	}
	fixed := min(mean, maxFixedSeconds)
	return Pace{fixed: fixed, perRow: (mean - fixed) / max(rows/n, 1)}
}

// Known reports whether any sample was measured.
func (p Pace) Known() bool { return p != Pace{} }

// Of returns how long Fullstory works on the given number of exports that have
// rows rows in total, if it runs them one after another.
func (p Pace) Of(exports int, rows float64) time.Duration {
	return time.Duration((float64(exports)*p.fixed + rows*p.perRow) * float64(time.Second))
}
