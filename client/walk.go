package client

import (
	"context"
	"slices"
	"time"
)

// MostPages bounds a walk over all operations of an account, in pages of 100.
const MostPages = 200

// EachOperation calls each with the segment exports of the account, page by page. A
// page that is too large is read in smaller ones. It stops when each returns false or
// an error, which it returns; after the given number of pages; or when the remaining
// operations are older than since, if the pages are in order, newest first.
func (c *Client) EachOperation(
	ctx context.Context, pages int, since time.Time, each func(Operation) (bool, error),
) error {
	q := OperationQuery{Type: SearchExport, Limit: 100}
	for range pages {
		page, err := c.Operations(ctx, q)
		if err != nil {
			return err
		}
		for _, op := range page.Operations {
			if more, err := each(op); err != nil || !more {
				return err
			}
		}
		n := len(page.Operations)
		if page.Next == "" || page.Next == q.Cursor || n == 0 {
			return nil
		}
		if n > 1 && newestFirst(page.Operations) && page.Operations[n-1].CreatedAt.Before(since) {
			return nil
		}
		q.Cursor = page.Next
	}
	return nil
}

// newestFirst reports whether a page of operations is in descending order of
// creation. That is usual, but Fullstory does not promise it.
func newestFirst(page []Operation) bool {
	return slices.IsSortedFunc(page, func(a, b Operation) int { return b.CreatedAt.Compare(a.CreatedAt) })
}
