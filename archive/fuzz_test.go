package archive

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"testing"
)

// FuzzManifest parses manifests and pages. None makes the program panic or take memory
// without bound, and what was parsed is the same once it was written and parsed again.
func FuzzManifest(f *testing.F) {
	whole, err := indent(bulkManifest(3))
	if err != nil {
		f.Fatal(err)
	}
	const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of no bytes
	for _, raw := range []string{
		string(whole), `{}`, `null`, `[]`, `{"version":99}`, `{"files":null}`, `{"files":[{}]}`, `{"files":[null]}`,
		`{"files":{}}`, `{"columns":["a"],"files":[{"name":"x"},{"name":"y","columns":[]}]}`,
		`{"version":3,"pages":[{"name":".manifest/` + sum + `.json","sha256":"` + sum + `"}],"files":[]}`,
		`{"version":3,"pages":[{"name":"../x","sha256":"` + sum + `"}]}`, `{"files":[{"rows_by_hour":"1 2 3"}]}`,
		`{"coverage":{"settled":[{"start":"2026-10-01T00:00:00Z"}],"missing":null}}`,
		`{"files":[` + strings.Repeat("{},", 100) + `{}]}`,
	} {
		f.Add([]byte(raw), []byte(""))
		f.Add([]byte(raw), []byte(`{"files":[{"name":"z"}],"coverage":{"settled":[{}]}}`))
	}
	f.Fuzz(func(t *testing.T, raw, page []byte) {
		read := func(string) ([]byte, error) { return page, nil }
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := ParseManifest(raw, "manifest.json", read)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20+200*uint64(len(raw)+len(page)) {
			t.Errorf("%d and %d bytes took %d", len(raw), len(page), n)
		}
		if err != nil {
			var damaged *ManifestError
			if !errors.As(err, &damaged) || len(err.Error()) > 2000 {
				t.Errorf("%T: %.2000s", err, err)
			}
			return
		}
		written, err := indent(m)
		if err != nil {
			t.Skip(err) // a time that JSON cannot have
		}
		again, err := ParseManifest(written, "manifest.json", func(string) ([]byte, error) { return nil, fs.ErrNotExist })
		if err != nil || len(again.Files) != len(m.Files) || again.BulkID != m.BulkID {
			t.Errorf("parsed again: %d files, want %d, %v", len(again.Files), len(m.Files), err)
		}
	})
}
