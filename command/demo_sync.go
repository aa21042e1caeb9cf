package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

const (
	// demoSpeed lets a week pass in half a minute.
	demoSpeed = 7 * 24 * 3600 / 30
	// demoWeek is how much time passes.
	demoWeek = 7 * 24 * time.Hour
	// demoPast is how many days before the present one the first window begins.
	demoPast = 4
	// demoLook is how often the sync is looked at.
	demoLook = 100 * time.Millisecond
	// demoSyncName is the name of the sync.
	demoSyncName = "visits"
)

// demoSync shows a sync while the clock of the sandbox runs fast: days end, their rows settle, and
// their files appear.
func demoSync(ctx context.Context, a *app) error {
	a.config.Sandbox, a.config.BuiltIn.Speed = true, demoSpeed
	if err := a.inOwnFolder(); err != nil {
		return err
	}
	out := a.newView(a.stdout)
	return a.withAccount(ctx, false, func(account *exports.Account) error {
		began := account.Clock()
		request := exports.SyncRequest{
			Action: exports.SyncCreate, Name: demoSyncName, SegmentID: "everyone", Type: client.TypeEvent,
			From: began.AddDate(0, 0, -demoPast).UTC().Format(time.DateOnly), Timezone: "UTC",
		}
		added, err := account.Sync(ctx, request, "UTC")
		if err != nil {
			return err
		}
		out.line("A simulated Fullstory runs on this machine; nothing leaves it. Its clock runs so fast that a week passes " +
			"in half a minute.\n")
		out.good(exports.ForTerminal(added.Summary) + "\n")
		last, err := followDemoSync(ctx, account, began.Add(demoWeek), out)
		if err != nil {
			return err
		}
		out.line("")
		out.good(fmt.Sprintf("A week later there are %s with %s rows in %s.", exports.Counted(last.Chunks.Stored, "file"),
			humanize.Comma(last.Rows), last.Folder))
		out.line("Check them:\n  fullstory-export-mcp verify " + shellWord(last.Folder))
		return nil
	})
}

// followDemoSync runs the sync until the clock of the sandbox shows an instant, and prints a line for
// each window. It returns the last state of its bulk export.
func followDemoSync(
	ctx context.Context, account *exports.Account, until time.Time, out view,
) (last exports.BulkStatus, err error) {
	stored := 0
	for account.Clock().Before(until) {
		s, err := account.RunSync(ctx, demoSyncName, nil)
		if ctx.Err() != nil {
			return last, errors.New("the demo was interrupted")
		}
		if err != nil {
			return last, err
		}
		if s.State == exports.FailingSync {
			return last, errors.New("the demo failed: " + exports.ForTerminal(s.Summary))
		}
		if last, err = account.BulkStatus(ctx, s.BulkID); err != nil {
			return last, err
		}
		if s.Windows.Stored > stored {
			stored = s.Windows.Stored
			out.line(fmt.Sprintf("%s  %2d of %2d days stored, complete until %s, %s rows",
				account.Clock().UTC().Format("Mon 2 Jan 15:04"), stored, s.Windows.Over, s.Complete, humanize.Comma(last.Rows)))
		}
		select {
		case <-ctx.Done():
			return last, errors.New("the demo was interrupted")
		case <-time.After(demoLook):
		}
	}
	return last, nil
}
