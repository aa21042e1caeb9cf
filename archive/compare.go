package archive

import (
	"context"
	"encoding/json"
	"hash/maphash"

	"github.com/klauspost/compress/gzip"
)

// identity are the columns that say which event, or which person, a row is
// about. What the others hold may still change for a day.
var identity = []string{"UserId", "SessionId", "PageId", "EventStart", "EventType", "EventSubType", "EventCustomName", "EventTargetSelector", "IndvId"}

// sameIdentity are the rows of one identity: how many, and what they are.
type sameIdentity struct {
	rows  int64
	whole uint64 // the sum of their hashes
}

// Compare tells how the rows of a file of a folder differ from those of an
// earlier one, which is given relative to the folder. Rows that share an
// identity are compared together; where no column tells it, a changed row counts
// as one that is gone and one that was added. It keeps about 50 bytes a row of
// the earlier file.
func (a *Archive) Compare(ctx context.Context, folder, earlier string, f File) (Difference, error) {
	seed := maphash.MakeSeed()
	before, err := a.identities(ctx, folder, earlier, seed)
	if err != nil {
		return Difference{}, err
	}
	after, err := a.identities(ctx, folder, f.Name, seed)
	if err != nil {
		return Difference{}, err
	}
	var d Difference
	for id, now := range after {
		was := before[id]
		delete(before, id)
		d.Added += max(0, now.rows-was.rows)
		d.Gone += max(0, was.rows-now.rows)
		if now.whole != was.whole && now.rows == was.rows {
			d.Changed += now.rows
		}
	}
	for _, was := range before {
		d.Gone += was.rows
	}
	return d, nil
}

func (a *Archive) identities(ctx context.Context, folder, name string, seed maphash.Seed) (map[uint64]sameIdentity, error) {
	root, err := a.folder(folder, false)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := root.Open(name)
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(untilDone{ctx, file})
	if err != nil {
		return nil, unpackError(err)
	}
	found := map[uint64]sameIdentity{}
	_, err = readRows(unpacked, rules{each: func(row []byte, value func(string) string) {
		var id maphash.Hash
		id.SetSeed(seed)
		told := false
		for _, column := range identity {
			v := value(column)
			told = told || v != ""
			id.WriteString(v)
			id.WriteByte(0)
		}
		whole := maphash.Bytes(seed, row)
		key := id.Sum64()
		if !told {
			key = whole
		}
		same := found[key]
		found[key] = sameIdentity{same.rows + 1, same.whole + whole}
	}})
	return found, unpackError(err)
}

// valuesOf reads the columns of a row that is a JSON object.
func valuesOf(row []byte) func(string) string {
	var columns map[string]json.RawMessage
	if json.Unmarshal(row, &columns) != nil {
		columns = nil
	}
	return func(column string) string { return string(columns[column]) }
}
