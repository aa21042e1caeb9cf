//go:build unix

package command

import (
	"encoding/json"
	"os"
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

// adoptNow is the time of the sandbox: 8 November is the last day that has settled.
var adoptNow = time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)

func newAdoption(t *testing.T, database string) *adoption {
	api := fullstory(t, sandbox.Config{Now: adoptNow, Rate: 1000, Burst: 2000, Slots: 100, Density: 100})
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
	if got, want := a.rows(a.visits()), a.rows(a.older("anew", from, to, "P5D")); !slices.Equal(got, want) {
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
		folder := a.older("old", "2026-11-05", "2026-11-07", "day")
		a.run(0, "sync", "add", "visits", "--segment", "everyone", "--every", "hour", "--from", "2026-11-06T12:00:00Z")
		dry := a.adopt(folder, "--dry-run")
		if dry.Totals.Merged != 48 || dry.From != "" || !strings.Contains(dry.Summary, "Nothing was changed") {
			t.Errorf("a dry run: %+v", dry)
		}
		if _, err := os.Stat(a.visits()); err == nil {
			t.Error("the dry run wrote files")
		}
		r := a.adopt(folder)
		if r.Totals.Merged != 48 || r.Totals.Rows != len(a.rows(folder)) || r.Totals.LeftRows != 0 ||
			r.From != "2026-11-05T00:00:00Z" {
			t.Errorf("the report: %+v", r)
		}
		a.run(0, "verify", a.visits())
		again := a.adopt(folder)
		if again.Totals.Equal != 48 || again.Totals.Merged+again.Totals.Added != 0 {
			t.Errorf("once more: %+v", again)
		}
		a.complete(60, "2026-11-05", "2026-11-09T12:00:00Z")
	})
}
