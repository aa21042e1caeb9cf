//go:build unix

package command

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// saveState returns a function that restores the SQLite ledger as it is now; nil if there is
// another one.
func (a *adoption) saveState() func() {
	if a.env["FULLSTORY_EXPORT_DATABASE"] != "" {
		return nil
	}
	state := filepath.Join(a.dir, ".state")
	saved := a.t.TempDir()
	if err := os.CopyFS(filepath.Join(saved, "state"), os.DirFS(state)); err != nil {
		a.t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(state); err != nil {
			a.t.Fatal(err)
		}
		if err := os.CopyFS(state, os.DirFS(filepath.Join(saved, "state"))); err != nil {
			a.t.Fatal(err)
		}
		err := filepath.Walk(state, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.IsDir() {
				return os.Chmod(path, 0o700)
			}
			return os.Chmod(path, 0o600)
		})
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

// edit changes the manifest of a folder.
func edit(t *testing.T, folder string, change func(map[string]any)) {
	t.Helper()
	path := filepath.Join(folder, "manifest.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if raw, err = json.Marshal(m); err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rewrite changes the rows of a file and its entry in the manifest.
func rewrite(t *testing.T, folder, name string, change func(lines []string) []string) {
	t.Helper()
	path := filepath.Join(folder, name)
	lines := change(linesOf(t, path))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, strings.Join(lines, "\n")); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(packed.Bytes())
	edit(t, folder, func(m map[string]any) {
		for _, f := range m["files"].([]any) {
			if f := f.(map[string]any); f["name"] == name {
				f["rows"], f["bytes"], f["sha256"] = len(lines), packed.Len(), hex.EncodeToString(sum[:])
				f["first_event"], f["last_event"] = timesOf(t, lines)
			}
		}
	})
}

// linesOf returns the lines of a file.
func linesOf(t *testing.T, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// timesOf returns the first and the last time of rows.
func timesOf(t *testing.T, lines []string) (first, last string) {
	t.Helper()
	for _, l := range lines {
		var row struct{ EventStart string }
		if err := json.Unmarshal([]byte(l), &row); err != nil {
			t.Fatal(err)
		}
		if first == "" || row.EventStart < first {
			first = row.EventStart
		}
		last = max(last, row.EventStart)
	}
	return first, last
}

// canonical returns a row as adoption.rows does.
func canonical(t *testing.T, row string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(row))
	d.UseNumber()
	var members map[string]any
	if err := d.Decode(&members); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
