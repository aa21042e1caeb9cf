package client

import (
	"encoding/json"
	"errors"
	"time"
)

// errorJSON is the stored form of an Error. The ledger keeps it for the problems
// of chunks.
type errorJSON struct {
	Op         string        `json:"op"`
	Status     int           `json:"status,omitempty"`
	Code       string        `json:"code,omitempty"`
	Message    string        `json:"message,omitempty"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	At         time.Time     `json:"at,omitzero"`
	Uncertain  bool          `json:"uncertain,omitempty"`
	KeySource  string        `json:"key_source,omitempty"`
	Cause      string        `json:"cause,omitempty"`
}

// MarshalJSON implements json.Marshaler. It leaves out the body of the answer, and
// writes the cause as text.
func (e *Error) MarshalJSON() ([]byte, error) {
	f := errorJSON{
		Op: e.Op, Status: e.Status, Code: e.Code, Message: e.Message,
		RetryAfter: e.RetryAfter, At: e.At, Uncertain: e.Uncertain, KeySource: e.KeySource,
	}
	if e.Err != nil {
		f.Cause = e.Err.Error()
	}
	return json.Marshal(f)
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Error) UnmarshalJSON(raw []byte) error {
	var f errorJSON
	if err := json.Unmarshal(raw, &f); err != nil {
		return err
	}
	*e = Error{
		Op: f.Op, Status: f.Status, Code: f.Code, Message: f.Message,
		RetryAfter: f.RetryAfter, At: f.At, Uncertain: f.Uncertain, KeySource: f.KeySource,
	}
	if f.Cause != "" {
		e.Err = errors.New(f.Cause)
	}
	return nil
}

// JSON returns e as MarshalJSON does.
func (e *Error) JSON() json.RawMessage {
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err) // it contains only strings and numbers
	}
	return raw
}
