package sandbox

import "math/bits"

// random is a splitmix64 stream. It is implemented here, with integers alone, so
// that a seed means the same world on every machine and with every Go release;
// math/rand promises neither for its derived methods.
type random uint64

// seeded returns the stream of the given parts. Other parts give other streams.
func seeded(parts ...uint64) random {
	r := random(0x9e3779b97f4a7c15)
	for _, part := range parts {
		r = random(r.next() ^ part)
	}
	return random(r.next())
}

// next returns 64 random bits.
func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n); n must be positive.
func (r *random) below(n int64) int64 {
	high, _ := bits.Mul64(r.next(), uint64(n))
	return int64(high)
}

// between returns a number in [low, high).
func (r *random) between(low, high int64) int64 { return low + r.below(high-low) }

// percent returns true with a probability of p percent.
func (r *random) percent(p int64) bool { return r.below(100) < p }

// id returns a positive 19-digit number. Like the ids of the service it fits an
// int64 and is far beyond 2^53, so that a reader that converts ids to float64 gets
// wrong ones.
func (r *random) id() int64 { return int64(1<<62 | r.next()>>2) }

// pick returns a pointer to a random element of from, which must not be empty.
func pick[T any](r *random, from []T) *T { return &from[r.below(int64(len(from)))] }
