package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

// TestCheckPageByPage checks a folder whose manifest takes too much memory at once: every
// file is checked, in order, and the coverage of all pages is there.
func TestCheckPageByPage(t *testing.T) {
	long(t)
	t.Parallel()
	const n = 1000
	a, m := open(t), bulkManifest(n)
	for i := range m.Files {
		m.Files[i].RowsByHour = make(rows.Counts, 9500)
	}
	m.Coverage = &Coverage{}
	for i := range wholeWindows + 1 {
		m.Coverage.Missing = append(m.Coverage.Missing, Window{Start: fmt.Sprint(i)})
	}
	write(t, a, m)
	there := m.Files[n-2].Name
	for _, name := range []string{there, "unknown.gz"} {
		if err := os.WriteFile(a.Path("x", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := local.OpenFolder(a.Path("x", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if l, err := openListed(t.Context(), root); err != nil || !l.paged || l.files != n || len(l.Files) > 0 {
		t.Fatalf("%d of %d files at once, by pages: %v, %v", len(l.Files), l.files, l.paged, err)
	}
	steps := 0
	c, err := Check(t.Context(), a.Path("x", ""), func(done, all int) {
		if done != steps || all != n {
			t.Fatalf("progress %d of %d, want %d of %d", done, all, steps, n)
		}
		steps++
	})
	missing := len(c.Manifest.Coverage.Missing)
	if err != nil || c.Listed != n || steps != n || len(c.Faults) != n+1 || missing != wholeWindows+1 {
		t.Fatalf("%d files, %d steps, %d faults, %d windows, %v", c.Listed, steps, len(c.Faults), missing, err)
	}
	for i, f := range c.Faults[:n] {
		if f.Name != m.Files[i].Name || f.Name != there && f.Problem != "is missing" {
			t.Fatalf("fault %d is %v", i, f)
		}
	}
	if c.Faults[n].Name != "unknown.gz" {
		t.Errorf("the last fault is %v", c.Faults[n])
	}
	checkIsCancelled(t, a, root)
}

// checkIsCancelled cancels Check of the folder x half way.
func checkIsCancelled(t *testing.T, a *Archive, root *os.Root) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Check(ctx, a.Path("x", ""), func(done, _ int) {
		if done == 500 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, err := openListed(ctx, root); !errors.Is(err, context.Canceled) {
		t.Errorf("opened with a context that has ended: %v", err)
	}
}

// TestManyFiles writes and reads a manifest that takes more than decodedSize, as its pages
// allow.
func TestManyFiles(t *testing.T) {
	long(t)
	t.Parallel()
	a := open(t)
	write(t, a, bulkManifest(150_000))
	if got, err := a.Manifest("x"); err != nil || len(got.Files) != 150_000 {
		t.Errorf("%d files, %v", len(got.Files), err)
	}
}

// TestColumnsTwice adds files with the same columns in two updates: their page is listed
// once, and a manifest of an earlier version that lists it twice is read.
func TestColumnsTwice(t *testing.T) {
	a := open(t)
	write(t, a, pagedManifest(100))
	own := pagedManifest(1).Files[0]
	for i := range 2 {
		own.Name = fmt.Sprintf("new%d", i)
		err := a.UpdateManifest(t.Context(), "x", func(m *Manifest) error { m.put(own); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	path := a.Path("x", ManifestName)
	raw, err := os.ReadFile(path)
	var m Manifest
	if err != nil || json.Unmarshal(raw, &m) != nil || len(distinct(m.ColumnPages)) != len(m.ColumnPages) {
		t.Fatalf("%d pages of columns, %d of them distinct, %v", len(m.ColumnPages), len(distinct(m.ColumnPages)), err)
	}
	for what, repeat := range map[string]func(m Manifest) Manifest{
		"":                   func(m Manifest) Manifest { m.ColumnPages = slices.Repeat(m.ColumnPages, 2); return m },
		"lists a page twice": func(m Manifest) Manifest { m.Pages = slices.Repeat(m.Pages, 2); return m },
	} {
		changed, err := json.Marshal(repeat(m))
		if err == nil {
			err = os.WriteFile(path, changed, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Manifest("x"); (err == nil) != (what == "") || err != nil && !strings.Contains(err.Error(), what) {
			t.Errorf("want %q: %v", what, err)
		}
		listed := 0
		err = a.EachManifestFile("x", func(string, []byte) error { listed++; return nil })
		if (err == nil) != (what == "") {
			t.Errorf("want %q: %d files of the manifest, %v", what, listed, err)
		}
	}
}

// TestFieldsOfRequest parses manifests whose request has as many fields as the tools accept,
// and one more.
func TestFieldsOfRequest(t *testing.T) {
	for n, fits := range map[int]bool{0: true, 500: true, 501: false} {
		fields, err := json.Marshal(slices.Repeat([]string{"evt_*"}, n))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"fields", "Fields"} {
			raw := fmt.Appendf(nil, `{"files":[],"request":{"type":7,%q:%s,"x":[]}}`, key, fields)
			_, err := ParseManifest(raw, "m", nil)
			if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "500 fields in its request") {
				t.Errorf("%d %s: %v", n, key, err)
			}
		}
	}
}
