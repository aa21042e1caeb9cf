//go:build race

package exports

// slowness is the factor by which the race detector slows the labs down.
const slowness = 4
