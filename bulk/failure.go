package bulk

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"fullstory-export-mcp/client"
)

// accountFault tells whether every request of the account will fail alike until
// a person has done something.
func accountFault(e *client.Error) bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// refusedRequest tells whether the API refused what was asked for.
func refusedRequest(e *client.Error) bool {
	return e.Status >= 300 && e.Status < 500 && e.Status != http.StatusTooManyRequests && !accountFault(e)
}

// failure is a client.Error as the ledger keeps it.
type failure struct {
	Op         string        `json:"op"`
	Status     int           `json:"status,omitempty"`
	Code       string        `json:"code,omitempty"`
	Message    string        `json:"message,omitempty"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Uncertain  bool          `json:"uncertain,omitempty"`
	Cause      string        `json:"cause,omitempty"`
}

func failureJSON(e *client.Error) json.RawMessage {
	f := failure{Op: e.Op, Status: e.Status, Code: e.Code, Message: e.Message, RetryAfter: e.RetryAfter, Uncertain: e.Uncertain}
	if e.Err != nil {
		f.Cause = e.Err.Error()
	}
	raw, err := json.Marshal(f)
	if err != nil {
		panic(err) // it has only texts and numbers
	}
	return raw
}

// failureOf returns the error that failureJSON kept.
func failureOf(raw json.RawMessage) error {
	var f failure
	if err := json.Unmarshal(raw, &f); err != nil {
		return errors.New("the export failed, and the ledger does not say why")
	}
	e := &client.Error{Op: f.Op, Status: f.Status, Code: f.Code, Message: f.Message, RetryAfter: f.RetryAfter, Uncertain: f.Uncertain}
	if f.Cause != "" {
		e.Err = errors.New(f.Cause)
	}
	return e
}
