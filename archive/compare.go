package archive

import (
	"context"
	"errors"
	"hash/maphash"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

// identity are the columns that identify the event or the person of a row. Fullstory
// may change the others for a day after the event.
var identity = []string{
	"UserId", "SessionId", "PageId", "EventStart", "EventType", "EventSubType", "EventCustomName", "EventTargetSelector",
	"IndvId",
}

// sameIdentity counts and sums up the rows that share an identity.
type sameIdentity struct {
	rows   int64
	hashes uint64 // the sum of their hashes, which does not depend on their order
}

// mostIdentities is the most identities of a file that are in memory at once, about 50
// bytes each.
const mostIdentities = 1 << 20

// mostParts is the most parts into which the identities of two files are divided; each
// takes another pass over both files.
const mostParts = 64

// errManyIdentities reports that a part has more than mostIdentities identities.
var errManyIdentities = errors.New("the files have too many rows to be compared")

// Compare returns how the rows of a file of a folder differ from those of an earlier
// one, which is given relative to the folder; without an earlier one nothing differs.
// Rows that share an identity are compared together. A row without any column of
// identity counts as gone and added if it changed. Compare needs about 100 MB of memory
// for large files: it reads both files once for each part of their identities.
func (a *Archive) Compare(ctx context.Context, folder, earlier string, f File) (Difference, error) {
	if earlier == "" {
		return Difference{}, nil
	}
	for parts := uint64(1); ; parts *= 2 {
		d, err := a.compareParts(ctx, folder, earlier, f.Name, parts)
		if !errors.Is(err, errManyIdentities) || parts == mostParts {
			return d, err
		}
	}
}

// compareParts compares two files in parts passes.
func (a *Archive) compareParts(ctx context.Context, folder, earlier, name string, parts uint64) (Difference, error) {
	var d Difference
	seed := maphash.MakeSeed()
	for part := range parts {
		in := func(key uint64) bool { return key%parts == part }
		before, err := a.identities(ctx, folder, earlier, seed, in)
		if err != nil {
			return Difference{}, err
		}
		after, err := a.identities(ctx, folder, name, seed, in)
		if err != nil {
			return Difference{}, err
		}
		d.count(before, after)
	}
	return d, nil
}

// count adds how the rows of identities differ. It changes before.
func (d *Difference) count(before, after map[uint64]sameIdentity) {
	for id, now := range after {
		was := before[id]
		delete(before, id)
		d.Added += max(0, now.rows-was.rows)
		d.Gone += max(0, was.rows-now.rows)
		if now.hashes != was.hashes && now.rows == was.rows {
			d.Changed += now.rows
		}
	}
	for _, was := range before {
		d.Gone += was.rows
	}
}

// identities returns the rows of a file by the hash of their identity, for the hashes for
// which in returns true. Hashes of 64 bits make it unlikely that two identities are
// taken for one.
func (a *Archive) identities(
	ctx context.Context, folder, name string, seed maphash.Seed, in func(key uint64) bool,
) (map[uint64]sameIdentity, error) {
	root, err := a.folder(folder, false)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := local.OpenIn(root, name)
	if err != nil {
		return nil, diskError(root.Name(), err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() == 0 {
		return nil, nil // see Warnings.EmptyObject
	}
	found := map[uint64]sameIdentity{}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = rows.Each(untilDone{ctx, file}, func(row []byte, value func(string) string) {
		var id maphash.Hash
		id.SetSeed(seed)
		known := false
		for _, column := range identity {
			v := value(column)
			known = known || v != ""
			id.WriteString(v)
			id.WriteByte(0) // keeps "a", "b" apart from "ab", ""
		}
		whole := maphash.Bytes(seed, row)
		key := id.Sum64()
		if !known {
			key = whole
		}
		if !in(key) {
			return
		}
		same := found[key]
		found[key] = sameIdentity{same.rows + 1, same.hashes + whole}
		if len(found) > a.identityLimit {
			clear(found)
			cancel(errManyIdentities)
		}
	})
	if errors.Is(context.Cause(ctx), errManyIdentities) {
		return nil, errManyIdentities
	}
	return found, err
}
