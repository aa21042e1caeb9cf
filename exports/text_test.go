package exports

import (
	"strings"
	"testing"
)

func TestFitting(t *testing.T) {
	for _, test := range []struct{ rows, bytes, want int }{
		{0, 0, 0}, {1, 10, 1}, {100, 100, 100}, {100, 1000, 49}, {100, 49_000, 1}, {3, 60_000, 1},
	} {
		rows := make([]string, test.rows)
		for i := range rows {
			rows[i] = strings.Repeat("x", test.bytes)
		}
		if got := Fitting(rows); got != test.want {
			t.Errorf("%d of %d rows of %d bytes fit, want %d", got, test.rows, test.bytes, test.want)
		}
	}
}
