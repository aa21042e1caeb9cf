package archive

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestNamesFitWindows makes the longest names of the archive. Windows allows 255 characters for
// each, and not those in reserved.
func TestNamesFitWindows(t *testing.T) {
	const longest, reserved = 255, `<>:"\|?*`
	nanos := time.Date(2026, 10, 1, 23, 59, 59, 999_999_999, time.UTC)
	name := FileName(nanos, nanos.Add(time.Hour), Suffix("FORMAT_NDJSON"))
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	most := 0
	for _, folder := range []string{superseded, rejected} {
		aside, err := asideName(root, folder, name, nanos)
		if err != nil {
			t.Fatal(err)
		}
		path := strings.Repeat("n", 64) + "/" + aside + ".json.part" // writeFile of the note
		most = max(most, len(path))
		for part := range strings.SplitSeq(path, "/") {
			if len(part) > longest || strings.ContainsAny(part, reserved) || strings.HasSuffix(part, ".") {
				t.Errorf("%q is no name for Windows", part)
			}
		}
	}
	// docs/files.md says from which length of --dir on paths are longer than 260 characters.
	if most != 174 {
		t.Errorf("the longest path in --dir has %d characters", most)
	}
}
