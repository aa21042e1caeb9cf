package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/rows"
)

// folderOf writes files with these contents, and the manifest that Bring would write.
func folderOf(t testing.TB, a *Archive, request string, contents ...[]byte) {
	t.Helper()
	rules := requested(json.RawMessage(request))
	err := a.UpdateManifest(t.Context(), "x", func(m *Manifest) error {
		m.Request = json.RawMessage(request)
		for i, content := range contents {
			w := Wanted{Name: fmt.Sprintf("%03d.gz", i), Rules: rules.Within(from, until)}
			v := rows.NewVerifier(w.Rules)
			if _, err := v.Write(content); err != nil {
				return err
			}
			got, sum, err := v.Finish()
			if err != nil {
				return err
			}
			m.put(w.record(int64(len(content)), sum, got))
			if err := os.WriteFile(a.Path("x", w.Name), content, 0o600); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const events = `{"type":"TYPE_EVENT","format":"FORMAT_NDJSON"}`

// TestCheckInOrder checks that faults and progress come in the order of the files, which
// differ in size, for any number of cores.
func TestCheckInOrder(t *testing.T) {
	a := open(t)
	var contents [][]byte
	for i := range 40 {
		contents = append(contents, zip(t, rowsOf(1+(i*7919)%500)))
	}
	folderOf(t, a, events, contents...)
	for _, i := range []int{33, 2, 17} {
		content := slices.Clone(contents[i])
		content[len(content)-1] ^= 1
		if err := os.WriteFile(a.Path("x", fmt.Sprintf("%03d.gz", i)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(a.Path("x", "unknown.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cores := range []int{1, 2, 7} {
		before := runtime.GOMAXPROCS(cores)
		var steps []int
		c, err := Check(t.Context(), a.Path("x", ""), func(done, all int) {
			steps = append(steps, done)
			if all != 40 {
				t.Errorf("of %d", all)
			}
		})
		runtime.GOMAXPROCS(before)
		var faults []string
		for _, f := range c.Faults {
			faults = append(faults, f.Name)
		}
		if err != nil || c.Files != 37 || strings.Join(faults, " ") != "002.gz 017.gz 033.gz unknown.gz" {
			t.Errorf("%d cores: %d files, faults %q, %v", cores, c.Files, faults, err)
		}
		if len(steps) != 40 || !slices.IsSorted(steps) {
			t.Errorf("%d cores: progress %v", cores, steps)
		}
	}
}

func TestCheckCanBeCancelled(t *testing.T) {
	a := open(t)
	var contents [][]byte
	for range 20 {
		contents = append(contents, zip(t, rowsOf(2000)))
	}
	folderOf(t, a, events, contents...)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Check(ctx, a.Path("x", ""), func(done, _ int) {
		if done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := Check(ctx, a.Path("x", ""), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: got %v", err)
	}
}

// TestInOrder has calls in the middle fail: the first error in order is the last result,
// and no call runs afterwards.
func TestInOrder(t *testing.T) {
	var running atomic.Int32
	var got []int
	var failed error
	for n, err := range inOrder(t.Context(), 1000, func(_ context.Context, i int) (int, error) {
		running.Add(1)
		defer running.Add(-1)
		if i == 30 || i == 31 {
			return 0, fmt.Errorf("error %d", i)
		}
		return i, nil
	}) {
		if failed = err; err == nil {
			got = append(got, n)
		}
	}
	if len(got) != 30 || !slices.IsSorted(got) || failed == nil || failed.Error() != "error 30" || running.Load() != 0 {
		t.Errorf("got %v, %v, %d still run", got, failed, running.Load())
	}
	for range inOrder(t.Context(), 0, func(context.Context, int) (int, error) { return 0, nil }) {
		t.Error("a result of nothing")
	}
}

// TestManifestVersion1 verifies folders with a manifest of version 1, in which times are
// spelled in UTC and blank lines of a CSV with one column are not counted.
func TestManifestVersion1(t *testing.T) {
	a := open(t)
	plain := `{"EventStart":"2026-10-01T03:00:00.50+02:00"}` + "\n" + `{"EventStart":"2026-10-01T05:00:00.120Z"}`
	folderOf(t, a, events, zip(t, plain))
	asVersion1(t, a, func(f *File) { f.FirstEvent, f.LastEvent = "2026-10-01T01:00:00.5Z", "2026-10-01T05:00:00.12Z" })
	if c, err := Check(t.Context(), a.Path("x", ""), nil); err != nil || len(c.Faults) > 0 {
		t.Errorf("times: %v, %v", c.Faults, err)
	}
	asVersion1(t, a, func(f *File) { f.FirstEvent = "2026-10-01T01:00:00.500000001Z" })
	if c, err := Check(t.Context(), a.Path("x", ""), nil); err != nil || len(c.Faults) != 1 {
		t.Errorf("another time: %v, %v", c.Faults, err)
	}

	a = open(t)
	folderOf(t, a, `{"type":"TYPE_EVENT","format":"FORMAT_CSV","fields":["PageUrl"]}`, zip(t, "PageUrl\nx\n\n\n\"\"\n"))
	asVersion1(t, a, func(f *File) { f.Rows = 2 })
	if c, err := Check(t.Context(), a.Path("x", ""), nil); err != nil || len(c.Faults) > 0 {
		t.Errorf("blank lines: %v, %v", c.Faults, err)
	}
	asVersion1(t, a, func(f *File) { f.Rows = 3 })
	if c, err := Check(t.Context(), a.Path("x", ""), nil); err != nil || len(c.Faults) != 1 {
		t.Errorf("another number of rows: %v, %v", c.Faults, err)
	}
}

// asVersion1 rewrites the manifest as version 1.
func asVersion1(t *testing.T, a *Archive, change func(*File)) {
	t.Helper()
	m, err := a.Manifest("x")
	if err != nil {
		t.Fatal(err)
	}
	m.Version = 1
	m.Files[0].ColumnsSHA256, m.Files[0].NotChecked = "", nil
	change(&m.Files[0])
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.Path("x", ManifestName), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCheckColumns checks files whose columns are not those of the manifest or of the
// request.
func TestCheckColumns(t *testing.T) {
	for name, change := range map[string]func(*Manifest){
		"another checksum of the columns": func(m *Manifest) { m.Files[0].ColumnsSHA256 = columnsSum([]string{"x"}) },
		"other fields": func(m *Manifest) {
			m.Request = json.RawMessage(`{"type":"TYPE_EVENT","format":"FORMAT_NDJSON","fields":["EventStart"]}`)
		},
	} {
		a := open(t)
		folderOf(t, a, events, zip(t, rowsOf(3)))
		if err := a.UpdateManifest(t.Context(), "x", func(m *Manifest) error { change(m); return nil }); err != nil {
			t.Fatal(err)
		}
		c, err := Check(t.Context(), a.Path("x", ""), nil)
		if err != nil || len(c.Faults) != 1 || !strings.Contains(c.Faults[0].Problem, "column") {
			t.Errorf("%s: %v, %v", name, c.Faults, err)
		}
	}
}

// TestWarningsInManifest checks that the manifest has warnings only of files with some.
func TestWarningsInManifest(t *testing.T) {
	a := open(t)
	folderOf(t, a, events, zip(t, rowsOf(3)), zip(t, `{"EventStart":"2026-10-01 05:00:00","a":1,"a":"\ud800"}`))
	raw, err := os.ReadFile(a.Path("x", ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(raw), `"warnings"`); n != 1 {
		t.Errorf("%d warnings in %s", n, raw)
	}
	m, err := a.Manifest("x")
	want := rows.Warnings{LoneSurrogates: 1, DuplicateKeys: 1, TimesWithoutZone: 1}
	if err != nil || m.Files[1].Warnings != want || m.Files[1].FirstEvent != "2026-10-01 05:00:00" {
		t.Errorf("got %+v, %v", m.Files, err)
	}
	at, zoned, ok := rows.ParseTime(m.Files[1].FirstEvent)
	if !ok || zoned || at != time.Date(2026, 10, 1, 5, 0, 0, 0, time.UTC) {
		t.Errorf("read back as %s", at)
	}
	if c, err := Check(t.Context(), a.Path("x", ""), nil); err != nil || len(c.Faults) > 0 || c.Warnings != want {
		t.Errorf("verify: %+v, %v", c, err)
	}
}
