package client

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"time"
)

// SearchExport is the type of operations that are segment exports.
const SearchExport = "SEARCH_EXPORT"

// operationTypes are those of the documentation. The others are deletions.
var operationTypes = []string{
	SearchExport, "DELETE_USER", "DELETE_SESSION", "DELETE_SEGMENT_SESSIONS", "DELETE_SEGMENT_USERS",
}

// State is the state of an operation. States that the API may add are Unknown, which
// counts as not ended.
type State string

// The states of an operation. The API has no state for a cancelled operation.
const (
	Pending   State = "PENDING"
	Completed State = "COMPLETED"
	Failed    State = "FAILED"
)

// Ended reports whether the state is final.
func (s State) Ended() bool { return s == Completed || s == Failed }

// Operation is a task that the API runs in the background.
type Operation struct {
	ID         string // see encodeID
	Type       string // one of operationTypes, or Unknown; empty if not given
	State      State  // empty if not given
	Percent    int    // an estimate, 0 to 100
	Step       string // what the API is doing, by Plain; may be empty
	Error      string // why it failed, by Plain
	CreatedAt  time.Time
	FinishedAt time.Time // not reliable while Pending

	// For a completed export: its id, and the time until which its file can be
	// fetched.
	ExportID      string
	ExportExpires time.Time
}

// OperationQuery selects the operations to list. The zero value selects the first
// page of all.
type OperationQuery struct {
	State  State
	Type   string
	Limit  int    // at most 100; 0: the API's default of 100
	Cursor string // Next of the previous page, whose query had the same State and Type
}

// OperationPage is one page of operations, of at most as many as the query asks for.
// Next is empty on the last page.
type OperationPage struct {
	Operations []Operation
	Unusable   []Operation // operations that are left out, because their id cannot be used; they have none
	Next       string
}

// Operation returns the operation with the given id. An unknown id fails with
// status 404.
func (c *Client) Operation(ctx context.Context, id string) (Operation, error) {
	k := read("get operation", "operations", "v1", id)
	k.needs, k.answer = "state", listAnswer // errorDetails may be long
	a, err := c.do(ctx, k)
	if err != nil {
		return Operation{}, err
	}
	op := c.operation(ctx, a.object)
	if op.ID == "" {
		op.ID = id
	}
	return op, nil
}

// Operations returns one page of operations. The API does not promise an order.
func (c *Client) Operations(ctx context.Context, q OperationQuery) (OperationPage, error) {
	k := read("list operations", "operations", "v1")
	k.query = url.Values{}
	set(k.query, "state", string(q.State))
	set(k.query, "type", q.Type)
	l, err := c.list(ctx, k, "operations", q.Limit, usualOperations, q.Cursor)
	if err != nil {
		return OperationPage{}, err
	}
	p := OperationPage{Next: l.next}
	for _, each := range l.items {
		if op := c.operation(ctx, each); op.ID != "" {
			p.Operations = append(p.Operations, op)
		} else {
			p.Unusable = append(p.Unusable, op)
		}
	}
	c.reportUnusable(ctx, k.op, len(p.Unusable))
	return p, nil
}

// CancelOperation asks the API to stop a pending export. The API does not document
// the state that follows.
func (c *Client) CancelOperation(ctx context.Context, id string) error {
	_, err := c.do(ctx, write("cancel operation", nil, "operations", "v1", id, "cancel"))
	return err
}

// SetCancelledState makes c and its forks read a state that the documentation lacks as that
// of a cancelled operation, which is Failed here. Empty: there is none.
func (c *Client) SetCancelledState(state string) {
	state = strings.ToUpper(state)
	c.cancelled.Store(&state)
}

// state returns the state of an operation, and why it failed.
func (c *Client) state(ctx context.Context, o object) (State, string) {
	cancelled := c.cancelled.Load()
	if cancelled != nil && *cancelled != "" && strings.EqualFold(o.raw("state"), *cancelled) {
		return Failed, cmp.Or(o.words("errorDetails"), "the export was cancelled")
	}
	return State(c.enum(ctx, o, "state", string(Pending), string(Completed), string(Failed))), o.words("errorDetails")
}

// operation converts an operation of an answer. Missing and malformed values stay
// zero.
func (c *Client) operation(ctx context.Context, o object) Operation {
	results := o.object("results")
	state, reason := c.state(ctx, o)
	return Operation{
		ID:            o.id("id"),
		Type:          c.enum(ctx, o, "type", operationTypes...),
		State:         state,
		Percent:       o.percent("estimatePctComplete"),
		Step:          o.words("step"),
		Error:         reason,
		CreatedAt:     o.time("createdAt"),
		FinishedAt:    o.time("finishedAt"),
		ExportID:      results.id("searchExportId"),
		ExportExpires: results.time("expires"),
	}
}
