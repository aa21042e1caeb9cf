package client

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// SearchExport is the type of operations that are segment exports.
const SearchExport = "SEARCH_EXPORT"

// State is the state of an operation. States that the API may add are kept
// unchanged and count as not ended.
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
	ID         string
	Type       string // SearchExport, or one of the types of deletions
	State      State
	Percent    int    // an estimate, 0 to 100
	Step       string // what the API is doing, cleaned; may be empty
	Error      string // why it failed, cleaned
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

// OperationPage is one page of operations. Next is empty on the last page.
type OperationPage struct {
	Operations []Operation
	Next       string
}

// Operation returns the operation with the given id. An unknown id fails with
// status 404.
func (c *Client) Operation(ctx context.Context, id string) (Operation, error) {
	k := read("get operation", "operations", "v1", id)
	k.needs = "state"
	a, err := c.do(ctx, k)
	if err != nil {
		return Operation{}, err
	}
	return operation(a.object), nil
}

// Operations returns one page of operations. The API does not promise an order.
func (c *Client) Operations(ctx context.Context, q OperationQuery) (OperationPage, error) {
	k := read("list operations", "operations", "v1")
	k.query = url.Values{}
	set(k.query, "state", string(q.State))
	set(k.query, "type", q.Type)
	a, err := c.page(ctx, k, q.Limit, q.Cursor)
	if err != nil {
		return OperationPage{}, err
	}
	p := OperationPage{Next: a.text("nextPaginationToken")}
	for _, each := range a.objects("operations") {
		p.Operations = append(p.Operations, operation(each))
	}
	return p, nil
}

// CancelOperation asks the API to stop a pending export. The API does not document
// the state that follows.
func (c *Client) CancelOperation(ctx context.Context, id string) error {
	_, err := c.do(ctx, write("cancel operation", nil, "operations", "v1", id, "cancel"))
	return err
}

// operation converts an operation of an answer. Missing and malformed values stay
// zero.
func operation(o object) Operation {
	results := o.object("results")
	return Operation{
		ID:            o.text("id"),
		Type:          o.text("type"),
		State:         State(strings.ToUpper(strings.TrimSpace(o.text("state")))),
		Percent:       o.percent("estimatePctComplete"),
		Step:          cleaned(o.text("step")),
		Error:         cleaned(o.text("errorDetails")),
		CreatedAt:     o.time("createdAt"),
		FinishedAt:    o.time("finishedAt"),
		ExportID:      results.text("searchExportId"),
		ExportExpires: results.time("expires"),
	}
}
