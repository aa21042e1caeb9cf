package download

import "time"

// lifetime is about how long an export can be fetched (Fullstory's example of an
// operation). A download that would take longer is not worth a connection.
const lifetime = 7 * 24 * time.Hour

// pace measures how fast the body of an answer arrives. The time that the sink takes does
// not count.
type pace struct {
	limits
	waited  time.Duration // in the present period
	arrived int64         // bytes in the present period
}

// slow notes that n bytes arrived after a wait. It reports whether a period has ended in
// which too few did: less than the slowest bytes, or than a file of the length needs to
// arrive within lifetime. length is -1 if it is not known.
func (p *pace) slow(wait time.Duration, n int, length int64) bool {
	p.waited += wait
	p.arrived += int64(n)
	if p.waited < p.period {
		return false
	}
	slow := p.arrived < max(p.slowest, length/int64(lifetime/p.period))
	p.waited, p.arrived = 0, 0
	return slow
}
