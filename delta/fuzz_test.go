package delta

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzCommit reads commits from outside: no file that they add or remove lies outside of the folder
// of the table, or in its log.
func FuzzCommit(f *testing.F) {
	f.Add([]byte(`{"add":{"path":"a%2fb","partitionValues":{"day":null},"size":1,"modificationTime":1,"tags":{}}}`))
	f.Add([]byte(`{"remove":{"path":"..%2f","deletionTimestamp":1,"dataChange":true}}` + "\n" + `{"txn":{}}`))
	f.Add([]byte(`{"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":` +
		`"{\"type\":\"struct\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\",` +
		`\"elementType\":\"long\"},\"nullable\":true}]}","partitionColumns":["a"]}}`))
	f.Add([]byte(`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"]}}`))
	meta, err := newMetaData("id", "", columns(), window(0, 0).Modified)
	if err != nil {
		f.Fatal(err)
	}
	first := Snapshot{protocol: &protocol{1, 2}, meta: meta}
	f.Fuzz(func(t *testing.T, content []byte) {
		actions, err := decode("x", content)
		if err != nil {
			return
		}
		s, err := first.apply(1, actions)
		if err != nil {
			return
		}
		paths := s.Expired(window(0, 0).Modified)
		for path := range s.Files() {
			paths = append(paths, path)
		}
		for _, path := range paths {
			if !filepath.IsLocal(path) || strings.HasPrefix(strings.ToLower(path), LogFolder+"/") {
				t.Errorf("the path %q", path)
			}
			if again, err := decodePath(encodePath(path)); err != nil || again != path {
				t.Errorf("the path %q becomes %q, %v", path, again, err)
			}
		}
	})
}
