//go:build unix

package command

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/sandbox"
)

// adopted is the result of sync adopt --json.
type adopted struct {
	Summary string
	From    string
	Totals  struct {
		Taken     int `json:"windows_taken"`
		Merged    int `json:"windows_merged"`
		Extended  int `json:"windows_extended"`
		Equal     int `json:"windows_equal"`
		Left      int `json:"windows_left"`
		Rows      int `json:"rows"`
		Added     int `json:"rows_added"`
		Collapsed int `json:"rows_collapsed"`
		LeftRows  int `json:"rows_left"`
	}
	Windows []struct {
		Start, End, Outcome, Reason, File, Former string
		Rows                                      int
		Sources                                   []struct {
			File string
			Rows int
			Gave int `json:"rows_given"`
		}
	}
	Warnings []string
}

// adoption is a sync called visits, and older exports, in one folder of files.
type adoption struct {
	t    *testing.T
	url  string
	dir  string
	env  map[string]string
	args []string
}

// adoptNow is the time of the sandbox: rows before 7 November, 4:00 have settled.
var adoptNow = time.Date(2026, 11, 8, 4, 0, 0, 0, time.UTC)

func newAdoption(t *testing.T, database string) *adoption {
	config := sandbox.Config{Now: adoptNow, Rate: 1000, Burst: 2000, Slots: 100, Density: 100}
	if err := config.OpTime.UnmarshalText([]byte("10ms")); err != nil {
		t.Fatal(err)
	}
	api := fullstory(t, config)
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	if database != "" {
		env["FULLSTORY_EXPORT_DATABASE"] = database
	}
	return &adoption{t, api.URL, args[1], env, args}
}

// run runs a command line, which must end with that status, and returns what it prints.
func (a *adoption) run(status int, words ...string) string {
	a.t.Helper()
	r := lineIn(a.t.Context(), a.env, append(words, a.args...))
	if r.status != status {
		a.t.Fatalf("%q ended with %d, want %d: %s", words, r.status, status, r.all)
	}
	return r.all
}

// older exports days of November to a folder, cut by chunk, and returns its path.
func (a *adoption) older(name, from, to, chunk string, more ...string) string {
	a.t.Helper()
	a.run(0, append([]string{
		"run", "--segment", "everyone", "--name", name, "--from", from, "--to", to, "--chunk", chunk,
	}, more...)...)
	return filepath.Join(a.dir, name)
}

// adopt brings in a folder, and returns the report.
func (a *adoption) adopt(folder string, more ...string) (r adopted) {
	a.t.Helper()
	words := slices.Concat([]string{"sync", "adopt", "visits", folder, "--json"}, more, a.args)
	said := lineIn(a.t.Context(), a.env, words)
	if said.status != 0 {
		a.t.Fatalf("adopt ended with %d: %s", said.status, said.all)
	}
	if err := json.Unmarshal([]byte(said.stdout), &r); err != nil {
		a.t.Fatalf("%v: %s", err, said.stdout)
	}
	return r
}

// rows returns the rows in the folder of the sync as texts, in order.
func (a *adoption) rows(folder string) (texts []string) {
	a.t.Helper()
	for _, row := range exportedRows(a.t, folder) {
		raw, err := json.Marshal(row)
		if err != nil {
			a.t.Fatal(err)
		}
		texts = append(texts, string(raw))
	}
	slices.Sort(texts)
	return texts
}

func (a *adoption) creates() int {
	a.t.Helper()
	n, _ := accepted(a.t, a.url)
	return n
}

// visits is the folder of the sync.
func (a *adoption) visits() string { return filepath.Join(a.dir, "visits") }

// complete exports what is missing, and checks that this are so many windows, that the files are
// those of their manifest, and that the rows are those of another export of the same days.
func (a *adoption) complete(missing int, from, to string) {
	a.t.Helper()
	before := a.creates()
	a.run(0, "sync", "run", "visits")
	if n := a.creates() - before; n != missing {
		a.t.Errorf("%d windows were exported, want %d", n, missing)
	}
	a.run(0, "verify", a.visits())
	if got, want := a.rows(a.visits()), a.rows(a.older("anew", from, to, "P9D")); !slices.Equal(got, want) {
		a.t.Errorf("the sync has %d rows, an export of the same days %d", len(got), len(want))
	}
}

// onDatabases runs a test on SQLite and on PostgreSQL.
func onDatabases(t *testing.T, test func(*testing.T, *adoption)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newAdoption(t, ""))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newAdoption(t, database(t)))
	})
}

// TestAdoptDays brings an export by day into a sync by hour that begins later.
func TestAdoptDays(t *testing.T) {
	onDatabases(t, func(t *testing.T, a *adoption) {
		folder := a.older("old", "2026-11-06", "2026-11-07", "day")
		a.run(0, "sync", "add", "visits", "--segment", "everyone", "--every", "hour", "--from", "2026-11-07T02:00:00Z")
		dry := a.adopt(folder, "--dry-run")
		if dry.Totals.Merged != 24 || dry.From != "2026-11-06T00:00:00Z" ||
			!strings.Contains(dry.Summary, "Nothing was changed") {
			t.Errorf("a dry run: %+v", dry)
		}
		if _, err := os.Stat(a.visits()); err == nil {
			t.Error("the dry run wrote files")
		}
		state := a.saveState()
		r := a.adopt(folder)
		if r.Totals.Merged != 24 || r.Totals.Rows != len(a.rows(folder)) || r.Totals.LeftRows != 0 ||
			r.From != "2026-11-06T00:00:00Z" {
			t.Errorf("the report: %+v", r)
		}
		a.run(0, "verify", a.visits())
		if again := a.adopt(folder); again.Totals.Equal != 24 || again.Totals.Merged+again.Totals.Added != 0 {
			t.Errorf("once more: %+v", again)
		}
		if state != nil { // as if it had been killed before each window was recorded
			state()
			if again := a.adopt(folder); again.Totals != r.Totals {
				t.Errorf("after a crash: %+v", again)
			}
		}
		// The two hours between, two since, and nothing else.
		a.complete(4, "2026-11-06", "2026-11-07T04:00:00Z")
	})
}

// TestAdoptHours brings an export by two hours, which ends within a day, into a sync by day.
func TestAdoptHours(t *testing.T) {
	onDatabases(t, func(t *testing.T, a *adoption) {
		folder := a.older("old", "2026-11-04T18:00:00Z", "2026-11-06T12:00:00Z", "PT2H")
		same := a.older("same", "2026-11-05", "2026-11-06", "PT6H")
		a.run(0, "sync", "add", "visits", "--segment", "everyone", "--from", "2026-11-05")
		r := a.adopt(folder)
		if r.Totals.Merged != 1 || r.Totals.Left != 2 || r.Totals.LeftRows == 0 || r.From != "" ||
			r.Totals.Rows+r.Totals.LeftRows != len(a.rows(folder)) || r.Totals.Collapsed != 0 {
			t.Errorf("the report: %+v", r)
		}
		if day := r.Windows[1]; len(day.Sources) != 12 || day.Rows != r.Totals.Rows {
			t.Errorf("the day: %+v", day)
		}
		if first, last := r.Windows[0].Reason, r.Windows[2].Reason; !strings.Contains(first, "part of a window before") ||
			!strings.Contains(last, "only a part of it") {
			t.Errorf("the others: %q, %q", first, last)
		}
		if other := a.adopt(same); other.Totals.Equal != 1 {
			t.Errorf("an export that overlaps: %+v", other)
		}
		a.complete(1, "2026-11-05", "2026-11-07")
	})
}

// TestAdoptFiles takes files of the windows of a sync as they are, in each format.
func TestAdoptFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ format, kind, suffix string }{
		{"ndjson", "individuals", ".ndjson.gz"}, {"csv", "events", ".csv.gz"}, {"json", "events", ".json.gz"},
	} {
		t.Run(c.format, func(t *testing.T) {
			t.Parallel()
			adoptFiles(t, c.format, c.kind, c.suffix)
		})
	}
}

// adoptFiles takes the files of three days as they are, and then those of two halves of another day.
func adoptFiles(t *testing.T, format, kind, suffix string) {
	a := newAdoption(t, "")
	flags := []string{"--format", format, "--type", kind}
	if kind == "events" {
		flags = append(flags, "--fields", "EventStart,EventType,IndvId,UserEmail")
	}
	folder := a.older("old", "2026-11-03", "2026-11-06", "day", flags...)
	add := []string{"sync", "add", "visits", "--segment", "everyone", "--from", "2026-11-03"}
	a.run(0, append(add, flags...)...)
	r := a.adopt(folder)
	if r.Totals.Taken != 3 || r.Totals.LeftRows != 0 {
		t.Errorf("the report: %+v", r)
	}
	for _, name := range []string{"20261103T000000Z_20261104T000000Z", "20261105T000000Z_20261106T000000Z"} {
		old, err := os.ReadFile(filepath.Join(folder, name+suffix))
		got, alsoErr := os.ReadFile(filepath.Join(a.visits(), name+suffix))
		if err != nil || alsoErr != nil || string(old) != string(got) {
			t.Errorf("%s: %v, %v, or it differs", name, err, alsoErr)
		}
	}
	before := a.creates()
	a.run(0, "sync", "run", "visits")
	if n := a.creates() - before; n != 1 {
		t.Errorf("%d windows were exported, want 1", n)
	}
	a.run(0, "verify", a.visits())
	if again := a.adopt(folder); again.Totals.Equal != 3 {
		t.Errorf("once more: %+v", again)
	}
	// Rows of people have no time, so those of several windows cannot be divided.
	halves := a.older("halves", "2026-11-02", "2026-11-03", "PT12H", flags...)
	r = a.adopt(halves)
	if kind == "individuals" {
		if r.Totals.Left != 1 || !strings.Contains(r.Windows[0].Reason, "have no time") {
			t.Errorf("halves of a day: %+v", r)
		}
		return
	}
	if r.Totals.Merged != 1 || r.From != "2026-11-02T00:00:00Z" {
		t.Errorf("halves of a day: %+v", r)
	}
	a.run(0, "verify", a.visits())
}

// TestAdoptRows brings rows into windows that are stored already.
func TestAdoptRows(t *testing.T) {
	onDatabases(t, func(t *testing.T, a *adoption) {
		folder := a.older("old", "2026-11-05", "2026-11-06", "day")
		a.run(0, "sync", "add", "visits", "--segment", "everyone", "--from", "2026-11-05", "--parquet")
		a.run(0, "sync", "run", "visits")
		stored := a.rows(a.visits())
		var twice, late string
		name := "20261105T000000Z_20261106T000000Z.ndjson.gz"
		rewrite(t, folder, name, func(lines []string) []string {
			twice = lines[3]
			late = strings.Replace(lines[5], `"EventType":"`, `"EventType":"late `, 1)
			return append(lines[:len(lines)-1], twice, late)
		})
		state := a.saveState()
		r := a.adopt(folder)
		if r.Totals.Extended != 1 || r.Totals.Added != 2 || r.Windows[0].Rows != r.Windows[0].Sources[0].Rows+2 ||
			r.Windows[0].Sources[0].File != name || !strings.Contains(r.Windows[0].Former, ".superseded/") {
			t.Errorf("the report: %+v", r)
		}
		want := append(slices.Clone(stored), canonical(t, twice), canonical(t, late))
		slices.Sort(want)
		if got := a.rows(a.visits()); !slices.Equal(got, want) {
			t.Errorf("%d rows, want %d", len(got), len(want))
		}
		a.run(0, "verify", a.visits())
		if state != nil { // as if it had been killed before the window was recorded
			state()
			if again := a.adopt(folder); again.Totals != r.Totals || again.Windows[0].Former != r.Windows[0].Former {
				t.Errorf("after a crash: %+v", again)
			}
			a.run(0, "verify", a.visits())
		}
		if again := a.adopt(folder); again.Totals.Equal != 1 {
			t.Errorf("once more: %+v", again)
		}
		a.run(0, "sync", "run", "visits") // makes the Parquet file anew
		sql := "SELECT count(*) AS late FROM rows WHERE EventType LIKE 'late %'"
		if out := a.run(0, "query", "visits", sql, "--csv"); strings.TrimSpace(out) != "late\n1" {
			t.Errorf("Parquet: %s", out)
		}
		manifest, err := os.ReadFile(filepath.Join(a.visits(), "manifest.json"))
		audit := a.run(0, "audit")
		if err != nil || strings.Count(string(manifest), `"folder": "old"`) != 1 ||
			!strings.Contains(audit, `"merged_from":[{`) {
			t.Errorf("what it was merged from: %v %s", err, audit)
		}
	})
}

// TestAdoptEarly brings in windows whose rows had not settled when they were exported.
func TestAdoptEarly(t *testing.T) {
	t.Parallel()
	a := newAdoption(t, "")
	early := a.older("early", "2026-11-03", "2026-11-05", "day")
	edit(t, early, func(m map[string]any) {
		for _, f := range m["files"].([]any) {
			f.(map[string]any)["exported_at"] = "2026-11-05T01:00:00Z" // an hour after the second day
		}
	})
	settled := a.older("settled", "2026-11-04", "2026-11-05", "PT12H")
	a.run(0, "sync", "add", "visits", "--segment", "everyone", "--from", "2026-11-03")
	if r := a.adopt(early); r.Totals.Taken != 2 {
		t.Errorf("the report: %+v", r)
	}
	provisional := func() int {
		var s syncState
		if err := json.Unmarshal([]byte(a.run(0, "sync", "list", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		return s.Windows.Provisional
	}
	if n := provisional(); n != 1 { // the first day had settled
		t.Errorf("%d provisional windows, want 1", n)
	}
	if r := a.adopt(early); r.Totals.Left != 1 || r.Totals.Equal != 1 ||
		!strings.Contains(r.Windows[1].Reason, "had not settled") {
		t.Errorf("once more: %+v", r)
	}
	if r := a.adopt(settled); r.Totals.Merged != 1 || provisional() != 0 ||
		!strings.Contains(r.Windows[0].Former, ".superseded/") {
		t.Errorf("settled rows: %+v", r)
	}
	if r := a.adopt(early); r.Totals.Left != 1 || !strings.Contains(r.Windows[1].Reason, "the stored file is newer") {
		t.Errorf("early rows of a window that has settled: %+v", r)
	}
	a.run(0, "verify", a.visits())
	before := a.creates()
	a.run(0, "sync", "run", "visits")
	if n := a.creates() - before; n != 2 { // 5 and 6 November
		t.Errorf("%d windows were exported, want 2", n)
	}
}

// TestAdoptFar needs a confirmation before the sync begins so early that it would export over 5,000
// windows between.
func TestAdoptFar(t *testing.T) {
	t.Parallel()
	a := newAdoption(t, "")
	far := a.older("far", "2026-03-05", "2026-03-06", "day")
	a.run(0, "sync", "add", "visits", "--segment", "everyone", "--every", "hour", "--from", "2026-11-06")
	const says = "5880 windows between would be exported. Add --yes"
	if out := a.run(2, "sync", "adopt", "visits", far); !strings.Contains(out, says) {
		t.Errorf("without --yes: %s", out)
	}
	if r := a.adopt(far, "--dry-run"); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "needs --yes") {
		t.Errorf("a dry run: %+v", r)
	}
	if r := a.adopt(far, "--yes"); r.Totals.Merged != 24 || r.From != "2026-03-05T00:00:00Z" {
		t.Errorf("with --yes: %+v", r)
	}
	a.run(0, "verify", a.visits())
}

// TestAdoptOtherPeriods warns of an older export whose segment was evaluated over another period,
// and brings windows into a sync that would only export the latest one.
func TestAdoptOtherPeriods(t *testing.T) {
	t.Parallel()
	a := newAdoption(t, "")
	older := func(name, period string) string {
		return a.older(name, "2026-11-04", "2026-11-05", "day", "--segment-window", period)
	}
	own, same := older("own", "2026-10-01/2026-11-01"), older("same", "2026-10-01/2026-11-05")
	a.run(0, "sync", "add", "visits", "--segment", "everyone", "--from", "2026-11-03", "--catch-up", "latest",
		"--segment-window", "2026-10-01/2026-11-05")
	r := a.adopt(own)
	if r.Totals.Taken != 1 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "may have rows of other people") {
		t.Errorf("over another period: %+v", r)
	}
	if r := a.adopt(same); len(r.Warnings) != 0 {
		t.Errorf("over the same period: %+v", r)
	}
	a.run(0, "sync", "run", "visits")
	var s syncState
	if err := json.Unmarshal([]byte(a.run(0, "sync", "list", "--json")), &s); err != nil || s.Windows.Stored != 2 ||
		s.Windows.LeftOut != 2 {
		t.Errorf("the sync: %+v, %v", s, err)
	}
}

// TestAdoptRejects rejects folders that have other rows, or damaged files. Nothing changes.
func TestAdoptRejects(t *testing.T) {
	t.Parallel()
	a := newAdoption(t, "")
	add := []string{"sync", "add", "visits", "--segment", "everyone", "--from", "2026-11-05", "--fields"}
	a.run(0, append(add, "EventStart,EventType")...)
	fields := []string{"--fields", "EventStart,EventType"}
	older := func(name string, more ...string) string {
		return a.older(name, "2026-11-05", "2026-11-06", "day", more...)
	}
	good := older("good", fields...)
	damaged := older("damaged", fields...)
	name := filepath.Join(damaged, "20261105T000000Z_20261106T000000Z.ndjson.gz")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	account := older("account", fields...)
	edit(t, account, func(m map[string]any) { m["account"] = "OTHER" })
	segment := older("segment", fields...)
	edit(t, segment, func(m map[string]any) { m["request"].(map[string]any)["segment_id"] = "s2" })
	a.run(0, "sync", "run", "visits")
	before := a.rows(a.visits())
	for _, c := range []struct{ folder, says string }{
		{older("people", "--type", "individuals"), "with --type individuals, and the sync exports with --type events"},
		{older("all"), "it has the default set of columns, and the sync chosen ones"},
		{older("other", "--fields", "EventStart,UserId"), "it lacks the columns EventType and has UserId"},
		{older("csv", append(fields, "--format", "csv")...), "--format csv, and the sync exports with --format ndjson"},
		{damaged, "differs from its manifest"}, {account, "another Fullstory account (OTHER)"},
		{segment, "its segment is s2"}, {a.visits(), "is the folder of the sync visits itself"},
		{a.dir, "no folder with a manifest.json"}, {filepath.Join(a.dir, "nothing"), "no folder with a manifest.json"},
	} {
		if out := a.run(2, "sync", "adopt", "visits", c.folder); !strings.Contains(out, c.says) {
			t.Errorf("%s: %s", c.folder, out)
		}
	}
	if out := a.run(2, "sync", "adopt", "nobody", good); !strings.Contains(out, "no sync of this account") {
		t.Errorf("an unknown sync: %s", out)
	}
	if after := a.rows(a.visits()); !slices.Equal(before, after) {
		t.Errorf("%d rows, and %d before", len(after), len(before))
	}
	if out := a.run(0, "sync", "adopt", "visits", good); !strings.Contains(out, "1 had all the rows already") {
		t.Errorf("the same rows: %s", out)
	}
}

// TestAdoptUnderKills brings in an export while the process is killed at random times, two at a
// time, and while a server exports what is missing.
func TestAdoptUnderKills(t *testing.T) {
	onDatabases(t, func(t *testing.T, a *adoption) {
		program, random := build(t), randomSource(t)
		folder := a.older("old", "2026-11-05", "2026-11-07", "day")
		a.run(0, "sync", "add", "visits", "--segment", "everyone", "--every", "hour", "--from", "2026-11-06T12:00:00Z")
		killed := a.killAdopting(program, folder, random)
		server := converse(t, a.env, a.args...) // exports what is due meanwhile
		r := a.adopt(folder)
		server.awaitSync(52)
		server.end()
		t.Logf("%d kills; %+v; %d exports", killed, r.Totals, a.creates())
		if killed == 0 {
			t.Error("no process was killed")
		}
		a.adopt(folder)
		a.complete(0, "2026-11-05", "2026-11-07T04:00:00Z")
	})
}

// killAdopting brings in a folder by two processes at once, five times, and kills them once more and
// more windows are stored. It returns how many were killed.
func (a *adoption) killAdopting(program, folder string, random *rand.Rand) (killed int) {
	stored := func() int {
		files, _ := filepath.Glob(filepath.Join(a.visits(), "*.gz"))
		return len(files)
	}
	for round := range 5 {
		running := []*exec.Cmd{a.startAdopting(program, folder), a.startAdopting(program, folder)}
		for end := time.Now().Add(patience); stored() <= 8*round && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(random.Int64N(int64(30 * time.Millisecond))))
		for _, c := range running {
			c.Process.Kill()
			if c.Wait() != nil {
				killed++
			}
		}
	}
	return killed
}

func (a *adoption) startAdopting(program, folder string) *exec.Cmd {
	a.t.Helper()
	c := exec.Command(program, append([]string{"sync", "adopt", "visits", folder, "--json"}, a.args...)...)
	for name, value := range a.env {
		c.Env = append(c.Env, name+"="+value)
	}
	if err := c.Start(); err != nil {
		a.t.Fatal(err)
	}
	return c
}
