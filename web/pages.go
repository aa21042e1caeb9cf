package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"fullstory-export-mcp/exports"
)

// drawer returns the present drawing of a page.
type drawer func(ctx context.Context, a *exports.Account) (exports.Drawing, error)

// offset returns the offset that a page names; 0 without one that is valid.
func (v *visit) offset() int {
	n, err := strconv.ParseUint(v.r.URL.Query().Get("from"), 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// list shows the syncs and bulk exports of the account.
func (v *visit) list(ctx context.Context, a *exports.Account) (exports.Drawing, error) {
	l, err := listOf(ctx, a, v.offset())
	if err != nil {
		return exports.Drawing{}, err
	}
	return v.drawList(ctx, a, l)
}

func (s *Site) list(v *visit) {
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	l, err := listOf(ctx, a, v.offset())
	if err != nil {
		v.failed(err)
		return
	}
	render(v.w, http.StatusOK, "list.html", struct {
		page
		listed
		Live bool // kept up to date
	}{v.page("Exports", ""), l, v.offset() == 0})
}

func (s *Site) listData(v *visit)   { v.data(v.list) }
func (s *Site) listEvents(v *visit) { v.events(v.list) }

// bulkPage shows a bulk export.
func (s *Site) bulkPage(v *visit) {
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
	q := exports.BulkQuery{Detail: exports.DetailChunks, Offset: v.offset(), Limit: 2 * pageLength}
	chunks, err := a.Bulk(ctx, b.BulkID, q, noWait, nil)
	if err != nil {
		v.failed(err)
		return
	}
	d := struct {
		page
		exports.BulkStatus
		Windows               []exports.BulkWindow
		NextFrom              int
		Pause, Resume, Cancel bool // what the person may do now
		Retry                 bool
	}{
		page: v.page(b.Name, ""), BulkStatus: b, Windows: chunks.Windows,
	}
	if chunks.HasMore {
		d.NextFrom = v.offset() + len(chunks.Windows)
	}
	if v.mayAct() {
		d.Pause, d.Resume = b.State == "running", b.State == "paused"
		d.Cancel = (d.Pause || d.Resume) && !v.isSync(ctx, a, b.BulkID)
		d.Retry = b.Chunks.Failed+b.Chunks.Missing > 0 && b.State != "cancelled"
	}
	render(v.w, http.StatusOK, "bulk.html", d)
}

// isSync reports whether a sync adds windows to a bulk export.
func (v *visit) isSync(ctx context.Context, a *exports.Account, bulk string) bool {
	all, err := a.Syncs(ctx)
	for _, s := range all {
		if s.BulkID == bulk {
			return true
		}
	}
	return err != nil
}

// syncPage shows a sync.
func (s *Site) syncPage(v *visit) {
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	n, err := a.SyncStatus(ctx, v.r.PathValue("id"))
	if err != nil {
		v.failed(err)
		return
	}
	may := v.maySync()
	render(v.w, http.StatusOK, "sync.html", struct {
		page
		exports.SyncStatus
		Pause, Resume, Retry bool
	}{
		v.page(n.Name, ""), n, may && n.State != exports.PausedSync, may && n.State == exports.PausedSync,
		v.mayAct() && n.Windows.Failed > 0,
	})
}

// ofBulk answers what belongs to the page of a bulk export.
func (s *Site) ofBulk(v *visit) {
	draw := func(ctx context.Context, a *exports.Account) (exports.Drawing, error) {
		return v.drawBulk(ctx, a, v.r.PathValue("id"))
	}
	switch v.r.PathValue("what") {
	case "data":
		v.data(draw)
	case "events":
		v.events(draw)
	case "cancel":
		v.confirmCancel()
	default:
		v.fail(http.StatusNotFound, "There is no such page.")
	}
}

// ofSync answers what belongs to the page of a sync.
func (s *Site) ofSync(v *visit) {
	draw := func(ctx context.Context, a *exports.Account) (exports.Drawing, error) {
		return v.drawSync(ctx, a, v.r.PathValue("id"))
	}
	switch v.r.PathValue("what") {
	case "data":
		v.data(draw)
	case "events":
		v.events(draw)
	default:
		v.fail(http.StatusNotFound, "There is no such page.")
	}
}

// data answers with a drawing as JSON.
func (v *visit) data(draw drawer) {
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	d, err := draw(ctx, a)
	if err != nil {
		v.failed(err)
		return
	}
	v.w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(v.w).Encode(d)
}

// files shows the files of a bulk export, or the exports that have some.
func (s *Site) files(v *visit) {
	if !v.session.Caller.MayFetch() {
		v.fail(http.StatusForbidden, "You may look at exports, and not fetch their files. "+
			"Ask the operator of this server for that right.")
		return
	}
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	id := v.r.URL.Query().Get("bulk")
	if id == "" {
		l, err := listOf(ctx, a, v.offset())
		if err != nil {
			v.failed(err)
			return
		}
		render(v.w, http.StatusOK, "files.html", struct {
			page
			listed
		}{v.page("Files", "files"), l})
		return
	}
	s.filesOf(ctx, v, a, id)
}

// filesOf shows the files of a bulk export.
func (s *Site) filesOf(ctx context.Context, v *visit, a *exports.Account, id string) {
	b, err := a.BulkStatus(ctx, id)
	if err != nil {
		v.failed(err)
		return
	}
	stored, more, err := a.StoredFiles(ctx, b.BulkID, v.offset(), pageLength)
	if err != nil {
		v.failed(err)
		return
	}
	_, tar, err := a.OfferBulk(ctx, b.BulkSummary)
	if err != nil {
		v.failed(err)
		return
	}
	d := struct {
		page
		exports.BulkSummary
		Stored   []exports.StoredFile
		NextFrom int
		Tar      bool
	}{page: v.page("Files of "+b.Name, "files"), BulkSummary: b.BulkSummary, Stored: stored, Tar: tar}
	if more {
		d.NextFrom = v.offset() + pageLength
	}
	render(v.w, http.StatusOK, "files-of.html", d)
}

// file leads to a file.
func (s *Site) file(v *visit) {
	p := v.r.PathValue
	v.lead(p("bulk") + "/" + p("number") + "/" + p("sum"))
}

// tar leads to all files of a bulk export.
func (s *Site) tar(v *visit) { v.lead(v.r.PathValue("bulk")) }

// lead leads to a new address of a file, which is in the audit log. Files are served there, with the
// ticket in it, as those that an assistant names.
func (v *visit) lead(subject string) {
	if isForeignLink(v.r) {
		v.fail(http.StatusForbidden, "Another web page links to this file. Open it from the page of files.")
		return
	}
	if !v.session.Caller.MayFetch() {
		v.fail(http.StatusForbidden, "You may not fetch files. Ask the operator of this server for that right.")
		return
	}
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	o, err := a.OfferOf(ctx, subject)
	if err != nil {
		v.failed(err)
		return
	}
	path, until := v.s.o.File(ctx, o.Subject, o.Name)
	if err := a.NoteOffer(ctx, o, until); err != nil {
		v.failed(err)
		return
	}
	seeOther(v.w, root(v.r)+path)
}

// isForeignLink reports whether a browser says that a link of another web page was followed.
func isForeignLink(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// audit shows the audit log of the account: to those who only read, their own entries.
func (s *Site) audit(v *visit) {
	ctx, a, end, ok := v.account()
	defer end()
	if !ok {
		return
	}
	before, _ := strconv.ParseInt(v.r.URL.Query().Get("before"), 10, 64)
	own := ""
	if c := v.session.Caller; c.ReadOnly {
		own = c.Name
	}
	var t exports.Trail
	if a.HasLedger() {
		var err error
		if t, err = a.Trail(ctx, own, before, pageLength); err != nil {
			v.failed(err)
			return
		}
	}
	render(v.w, http.StatusOK, "audit.html", struct {
		page
		exports.Trail
		Own bool
	}{v.page("Audit log", "audit"), t, own != ""})
}

// pathOf returns an id as a segment of a path.
func pathOf(id string) string { return url.PathEscape(id) }
