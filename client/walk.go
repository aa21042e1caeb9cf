package client

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// MostPages bounds a walk over all operations of an account, in pages of 100.
const MostPages = 200

// EachOperation calls each with the segment exports of the account, page by page. A
// page that is too large is read in smaller ones. It stops when each returns false or
// an error, which it returns; after the given number of pages; or when the remaining
// operations are older than since, if the pages are in order, newest first. After all
// others it fails with CodeUnusableID if the id of one since then cannot be used: the
// operation that the caller looks for may be that one.
func (c *Client) EachOperation(
	ctx context.Context, pages int, since time.Time, each func(Operation) (bool, error),
) error {
	q := OperationQuery{Type: SearchExport, Limit: 100}
	unusable := 0
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
		for _, op := range page.Unusable {
			if !op.CreatedAt.Before(since) {
				unusable++
			}
		}
		if page.isLast(q.Cursor, since) {
			break
		}
		q.Cursor = page.Next
	}
	if unusable == 0 {
		return nil
	}
	return &Error{
		Op: "list operations", Status: http.StatusOK, Code: CodeUnusableID,
		Message: fmt.Sprintf("the ids of %d operations cannot be used", unusable),
	}
}

// isLast reports whether a walk ends with a page, which it read at cursor: nothing
// follows, or only operations that are older than since.
func (p OperationPage) isLast(cursor string, since time.Time) bool {
	n := len(p.Operations)
	if p.Next == "" || p.Next == cursor || n+len(p.Unusable) == 0 {
		return true
	}
	return n > 1 && newestFirst(p.Operations) && p.Operations[n-1].CreatedAt.Before(since)
}

// newestFirst reports whether a page of operations is in descending order of
// creation. That is usual, but Fullstory does not promise it.
func newestFirst(page []Operation) bool {
	return slices.IsSortedFunc(page, func(a, b Operation) int { return b.CreatedAt.Compare(a.CreatedAt) })
}
