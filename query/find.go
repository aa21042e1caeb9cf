package query

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Find returns the Parquet files of an export, in the folder that package landing writes:
// FOLDER/day=YYYY-MM-DD/NAME.parquet. It returns none if there is no such folder. bulk is the
// name of the export.
func Find(folder, bulk string) (files []File, err error) {
	folder, err = filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	days, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, d := range days {
		day, ok := strings.CutPrefix(d.Name(), "day=")
		if !ok || !d.IsDir() {
			continue
		}
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			day = "" // the partition of windows without a start
		}
		entries, err := os.ReadDir(filepath.Join(folder, d.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".parquet") {
				files = append(files, File{Path: filepath.Join(folder, d.Name(), e.Name()), Day: day, Bulk: bulk})
			}
		}
	}
	return files, nil
}
