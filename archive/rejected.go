package archive

import (
	"encoding/json"
	"time"

	"fullstory-export-mcp/rows"
)

// rejected is the folder, inside that of an export, for files that failed verification.
// Its dot hides it from programs that load all files below a folder.
const rejected = ".rejected"

// rejection is the note beside a rejected file: <file>.json.
type rejection struct {
	Name        string    `json:"name"` // that the file would have had
	Kind        rows.Kind `json:"kind"`
	Reason      string    `json:"reason"`
	Line        int64     `json:"line,omitempty"` // see rows.Error
	OperationID string    `json:"operation_id"`
	Bytes       int64     `json:"bytes"`
	SHA256      string    `json:"sha256"`
	At          time.Time `json:"at"`
}

// reject moves the part to the rejected files, with a note that says why, and returns
// its new path relative to the folder.
func (p *Part) reject(why *rows.Error, sum string) (string, error) {
	now := time.Now().UTC()
	path, err := asideName(p.root, rejected, p.name, now)
	if err != nil {
		return "", err
	}
	note, err := json.MarshalIndent(rejection{
		Name: p.name, Kind: why.Kind, Reason: why.Reason, Line: why.Line,
		OperationID: p.object.Operation, Bytes: p.size, SHA256: sum, At: now,
	}, "", "  ")
	if err != nil {
		return "", err
	}
	if err := replace(p.root, path+".json", append(note, '\n')); err != nil {
		return "", err
	}
	return path, p.moveTo(path)
}
