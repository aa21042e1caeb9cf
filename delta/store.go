package delta

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LogFolder is the folder of the log, in that of the table.
const LogFolder = "_delta_log"

// Store is the place of a table: see Folder and Bucket. Names are those of files in its log.
type Store interface {
	// read returns the content of a file of at most limit bytes. It returns fs.ErrNotExist if
	// there is none.
	read(ctx context.Context, name string, limit int64) ([]byte, error)
	// create writes a file durably and atomically. It returns fs.ErrExist if there is one, which
	// stays as it is, and errMaybe if it may or may not have been written.
	create(ctx context.Context, name string, content []byte) error
	// settle makes durable what a create that returned errMaybe has written.
	settle(ctx context.Context) error
	// replace writes a file durably and atomically, in place of any that is there.
	replace(ctx context.Context, name string, content []byte) error
	// list calls each with the files whose names are after a name, in no order. It calls it
	// with names that are before it as well if that is less work.
	list(ctx context.Context, after string, each func(name string, changed time.Time)) error
	// remove removes a file if it is there.
	remove(ctx context.Context, name string) error
	// clean removes unfinished files that nobody has changed since.
	clean(ctx context.Context, since time.Time) error
}

// errMaybe means that a file may or may not have been written.
var errMaybe = errors.New("the store did not say whether it wrote the file")

const (
	lastCheckpointName = "_last_checkpoint"
	commitSuffix       = ".json"
	checkpointSuffix   = ".checkpoint.parquet"
)

func commitName(version int64) string     { return fmt.Sprintf("%020d%s", version, commitSuffix) }
func checkpointName(version int64) string { return fmt.Sprintf("%020d%s", version, checkpointSuffix) }

// versionOf returns the version in the name of a commit or checkpoint. ok is false for any
// other name.
func versionOf(name, suffix string) (version int64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 20 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	version, err := strconv.ParseInt(digits, 10, 64)
	return version, err == nil
}
