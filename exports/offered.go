package exports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// IsUnknown reports whether err says that the account has nothing of the name or id that was asked
// for.
func IsUnknown(err error) bool { return errors.Is(err, ledger.ErrNotFound) }

// StoredFile is a verified file of a bulk export, as its record says.
type StoredFile struct {
	Offer
	Start, End string // of its window, in the zone of the request
	Rows       int64
	SHA256     string
}

// StoredFiles returns at most limit files of a bulk export, given by id or name, after the first
// offset, in the order of their windows. more is set if others follow. It does not look whether
// they are still there.
func (a *Account) StoredFiles(
	ctx context.Context, idOrName string, offset, limit int,
) (files []StoredFile, more bool, err error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, false, err
	}
	b, err := engine.o.Ledger.Bulk(ctx, engine.o.Account, idOrName)
	if err != nil {
		return nil, false, unknownBulk(idOrName, err)
	}
	request, _ := requestOf(b)
	chunks, err := engine.o.Ledger.Chunks(ctx, b.ID, offset, limit+1, ledger.ChunkStored)
	if err != nil {
		return nil, false, err
	}
	if more = len(chunks) > limit; more {
		chunks = chunks[:limit]
	}
	for _, c := range chunks {
		o, f, err := engine.offered(ctx, b.ID, c.Number)
		if errors.Is(err, ledger.ErrNotFound) { // it is exported again meanwhile
			continue
		}
		if err != nil {
			return nil, false, err
		}
		files = append(files, StoredFile{
			Offer: o, Start: StampIn(c.Start, zoneOf(request)), End: StampIn(c.End, zoneOf(request)), Rows: f.Rows,
			SHA256: client.Clean(f.SHA256, 64),
		})
	}
	return files, more, nil
}

// offered returns the offer of the file of a chunk, and its record.
func (e *Exports) offered(ctx context.Context, bulk string, number int64) (o Offer, f archive.File, err error) {
	record, err := e.o.Ledger.FileOf(ctx, bulk, number)
	if err != nil {
		return o, f, err
	}
	if err := json.Unmarshal(record.Detail, &f); err != nil {
		return o, f, fmt.Errorf("read the record of a stored file: %w", err)
	}
	if len(f.SHA256) < shortSum {
		return o, f, ledger.ErrNotFound
	}
	return Offer{
		Subject: fmt.Sprintf("%s/%d/%s", bulk, number, f.SHA256[:shortSum]), Name: f.Name, Type: gzipType, Bytes: f.Bytes,
		operation: f.OperationID,
	}, f, nil
}

// OfferOf returns the offer with that subject, of a file or of a tar file, if the account has it
// now. Otherwise it fails with an error for which IsUnknown holds, or ErrIncomplete.
func (a *Account) OfferOf(ctx context.Context, subject string) (Offer, error) {
	id, chunk, single := strings.Cut(subject, "/")
	if !single {
		s, err := a.Bulk(ctx, id, BulkQuery{}, time.Time{}, nil)
		if err != nil {
			return Offer{}, err
		}
		o, ok, err := a.OfferBulk(ctx, s.BulkSummary)
		if err == nil && (!ok || s.BulkID != id) {
			err = ledger.ErrNotFound
		}
		return o, err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return Offer{}, err
	}
	b, err := engine.o.Ledger.Bulk(ctx, engine.o.Account, id)
	if err != nil || b.ID != id { // a name, which no subject has
		return Offer{}, errors.Join(ledger.ErrNotFound, err)
	}
	numbered, _, _ := strings.Cut(chunk, "/")
	number, err := strconv.ParseInt(numbered, 10, 64)
	if err != nil {
		return Offer{}, ledger.ErrNotFound
	}
	o, _, err := engine.offered(ctx, b.ID, number)
	if err == nil && o.Subject != subject {
		err = ledger.ErrNotFound
	}
	return o, err
}
