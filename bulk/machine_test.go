package bulk

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

var update = flag.Bool("update", false, "rewrite generated files")

// allStates are the states of an attempt.
var allStates = []ledger.ChunkState{
	planned, creating, uncertain, running, completed, ready, downloading, stored, failed, split, cancelled,
}

// allKinds returns the kinds of events in the table.
func allKinds() (kinds []Kind) {
	for _, t := range transitions {
		if !slices.Contains(kinds, t.event) {
			kinds = append(kinds, t.event)
		}
	}
	return kinds
}

// TestTable checks what the loops rely on: no pair of state and event is in the table
// twice, and nothing leaves a final state.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range transitions {
		for _, from := range row.from {
			key := fmt.Sprint(from, " ", row.event)
			if seen[key] {
				t.Errorf("%s is in the table twice", key)
			}
			seen[key] = true
			leaves := slices.ContainsFunc(row.to, func(to ledger.ChunkState) bool { return to != from })
			if (from == split || from == cancelled) && leaves {
				t.Errorf("%s leads out of a final state", key)
			}
		}
	}
}

// TestStates checks that every state can be reached, every unfinished one can be
// cancelled, and each accepts a late answer to a create.
func TestStates(t *testing.T) {
	handled := func(s ledger.ChunkState, event Kind) bool {
		return slices.ContainsFunc(transitions, func(row transition) bool {
			return row.event == event && slices.Contains(row.from, s)
		})
	}
	for _, s := range allStates {
		reached := slices.ContainsFunc(transitions, func(row transition) bool { return slices.Contains(row.to, s) })
		if !reached && s != planned {
			t.Errorf("nothing leads to %s", s)
		}
		unfinished := !slices.Contains([]ledger.ChunkState{completed, stored, failed, split, cancelled}, s)
		if handled(s, Cancel) != unfinished {
			t.Errorf("%s can be cancelled: %v", s, !unfinished)
		}
		if !handled(s, Accept) {
			t.Errorf("a late answer to a create would be lost while the chunk is %s", s)
		}
	}
}

// diagram returns the table of transitions as a Mermaid state diagram.
func diagram() string {
	arrows := map[string][]string{}
	var order []string
	for _, t := range transitions {
		for _, from := range t.from {
			for _, to := range t.to {
				arrow := string(from) + " --> " + string(to)
				if arrows[arrow] == nil {
					order = append(order, arrow)
				}
				arrows[arrow] = append(arrows[arrow], string(t.event))
			}
		}
	}
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n  [*] --> planned\n")
	for _, arrow := range order {
		b.WriteString("  " + arrow + ": " + strings.Join(arrows[arrow], ", ") + "\n")
	}
	return b.String()
}

// ofFiles is the part of docs/states.md about what no event shows, with @ for backticks.
const ofFiles = `
## Files that are gone

The disk is not part of the table: a file can be deleted or truncated at any time, and no event says so. So every
answer looks at the files of stored chunks, in the mirror where there is one, otherwise on disk. A stored chunk whose
file is missing or has another size counts in @chunks.missing@, not in @chunks.stored@, @percent@, @rows@ or @bytes@;
the list of chunks calls it @missing@ or @damaged@. A bulk export that the ledger has as @complete@ is then @partial@
in every answer; other states stay. With @retry_failed@ the ledger changes too, by the event redo. Once a file is
back, it counts again.
`

// TestDiagram compares docs/states.md with the table. With -update it writes the file.
func TestDiagram(t *testing.T) {
	const path = "../docs/states.md"
	want := "# States of a chunk\n\n" +
		"Generated from the table in `bulk/machine.go` by `go test ./bulk -run TestDiagram -update`.\n" +
		"Each arrow is an event; an event without an arrow changes nothing.\n\n```mermaid\n" + diagram() + "```\n" +
		strings.ReplaceAll(ofFiles, "@", "`")
	if *update {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is stale (%v): go test ./bulk -run TestDiagram -update", path, err)
	}
}

// world simulates Fullstory, the archive and time: it applies events to an attempt and
// checks the rules after each.
type world struct {
	t       *rapid.T
	now     time.Time
	a       Attempt
	ops     int
	creates int // since the window was first planned, or retried on request
	log     []string
}

var day = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t *rapid.T) *world {
	w := &world{t: t, now: day.AddDate(0, 1, 0)}
	lengths := []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 24 * time.Hour}
	length := rapid.SampledFrom(lengths).Draw(t, "length")
	single := rapid.Bool().Draw(t, "single")
	w.a = Attempt{
		Attempt: ledger.Attempt{Bulk: "b", Number: 3, Account: "a", Start: day, End: day.Add(length), State: planned},
		Rules: Rules{
			Deadline: 2 * time.Hour, Floor: 15 * time.Minute,
			Single: single, Fetch: !single || rapid.Bool().Draw(t, "fetch"),
		},
	}
	return w
}

// event draws an event of a kind. Where the kind needs an operation, it is the present
// one, a candidate, a new one or a stranger.
func (w *world) event(kind Kind) Event {
	e := Event{
		Kind: kind, At: w.now, Reason: "Because " + string(kind) + ".",
		After: time.Duration(rapid.IntRange(0, 90000).Draw(w.t, "after")) * time.Second,
		Final: rapid.Bool().Draw(w.t, "final"), Early: rapid.Bool().Draw(w.t, "early"),
		Empty: rapid.Bool().Draw(w.t, "empty"), File: archive.File{Name: "f", Rows: 7, Bytes: 70},
		Failure: []byte("{}"), Damage: rapid.SampledFrom([]string{"time", "columns"}).Draw(w.t, "damage"),
	}
	known := append([]string{w.a.Operation, "stranger"}, w.a.Possible()...)
	switch kind {
	case Send, Reject, Throttle, Unsent, LoseAnswer, FindNone, RequestFile, Settle, Redo, Retry, Cancel, Fetch, BringIn:
	case Find:
		for range rapid.IntRange(1, 3).Draw(w.t, "found") {
			w.ops++
			e.Found = append(e.Found, ledger.Candidate{Operation: fmt.Sprint("op", w.ops), CreatedAt: w.now})
		}
	case Accept, Reuse:
		w.ops++
		e.Operation = fmt.Sprint("op", w.ops)
	default:
		e.Operation = rapid.SampledFrom(known).Draw(w.t, "operation")
	}
	e.Is = client.Operation{
		ID: e.Operation, State: client.Completed, ExportID: "x" + e.Operation,
		CreatedAt: w.now, FinishedAt: w.now, ExportExpires: w.now.Add(24 * time.Hour),
	}
	if kind == Reuse && rapid.Bool().Draw(w.t, "runs") {
		e.Is.State = client.Pending
	}
	return e
}

// TestProperties applies random sequences of events and checks the rules of Next: creates
// and failures are bounded, a stored file is kept, and each wait is explained.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		kinds := allKinds()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "passes")) * time.Second)
			w.step(w.event(rapid.SampledFrom(kinds).Draw(t, "kind")))
		}
	})
}

// step applies an event and checks the rules.
func (w *world) step(e Event) {
	before := w.a
	after, effects := Next(before, e, w.now)
	w.log = append(w.log, fmt.Sprintf("%s --%s(%s)--> %s", before.State, e.Kind, e.Operation, after.State))
	repeated, more := Next(before, e, w.now)
	if !repeated.Attempt.Equal(after.Attempt) || fmt.Sprint(more) != fmt.Sprint(effects) {
		w.t.Fatalf("Next is not pure: %v", w.log)
	}
	w.a = after
	row := w.row(before, e)
	switch {
	case row == nil:
		if !before.Attempt.Equal(after.Attempt) || len(effects) > 0 {
			w.t.Fatalf("an event that is not in the table changed something: %v", w.log)
		}
		return
	case after.State != before.State && !slices.Contains(row.to, after.State):
		w.t.Fatalf("the table does not allow it: %v", w.log)
	}
	w.bounded(before, e)
	w.counted(before, e)
	w.kept(before, effects)
	w.explained()
}

// row returns the transition of the table for an event; nil if there is none.
func (w *world) row(a Attempt, e Event) *transition {
	for i, r := range transitions {
		if r.event == e.Kind && slices.Contains(r.from, a.State) && (e.Operation == "" || r.any || a.concerns(e.Operation)) {
			return &transitions[i]
		}
	}
	return nil
}

// bounded is rule 1, first half: the creates of a window are bounded.
func (w *world) bounded(before Attempt, e Event) {
	switch e.Kind {
	case Send:
		w.creates++
	case Throttle, Unsent: // nothing was created
		w.creates--
	case Reject:
		if e.Early && !w.a.Single && w.a.Creates == 0 { // the bulk export is paused until it is resumed
			w.creates = 0
		}
	case Store, BringIn, Settle, Redo, Retry, RequestFile:
		w.creates = 0
	}
	if w.creates > MostCreates {
		w.t.Fatalf("%d creates for one window: %v", w.creates, w.log)
	}
	if w.a.Single && e.Kind == Send && w.creates > singleCreates {
		w.t.Fatalf("%d creates of a single export: %v", w.creates, w.log)
	}
}

// counted is rule 1, second half: an attempt that returns to an earlier state has
// counted a try or waits.
func (w *world) counted(before Attempt, e Event) {
	order := []ledger.ChunkState{planned, creating, uncertain, running, completed, ready, downloading, stored}
	from, to := slices.Index(order, before.State), slices.Index(order, w.a.State)
	if to < 0 || from < 0 || to >= from {
		return
	}
	switch e.Kind {
	case Interrupt, Settle, Redo, Retry, RequestFile, Cancel: // requested from outside, once each
		return
	case Reject:
		if e.Early {
			return // the bulk export counts and waits
		}
	}
	waits := w.a.NextAt.After(w.now)
	tried := w.a.Creates > before.Creates || w.a.Tries > before.Tries || w.a.Damaged > before.Damaged ||
		verdicts(w.a) > verdicts(before)
	if !waits && !tried && !(w.a.Single && w.a.Creates > 0) {
		w.t.Fatalf("it can cycle without a count or a delay: %v", w.log)
	}
}

// verdicts returns a number that grows with each verdict, since a verdict is only
// replaced by one with more weight.
func verdicts(a Attempt) (n int) {
	for _, c := range a.Candidates {
		n += map[ledger.Verdict]int{ledger.Empty: 1, ledger.Adopted: 2, ledger.Foreign: 3}[c.Verdict]
	}
	return n
}

// kept is rule 2: a stored file is given up only for its successor, or when it is
// missing.
func (w *world) kept(before Attempt, effects []Effect) {
	last := w.log[len(w.log)-1]
	missing := strings.Contains(last, "--redo(") || strings.Contains(last, "--request file(")
	if before.StoredAt.IsZero() || missing {
		return
	}
	published := slices.ContainsFunc(effects, func(f Effect) bool { return f.Do == Publish })
	if w.a.StoredAt.IsZero() || w.a.Bytes != before.Bytes && !published {
		w.t.Fatalf("a stored file was given up: %v", w.log)
	}
	if slices.Contains([]ledger.ChunkState{failed, split, cancelled}, w.a.State) {
		w.t.Fatalf("a chunk with a stored file is %s: %v", w.a.State, w.log)
	}
}

// explained is rule 4: an attempt that waits or has failed has a reason.
func (w *world) explained() {
	if (w.a.NextAt.After(w.now) || w.a.State == failed || w.a.State == split) && w.a.Reason == "" {
		w.t.Fatalf("it waits or failed without a reason: %v", w.log)
	}
	if w.a.NextAt.Sub(w.now) > 2*time.Hour {
		w.t.Fatalf("it waits for %v: %v", w.a.NextAt.Sub(w.now), w.log)
	}
}

// TestTwice is rule 5: an event that comes twice does not undo or double its first
// effect.
func TestTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		kinds := allKinds()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "passes")) * time.Second)
			e := w.event(rapid.SampledFrom(kinds).Draw(t, "kind"))
			once, _ := Next(w.a, e, w.now)
			twice, effects := Next(once, e, w.now)
			for _, f := range effects {
				if f.Do == Split || f.Do == End && once.State != twice.State {
					t.Fatalf("%s twice from %s: %s", e.Kind, w.a.State, f.Do)
				}
			}
			if e.Kind == Store && twice.Rows != once.Rows {
				t.Fatalf("%s twice from %s", e.Kind, w.a.State)
			}
			w.a = once
		}
	})
}

// TestTerminates checks the purpose of the rules: whatever Fullstory answers, a chunk
// that the loops work on ends within a bounded number of steps and creates.
func TestTerminates(t *testing.T) {
	loop := map[ledger.ChunkState][]Kind{
		planned:     {Send},
		creating:    {Accept, Reject, LoseAnswer, Find, FindNone, FindNone, FindNone},
		uncertain:   {Complete, Pend, Fail, Vanish, Unread},
		running:     {Complete, Pend, Fail, Vanish, Unread},
		ready:       {Fetch},
		downloading: {NotReady, BreakOff, FindDamage, FindForeign},
	}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.a.Rules.Fetch = true
		for steps := 0; loop[w.a.State] != nil; steps++ {
			if steps > 5000 {
				t.Fatalf("no end after %d steps, the last: %v", steps, w.log[len(w.log)-20:])
			}
			if wait := w.a.NextAt.Sub(w.now); wait > 0 {
				w.now = w.a.NextAt
			} else {
				w.now = w.now.Add(10 * time.Second)
			}
			e := w.event(rapid.SampledFrom(loop[w.a.State]).Draw(t, "kind"))
			e.Early = false
			if ids := append(w.a.Possible(), w.a.Operation); e.Operation == "stranger" || !w.a.concerns(e.Operation) {
				e.Operation = ids[0]
				if w.a.State != uncertain {
					e.Operation = w.a.Operation
				}
				e.Is.ID = e.Operation
			}
			w.step(e)
		}
	})
}
