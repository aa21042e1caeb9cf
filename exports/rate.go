package exports

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// sharedBucket keeps the rate bucket of an account in the ledger, so that all processes
// together stay below the account's rate limit. A bucket that cannot be read is
// replaced by an empty one.
func sharedBucket(l *ledger.Ledger, account string) client.SharedBucket {
	return func(ctx context.Context, change func(time.Time, *client.Bucket)) error {
		return l.ChangeSharedBucket(ctx, account, func(now time.Time, kept string) string {
			b := bucketOf(kept)
			change(now, &b)
			raw, err := json.Marshal(b)
			if err != nil {
				return kept
			}
			return string(raw)
		})
	}
}

func bucketOf(kept string) (b client.Bucket) {
	if kept != "" && json.Unmarshal([]byte(kept), &b) != nil {
		return client.Bucket{}
	}
	return b
}

// slowed returns why bulk work is slow at present, a sentence; "" if it is not. The
// bucket in the ledger has that of all processes.
func (e *Exports) slowed(ctx context.Context) string {
	kept, err := e.o.Ledger.SharedBucket(ctx, e.o.Account)
	if err != nil {
		return "" // reported by what follows
	}
	share, crowded := bucketOf(kept).Crowded(time.Now())
	if !crowded {
		return ""
	}
	return fmt.Sprintf("Other calls of this account use most of the requests that Fullstory accepts, so bulk work "+
		"has its reserved share of about %.1f requests per second. It speeds up when there are fewer calls.", share)
}
