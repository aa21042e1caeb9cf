package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"fullstory-export-mcp/exports"
)

// noWait is the instant until which nothing is waited for.
var noWait time.Time

// errNotAsked says that a cancellation did not come from the page that asks for it.
var errNotAsked = errors.New("the person was not asked")

// bulkActions are the actions on a bulk export, by their paths.
var bulkActions = map[string]exports.Action{
	"pause": exports.Pause, "resume": exports.Resume, "retry": exports.RetryFailed, "cancel": exports.Cancel,
}

// actOnBulk carries out an action on a bulk export.
func (s *Site) actOnBulk(v *visit) {
	action, known := bulkActions[v.r.PathValue("what")]
	id := v.r.PathValue("id")
	v.act(known, v.mayAct(), func(ctx context.Context, a *exports.Account) error {
		in := exports.ControlRequest{BulkID: id, Action: action}
		if action == exports.Cancel {
			if in.OnPage = v.r.PostForm.Get("agreed") == "yes"; !in.OnPage {
				return errNotAsked
			}
		}
		_, err := a.ControlBulk(ctx, in)
		return err
	}, func(ctx context.Context, a *exports.Account) (exports.Drawing, error) {
		return v.drawBulk(ctx, a, id)
	})
}

// actOnSync carries out an action on a sync.
func (s *Site) actOnSync(v *visit) {
	what, id := v.r.PathValue("what"), v.r.PathValue("id")
	known, may := what == "pause" || what == "resume" || what == "retry", v.maySync()
	if what == "retry" {
		may = v.mayAct()
	}
	v.act(known, may, func(ctx context.Context, a *exports.Account) error {
		n, err := a.SyncStatus(ctx, id)
		if err != nil {
			return err
		}
		if what == "retry" {
			_, err = a.ControlBulk(ctx, exports.ControlRequest{BulkID: n.BulkID, Action: exports.RetryFailed})
			return err
		}
		_, err = a.Sync(ctx, exports.SyncRequest{Action: exports.SyncAction(what), Name: n.Name}, "")
		return err
	}, func(ctx context.Context, a *exports.Account) (exports.Drawing, error) {
		return v.drawSync(ctx, a, id)
	})
}

// act carries out an action that a form of this page asks for, and answers with the page, or with a
// drawing for the script.
func (v *visit) act(known, may bool, do func(context.Context, *exports.Account) error, draw drawer) {
	switch {
	case !known:
		v.fail(http.StatusNotFound, "There is no such action.")
		return
	case !v.form():
		return
	case !may:
		v.fail(http.StatusForbidden, "You may look at exports, and not change them. "+
			"Ask the operator of this server for that right.")
		return
	}
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	err := do(ctx, a)
	if errors.Is(err, errNotAsked) {
		v.fail(http.StatusConflict, "Nothing was cancelled. Open the page of the export and choose Cancel, "+
			"which first says what is lost.")
		return
	}
	if err != nil {
		v.failed(err)
		return
	}
	if wantsJSON(v.r) {
		v.data(draw)
		return
	}
	seeOther(v.w, "../"+pathOf(v.r.PathValue("id")))
}

// confirmCancel says what a cancellation of a bulk export loses, and asks for it.
func (v *visit) confirmCancel() {
	if !v.mayAct() {
		v.fail(http.StatusForbidden, "You may look at exports, and not change them.")
		return
	}
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	b, err := a.BulkStatus(ctx, v.r.PathValue("id"))
	if err != nil {
		v.failed(err)
		return
	}
	if b.State != "running" && b.State != "paused" {
		v.fail(http.StatusConflict, b.Name+" is "+b.State+": there is nothing to cancel.")
		return
	}
	if v.isSync(ctx, a, b.BulkID) {
		v.fail(http.StatusConflict, "A sync keeps "+b.Name+" up to date. Pause the sync instead.")
		return
	}
	render(v.w, http.StatusOK, "cancel.html", struct {
		page
		exports.BulkSummary
		Lost int
	}{v.page("Cancel "+b.Name, ""), b.BulkSummary, b.Chunks.Planned + b.Chunks.Running})
}
