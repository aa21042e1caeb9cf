//go:build !race

package exports

const slowness = 1
