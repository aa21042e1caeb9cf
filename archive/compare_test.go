package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompareInParts compares files of more rows than Compare has in memory at once.
func TestCompareInParts(t *testing.T) {
	long(t)
	t.Parallel()
	a := open(t)
	if err := os.MkdirAll(a.Path("x", ""), 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]func(i int) string{
		"before.gz": func(i int) string { return fmt.Sprintf(`{"UserId":%d,"a":1}`, i) },
		"after.gz": func(i int) string { // every tenth row is another, and every tenth changed
			return fmt.Sprintf(`{"UserId":%d,"a":%d}`, i+i%10/9*1_000_000, 1+i%10/8)
		},
	}
	for name, row := range files {
		var plain strings.Builder
		for i := range 5000 {
			plain.WriteString(row(i) + "\n")
		}
		if err := os.WriteFile(filepath.Join(a.Path("x", ""), name), zip(t, plain.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{mostIdentities, 1000, 200} {
		a.identityLimit = limit
		d, err := a.Compare(t.Context(), "x", "before.gz", File{Name: "after.gz"})
		if want := (Difference{Added: 500, Changed: 500, Gone: 500}); err != nil || d != want {
			t.Errorf("with %d in memory: %+v, want %+v, %v", limit, d, want, err)
		}
	}
	a.identityLimit = 10
	if _, err := a.Compare(t.Context(), "x", "before.gz", File{Name: "after.gz"}); !errors.Is(err, errManyIdentities) {
		t.Errorf("with 10 in memory: %v", err)
	}
}
