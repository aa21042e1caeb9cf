package delta

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"
)

// The actions of the log, as the protocol names them.
type (
	// action is a line of a commit: one of its fields is set.
	action struct {
		CommitInfo *commitInfo     `json:"commitInfo,omitempty"`
		Protocol   *protocol       `json:"protocol,omitempty"`
		MetaData   *metaData       `json:"metaData,omitempty"`
		Remove     *removeFile     `json:"remove,omitempty"`
		Add        *addFile        `json:"add,omitempty"`
		Txn        json.RawMessage `json:"txn,omitempty"`
	}
	commitInfo struct {
		Timestamp           int64             `json:"timestamp"` // milliseconds
		Operation           string            `json:"operation"`
		OperationParameters map[string]string `json:"operationParameters"`
		IsBlindAppend       bool              `json:"isBlindAppend"`
		EngineInfo          string            `json:"engineInfo"`
		TxnID               string            `json:"txnId"` // unique: shows whose commit it is
	}
	protocol struct {
		MinReaderVersion int32 `json:"minReaderVersion"`
		MinWriterVersion int32 `json:"minWriterVersion"`
	}
	metaData struct {
		ID               string            `json:"id"`
		Name             string            `json:"name,omitempty"`
		Description      string            `json:"description,omitempty"`
		Format           format            `json:"format"`
		SchemaString     string            `json:"schemaString"`
		PartitionColumns []string          `json:"partitionColumns"`
		Configuration    map[string]string `json:"configuration"`
		CreatedTime      int64             `json:"createdTime,omitempty"` // milliseconds
	}
	format struct {
		Provider string            `json:"provider" parquet:"provider"`
		Options  map[string]string `json:"options" parquet:"options"`
	}
	addFile struct {
		Path             string             `json:"path"` // encoded
		PartitionValues  map[string]*string `json:"partitionValues"`
		Size             int64              `json:"size"`             // bytes
		ModificationTime int64              `json:"modificationTime"` // milliseconds
		DataChange       bool               `json:"dataChange"`
		Stats            string             `json:"stats,omitempty"`
		Tags             map[string]*string `json:"tags,omitempty"`
		DeletionVector   *struct{}          `json:"deletionVector,omitempty"`
	}
	removeFile struct {
		Path                 string             `json:"path"` // encoded
		DeletionTimestamp    int64              `json:"deletionTimestamp"`
		DataChange           bool               `json:"dataChange"`
		ExtendedFileMetadata bool               `json:"extendedFileMetadata"`
		PartitionValues      map[string]*string `json:"partitionValues"`
		Size                 int64              `json:"size"`
	}
)

const (
	mostCommit    = 256 << 20 // bytes of a commit
	mostLine      = 8 << 20   // bytes of an action
	mostFiles     = 2_000_000 // active files of a table, and removed ones
	mostStats     = 1 << 20   // bytes of the statistics of a file
	mostTags      = 64        // of a file
	mostTagBytes  = 4 << 10   // of a key or value of a tag or of a partition
	engine        = "fullstory-export-mcp"
	mostMetaBytes = 64 << 10 // of names and settings of a table
)

// newID returns the id of a commit.
func newID() string { return rand.Text() }

func newCommitInfo(id, operation string, now time.Time) *commitInfo {
	return &commitInfo{
		Timestamp: now.UnixMilli(), Operation: operation, OperationParameters: map[string]string{},
		EngineInfo: engine, TxnID: id,
	}
}

// encode returns the content of a commit.
func encode(actions []action) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, a := range actions {
		if err := e.Encode(a); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// decode reads a commit, which another program may have written. Actions that are not known
// are left out, as the protocol wants. file is for the *LogError.
func decode(file string, content []byte) ([]action, error) {
	var actions []action
	n := 0
	for line := range bytes.Lines(content) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(line) > mostLine {
			return nil, &LogError{file, fmt.Sprintf("line %d has %d bytes and the limit is %d", n, len(line), mostLine)}
		}
		var a action
		if err := json.Unmarshal(line, &a); err != nil {
			return nil, &LogError{file, fmt.Sprintf("line %d is not an action: %.200q", n, err.Error())}
		}
		actions = append(actions, a)
	}
	return actions, nil
}

// idOf returns the id of a commit, or "" if it has none.
func idOf(content []byte) string {
	for line := range bytes.Lines(content) {
		var a struct {
			CommitInfo *struct {
				TxnID string `json:"txnId"`
			} `json:"commitInfo"`
		}
		if json.Unmarshal(line, &a) == nil && a.CommitInfo != nil {
			return a.CommitInfo.TxnID
		}
	}
	return ""
}
