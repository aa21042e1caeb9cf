package client

import (
	"context"
	"time"
)

// SearchExport is the type of the operations that are segment exports.
const SearchExport = "SEARCH_EXPORT"

// State is how an operation stands. States that the API may add are kept as
// they come and count as not ended.
type State string

// The states of an operation. There is none for a cancelled one.
const (
	Pending   State = "PENDING"
	Completed State = "COMPLETED"
	Failed    State = "FAILED"
)

// Ended tells whether the state is final.
func (s State) Ended() bool { return s == Completed || s == Failed }

// Operation is work that the API does in the background.
type Operation struct {
	ID         string
	Type       string // SearchExport, or a kind of deletion
	State      State
	Percent    int    // an estimate, 0 to 100
	Step       string // a hint at what is being done; may be empty
	Error      string // why it failed
	CreatedAt  time.Time
	FinishedAt time.Time // not to be trusted while Pending

	// Of a completed export: its id, and until when its file can be fetched.
	ExportID      string
	ExportExpires time.Time
}

// OperationQuery says which operations to list. The zero value is the first
// page of all.
type OperationQuery struct {
	State  State
	Type   string
	Limit  int    // at most 100; 0: the API's default of 100
	Cursor string // Next of the page before, with the same State and Type
}

// OperationPage is one page of operations. An empty Next means the last one.
type OperationPage struct {
	Operations []Operation
	Next       string
}

// Operation returns the operation with that id; an unknown one is a 404.
func (c *Client) Operation(ctx context.Context, id string) (Operation, error) {
	o, _, err := c.do(ctx, read("get operation", "operations", "v1", id))
	if err != nil {
		return Operation{}, err
	}
	return operation(o), nil
}

// Operations lists operations, in no promised order.
func (c *Client) Operations(ctx context.Context, q OperationQuery) (OperationPage, error) {
	k := read("list operations", "operations", "v1")
	k.query = page(q.Limit, q.Cursor)
	set(k.query, "state", string(q.State))
	set(k.query, "type", q.Type)
	o, _, err := c.do(ctx, k)
	if err != nil {
		return OperationPage{}, err
	}
	p := OperationPage{Next: o.text("nextPaginationToken")}
	for _, each := range o.objects("operations") {
		p.Operations = append(p.Operations, operation(each))
	}
	return p, nil
}

// CancelOperation asks to stop a pending export. The API does not say which
// state follows.
func (c *Client) CancelOperation(ctx context.Context, id string) error {
	_, _, err := c.do(ctx, write("cancel operation", nil, "operations", "v1", id, "cancel"))
	return err
}

func operation(o object) Operation {
	results := o.object("results")
	return Operation{
		ID:            o.text("id"),
		Type:          o.text("type"),
		State:         State(o.text("state")),
		Percent:       o.percent("estimatePctComplete"),
		Step:          o.text("step"),
		Error:         o.text("errorDetails"),
		CreatedAt:     o.time("createdAt"),
		FinishedAt:    o.time("finishedAt"),
		ExportID:      results.text("searchExportId"),
		ExportExpires: results.time("expires"),
	}
}
