package exports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/merge"
	"fullstory-export-mcp/plan"
)

// AdoptRequest is a request to bring the files of an older export into a sync.
type AdoptRequest struct {
	Name      string // of the sync, or its id
	Folder    string // path of the folder of the older export, with its manifest
	DryRun    bool   // only read, and report
	Confirmed bool   // over 5,000 windows that become missing may be exported
	// Verifying, if set, is called as files of the folder are verified, and Working as windows
	// are worked on, each with how many are done of how many.
	Verifying, Working func(done, all int)
}

// AdoptResult reports what became of the rows of an older export.
type AdoptResult struct {
	Summary  string          `json:"summary"`
	Sync     string          `json:"sync"`
	Folder   string          `json:"folder"`  // of the older export
	Into     string          `json:"into"`    // folder of the sync
	DryRun   bool            `json:"dry_run"` // nothing was changed
	Totals   AdoptTotals     `json:"totals"`
	Windows  []AdoptedWindow `json:"windows"`        // in their order
	Files    []AdoptedFile   `json:"files"`          // of the older export
	From     string          `json:"from,omitempty"` // where the sync begins now, if that is earlier than before
	Warnings []string        `json:"warnings"`
	Next     string          `json:"next,omitempty"`
}

// AdoptTotals adds up the windows and rows of an AdoptResult.
type AdoptTotals struct {
	Taken     int   `json:"windows_taken"`
	Merged    int   `json:"windows_merged"`
	Extended  int   `json:"windows_extended"`
	Equal     int   `json:"windows_equal"`
	Left      int   `json:"windows_left"`
	Rows      int64 `json:"rows"`       // of the windows taken and merged
	Added     int64 `json:"rows_added"` // to windows that were stored before
	Collapsed int64 `json:"rows_collapsed"`
	LeftRows  int64 `json:"rows_left"` // rows of the older export that are in no window above
}

// AdoptOutcome says what became of a window.
type AdoptOutcome string

// The outcomes.
const (
	AdoptTaken    AdoptOutcome = "taken"    // the file of the older export is that of the window, as it is
	AdoptMerged   AdoptOutcome = "merged"   // its rows were gathered from files of other windows
	AdoptEqual    AdoptOutcome = "equal"    // the stored file has all its rows already
	AdoptExtended AdoptOutcome = "extended" // rows were added to the stored file
	AdoptLeft     AdoptOutcome = "left"     // nothing was brought in, for a reason
)

// AdoptedWindow says what became of a window.
type AdoptedWindow struct {
	Start     string          `json:"start"`
	End       string          `json:"end"`
	Outcome   AdoptOutcome    `json:"outcome"`
	Reason    string          `json:"reason,omitempty"`
	File      string          `json:"file,omitempty"`
	Rows      int64           `json:"rows"`           // of the window now
	Added     int64           `json:"rows_added"`     // to a stored file
	Collapsed int64           `json:"rows_collapsed"` // the sum of the sources minus the rows
	Sources   []AdoptedSource `json:"sources"`
	// Former is where the file that this one replaced is kept, relative to the folder.
	Former string `json:"former,omitempty"`
}

// AdoptedSource is a file with rows of a window.
type AdoptedSource struct {
	File   string `json:"file"`
	Stored bool   `json:"stored,omitempty"` // it is the file that the sync had
	Rows   int64  `json:"rows"`             // in the window
	Gave   int64  `json:"rows_given"`       // that the sources before it do not have
}

// AdoptedFile says what became of the rows of a file of the older export.
type AdoptedFile struct {
	File    string `json:"file"`
	Start   string `json:"start"`
	End     string `json:"end"`
	Rows    int64  `json:"rows"`
	Used    int64  `json:"rows_used"`              // in windows that were taken, merged or compared
	Left    int64  `json:"rows_left"`              // in no such window
	Untimed int64  `json:"rows_untimed,omitempty"` // of these: rows without a time
}

// adoption is an AdoptRequest under way.
type adoption struct {
	in      AdoptRequest
	most    int // windows that may be exported without the user's consent
	engine  *Exports
	now     time.Time
	sync    ledger.Sync
	bulk    ledger.Bulk
	request client.ExportRequest // of the sync
	terms   bulk.Terms
	from    Stored
	first   time.Time   // start of the first window that the sync lacked and has now
	files   []adoptFile // that can be brought in, by their start
	covered plan.Windows
	cuts    map[cutKey]merge.Source // parts of files, for windows that follow
	out     AdoptResult
}

// adoptFile is a file of the older export.
type adoptFile struct {
	archive.File
	window plan.Range
	report *AdoptedFile
}

// Adopt brings the files of an older export into the bulk export of a sync, so that their
// windows are not exported again. It verifies all files before it changes anything; then each
// window is recorded in one step, so it may be interrupted, and repeated, at any time, and may run
// beside a server. It sends no export to Fullstory. It fails with an explained error.
func (a *Account) Adopt(ctx context.Context, in AdoptRequest) (AdoptResult, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return AdoptResult{}, err
	}
	a.learnClock(ctx)
	d := &adoption{in: in, most: a.budget().Chunks, engine: engine, now: a.Clock(), cuts: map[cutKey]merge.Source{}}
	if d.sync, err = engine.o.Ledger.Sync(ctx, engine.o.Account, in.Name); err != nil {
		return AdoptResult{}, unknownSync(in.Name, err)
	}
	if d.bulk, err = engine.o.Ledger.Bulk(ctx, d.sync.Account, d.sync.Bulk); err != nil {
		return AdoptResult{}, err
	}
	if d.terms, err = bulk.TermsOf(d.sync); err != nil {
		return AdoptResult{}, err
	}
	if err := a.Archive.Writable(); err != nil && !in.DryRun {
		return AdoptResult{}, err
	}
	if err := d.open(ctx); err != nil {
		return AdoptResult{}, err
	}
	work, err := d.plan(ctx)
	if err != nil {
		return AdoptResult{}, err
	}
	if err := d.carryOut(ctx, work); err != nil {
		return AdoptResult{}, err
	}
	return d.result(ctx)
}

// open finds the older export, compares its request with that of the sync, and verifies its
// files.
func (d *adoption) open(ctx context.Context) (err error) {
	if d.from, err = StoredAt(d.in.Folder); err != nil {
		return noFolder(d.in.Folder, err)
	}
	path := d.from.Archive.Path(d.from.Folder, "")
	d.out = AdoptResult{
		Sync: d.sync.Name, Folder: filepath.Clean(path), Into: d.engine.Folder(d.bulk), DryRun: d.in.DryRun,
		Windows: []AdoptedWindow{}, Files: []AdoptedFile{}, Warnings: []string{},
	}
	if err := d.comparable(); err != nil {
		return err
	}
	if err := d.verify(ctx, path); err != nil {
		return err
	}
	d.out.Files = make([]AdoptedFile, len(d.from.Manifest.Files))
	var ranges []plan.Range
	for i, f := range d.from.Manifest.Files {
		report := &d.out.Files[i]
		*report = AdoptedFile{File: f.Name, Start: f.Start, End: f.End, Rows: f.Rows, Left: f.Rows}
		w := f.Window()
		if w.Start.IsZero() || w.End.IsZero() {
			d.warn("%s is of a window with an open side, so none of its rows are brought in.", local.Shown(f.Name))
			continue
		}
		d.files = append(d.files, adoptFile{f, w, report})
		ranges = append(ranges, w)
	}
	slices.SortStableFunc(d.files, func(a, b adoptFile) int {
		return cmp.Or(a.window.Start.Compare(b.window.Start), a.window.End.Compare(b.window.End))
	})
	d.covered = plan.NewWindows(ranges...)
	return nil
}

// verify compares the files of the older export with its manifest. It fails if one of them
// differs.
func (d *adoption) verify(ctx context.Context, path string) error {
	listed := map[string]bool{}
	for _, f := range d.from.Manifest.Files {
		listed[f.Name] = true
	}
	var faults []archive.Fault
	_, err := archive.CheckEach(ctx, path, d.in.Verifying, func(f archive.Fault) {
		if listed[f.Name] { // other files are none of the export
			faults = append(faults, f)
		}
	})
	if err != nil || len(faults) == 0 {
		return err
	}
	others := ""
	if n := len(faults) - 1; n > 0 {
		others = fmt.Sprintf(" So do %s.", Counted(n, "other file"))
	}
	return rejected("%s differs from its manifest: %s %s.%s Nothing was changed; "+
		"`fullstory-export-mcp verify` lists what differs.", local.Shown(d.out.Folder), local.Shown(faults[0].Name),
		faults[0].Problem, others)
}

// warn adds a warning.
func (d *adoption) warn(format string, args ...any) {
	d.out.Warnings = append(d.out.Warnings, fmt.Sprintf(format, args...))
}

// rejected is the error of an older export that cannot be brought in.
func rejected(format string, args ...any) error {
	return &Error{Explanation: Explanation{Kind: Arguments, Cause: fmt.Sprintf(format, args...)}}
}

// noFolder explains the error of a folder that has no older export.
func noFolder(path string, err error) error {
	var manifest *archive.ManifestError
	if errors.As(err, &manifest) {
		return err
	}
	return rejected("%s is no folder with a %s of this program: give the folder of a bulk export, or of a single one.",
		local.Shown(path), archive.ManifestName)
}
