//go:build unix

package command

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestConvert makes Parquet of a bulk export by run and by convert.
func TestConvert(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	convert := func(args ...string) ran {
		var out, errs buffer
		args = append([]string{"convert", "--dir", dir}, args...)
		err := Run(t.Context(), args, func(string) string { return "" }, nil, &out, &errs)
		return ran{Status(err), out.String(), out.String() + errs.String()}
	}
	runs(t, t.Context(), dir, append(fourChunks, "--parquet")...).says(t, "run --parquet", 0,
		"✓ day is complete", "✓ 4 files of Parquet with 1,141 rows", "4 made, 0 kept, 0 removed", dir+"/day/parquet")
	convert("day").says(t, "nothing to do", 0, "✓ 4 files of Parquet with 1,141 rows", "0 made, 4 kept")
	folder := filepath.Join(dir, "day")
	made, err := filepath.Glob(filepath.Join(folder, "parquet", "day=2026-09-01", "*.parquet"))
	if err != nil || len(made) != 4 || os.Remove(made[1]) != nil {
		t.Fatal(err, made)
	}
	var done convertedFolder
	convert(folder, "--json").lineOf(t, &done)
	if done.Converted != 1 || done.Kept != 3 || done.Rows != 1_141 || done.Folder != filepath.Join(folder, "parquet") {
		t.Errorf("converted %+v", done)
	}
	lost := strings.TrimSuffix(filepath.Base(made[1]), ".parquet") + ".ndjson.gz"
	if err := errors.Join(os.Remove(filepath.Join(folder, lost)), os.Remove(made[1])); err != nil {
		t.Fatal(err)
	}
	convert("day").says(t, "a lost file", 3, "✗ "+lost+" is missing", "1 file could not be converted")
	convert("day", "--quiet").says(t, "quietly", 3, "1 file could not be converted")
	if got := convert("day", "--quiet"); got.stdout != "" {
		t.Errorf("--quiet prints %s", got.stdout)
	}
	runs(t, t.Context(), dir, append(fourChunks, "--parquet", "--json")...).says(t, "run --json", 0, `"state":"complete"`)
	left, err := filepath.Glob(filepath.Join(folder, "parquet", "day=2026-09-01", "*.parquet"))
	if err != nil || !slices.Contains(left, made[0]) {
		t.Error(err, left)
	}
	convert("nothing").says(t, "an unknown name", 2, "nothing is neither a folder", "fullstory-export-mcp list")
	if err := os.WriteFile(filepath.Join(folder, "manifest.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	convert("day").says(t, "a damaged manifest", 1, "is damaged")
}
