package client

import (
	"cmp"
	"context"
	"errors"
	"strconv"
)

// list is one page of a list of the API.
type list struct {
	items []object
	next  string // cursor of the next page, as this program writes it; empty on the last
}

// list reads the page of the list key at cursor, of at most limit items; 0: usual,
// which is the API's default. While the answer is too large, it asks for a tenth as many.
func (c *Client) list(ctx context.Context, k call, key string, limit, usual int, cursor string) (list, error) {
	k.answer = listAnswer
	skip, cursor := splitCursor(cursor)
	set(k.query, "paginationToken", rawID(cursor))
	for {
		if limit > 0 {
			k.query.Set("limit", strconv.Itoa(limit))
		}
		a, err := c.do(ctx, k)
		if err == nil {
			return a.list(k.op, key, skip, cmp.Or(limit, usual), cursor)
		}
		failed, _ := errors.AsType[*Error](err)
		if failed == nil || failed.Code != CodeTooLarge || limit == 1 {
			return list{}, err
		}
		limit = max(1, cmp.Or(limit, usual)/10)
	}
}

// list returns the items of an answer, without the first skip, and at most most of
// them. If the API sent more than it was asked for, the rest is the next page: its
// cursor asks for this one, and skips what was returned.
func (a reply) list(op, key string, skip, most int, cursor string) (list, error) {
	items, read := a.objects(key, skip, most)
	next := encodeID(a.raw(nextCursor), cursorLimit)
	switch {
	case read > skip+most:
		next = cursorAfter(skip+most, cursor)
	case next == "" && a.raw(nextCursor) != "": // the list would end early, and nobody would know
		return list{}, &Error{
			Op: op, Status: a.status, Code: CodeUnusableID, Message: "the cursor of the next page cannot be used",
		}
	case next != "" && skip > read: // the API keeps to the limit since
		next = cursorAfter(skip-read, next)
	}
	return list{items, next}, nil
}

// nextCursor is the key of a page's cursor of the next one.
const nextCursor = "nextPaginationToken"
