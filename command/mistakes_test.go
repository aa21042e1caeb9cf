//go:build unix

package command

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ran is the outcome of a command. all is stdout followed by stderr.
type ran struct {
	status      int
	stdout, all string
}

// runs executes `run` on the built-in sandbox, on 25 November 2026.
func runs(t *testing.T, ctx context.Context, dir string, args ...string) ran {
	t.Helper()
	return commandLine(t, ctx, dir, "run", args...)
}

// commandLine executes a command likewise.
func commandLine(t *testing.T, ctx context.Context, dir, command string, args ...string) ran {
	t.Helper()
	return lineIn(ctx, nil, append([]string{
		command, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--sandbox-op-time", "20ms",
		"--sandbox-density", fewRows, "--dir", dir,
	}, args...))
}

// lineIn executes a command line in an environment.
func lineIn(ctx context.Context, env map[string]string, args []string) ran {
	var out, errs buffer
	err := Run(ctx, args, func(name string) string { return env[name] }, strings.NewReader(""), &out, &errs)
	return ran{Status(err), out.String(), out.String() + errs.String()}
}

// openLedger opens the ledger in the folder of a program that may be using it.
func openLedger(dir string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+filepath.Join(dir, ".state", "ledger.db")+
		fmt.Sprintf("?_pragma=busy_timeout(%d)", patience.Milliseconds()))
}

// bulks returns the states of the bulk exports in a folder, by name.
func bulks(t *testing.T, dir string) map[string]string {
	t.Helper()
	db, err := openLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT name, state FROM bulks")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	states := map[string]string{}
	for rows.Next() {
		var name, state string
		if err := rows.Scan(&name, &state); err != nil {
			t.Fatal(err)
		}
		states[name] = state
	}
	return states
}

func (j *job) state() string { return bulks(j.t, j.dir)["september"] }

// TestRunRejected tries requests that would not export the intended rows: nothing
// may be started, and the error must name the flag to change.
func TestRunRejected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, test := range []struct {
		args string
		says []string
	}{
		{"--segment rageClicks --from 2026-07 --chunk week", []string{"--segment-window: ", `"range"`, `"own"`}},
		{"--segment rageClicks --from 2026-07 --segment-window 2026-07-01", []string{"--segment-window: ", "2026-07-01/P1D"}},
		{
			"--segment rageClicks --from 2026-07 --segment-window mine",
			[]string{"--segment-window: ", `"own"`, `"range"`, `"all"`},
		},
		{"--segment everyone --from 2027-07", []string{"--from: ", "in the future", "2026-11-25T12:00"}},
		{"--segment everyone --from 2026-01 --to 2026-09 --chunk hour", []string{"5832 chunks", "--yes"}},
		{"--segment everyone --from 03/04/2026", []string{"--from: "}},
		{"--segment everyone --from 2026-09 --to 2026-08", []string{"--to: "}},
		{"--segment nobody --from 2026-09", []string{"--segment: "}},
	} {
		got := runs(t, t.Context(), dir, strings.Fields(test.args)...)
		if got.status != 2 || strings.Count(got.all, "\n") != 1 {
			t.Errorf("%s: status %d, want 2 and one line:\n%s", test.args, got.status, got.all)
		}
		for _, want := range test.says {
			if !strings.Contains(got.all, want) {
				t.Errorf("%s: says\n%swithout %q", test.args, got.all, want)
			}
		}
		for _, argument := range []string{"time_range", "segment_id", "Invalid arguments", "dry_run"} {
			if strings.Contains(got.all, argument) {
				t.Errorf("%s: names %s in a terminal:\n%s", test.args, argument, got.all)
			}
		}
	}
	if started := bulks(t, dir); len(started) > 0 {
		t.Errorf("started: %v, want nothing", started)
	}
}

// TestSegmentWindow exports a month that is long past. With the window of the range
// it has all rows. With the segment's own window it has none, and the output must
// begin with that.
func TestSegmentWindow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	july := []string{"--segment", "rageClicks", "--from", "2026-07", "--chunk", "week"}
	full := runs(t, t.Context(), dir, append(july, "--segment-window", "range", "--name", "full")...)
	const complete = `full is complete: 5 chunks, 749 rows, verified. It exports events of segment "Rage clickers" ` +
		"(rageClicks), from 2026-07-01T00:00:00Z to 2026-08-01T00:00:00Z (excluded). " +
		"Segment filters are evaluated over the same period."
	if full.status != 0 || !strings.Contains(full.stdout, complete) {
		t.Errorf("over the range: status %d\n%s", full.status, full.all)
	}
	interval := runs(t, t.Context(), dir,
		append(july, "--segment-window", "2026-07-01/2026-08-01", "--name", "interval")...)
	if interval.status != 0 || !strings.Contains(interval.stdout, "749 rows") {
		t.Errorf("over the same range, spelled out: status %d\n%s", interval.status, interval.all)
	}
	own := runs(t, t.Context(), dir, append(july, "--segment-window", "own", "--name", "own")...)
	const empty = "\n! No row matched: own has ended with 5 chunks and 0 rows. " +
		"The likely reason: the segment's own window does not reach this period."
	if own.status != 0 || !strings.Contains(own.stdout, empty) ||
		!strings.Contains(own.stdout, `--segment-window "range"`) ||
		!strings.Contains(own.all, "(segment_window_own)") {
		t.Errorf("over its own window: status %d\n%s", own.status, own.all)
	}
	early := runs(t, t.Context(), dir, "--segment", "everyone", "--from", "1999-07-01", "--name", "early", "--json")
	var status struct {
		Summary  string
		Rows     int
		Warnings []struct{ Code, Level string }
	}
	if err := json.Unmarshal([]byte(early.stdout), &status); err != nil {
		t.Fatal(err, early.all)
	}
	if early.status != 0 || status.Rows != 0 || !strings.HasPrefix(status.Summary, "No row matched: ") ||
		len(status.Warnings) != 1 || status.Warnings[0].Code != "everyone_window_set" || status.Warnings[0].Level != "note" {
		t.Errorf("before the first data: status %d, %+v", early.status, status)
	}
	if !strings.Contains(strings.TrimPrefix(early.all, early.stdout), "No row matched: ") {
		t.Errorf("stderr does not say that there are no rows:\n%s", early.all)
	}
	var manifest struct {
		Notices []struct{ Code, Level, Message, Fix string }
	}
	raw, err := os.ReadFile(filepath.Join(dir, "own", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &manifest); err != nil || len(manifest.Notices) != 2 ||
		manifest.Notices[0].Code != "segment_window_own" || manifest.Notices[0].Fix == "" {
		t.Errorf("the manifest has the notices %+v, %v", manifest.Notices, err)
	}
	// Estimates ignore exports without rows.
	c := converse(t, nil, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--dir", dir)
	var plan struct {
		Estimate *struct{ Rows, Low, High int }
	}
	c.call("plan_time_chunks", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-08",
	}, &plan)
	if plan.Estimate != nil {
		t.Errorf("an empty day of 1999 gives the estimate %+v", plan.Estimate)
	}
	c.call("plan_time_chunks", map[string]any{
		"segment_id": "rageClicks", "type": "TYPE_EVENT", "time_range": "2026-08",
	}, &plan)
	if plan.Estimate == nil || plan.Estimate.Low > 900 || plan.Estimate.High < 700 {
		t.Errorf("after a full and an empty July the estimate of August is %+v", plan.Estimate)
	}
}

// TestRunRepairs runs a complete export with a damaged file. The output must say
// what is exported again, and must not say before that it is complete.
func TestRunRepairs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	day := []string{"--segment", "everyone", "--from", "2026-09-01", "--chunk", "PT6H", "--name", "day"}
	if first := runs(t, t.Context(), dir, day...); first.status != 0 {
		t.Fatalf("status %d\n%s", first.status, first.all)
	}
	same := runs(t, t.Context(), dir, day...)
	if same.status != 0 || !strings.Contains(same.stdout, "with the same request and is complete. ") {
		t.Errorf("complete: status %d\n%s", same.status, same.all)
	}
	files, err := filepath.Glob(filepath.Join(dir, "day", "*.gz"))
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	if err := os.Truncate(files[1], 10); err != nil {
		t.Fatal(err)
	}
	got := runs(t, t.Context(), dir, day...)
	before, after, ok := strings.Cut(got.stdout, "\nExporting again: 1 stored file is missing or damaged.\n")
	if !ok || got.status != 0 || strings.Contains(before, "is complete") ||
		!strings.Contains(after, "day is complete: 4 chunks") ||
		!strings.Contains(before, "is partial: 1 stored file is missing or damaged") {
		t.Errorf("damaged: status %d\n%s", got.status, got.all)
	}
}

// TestRunConfirmed starts thousands of chunks with --yes, and interrupts the run
// before the first is stored.
func TestRunConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := untilExists(t, filepath.Join(dir, "many"))
	defer cancel()
	many := []string{
		"--segment", "everyone", "--from", "2026-01", "--to", "2026-09", "--chunk", "hour", "--name", "many",
		"--max-in-flight", "1",
	}
	got := runs(t, ctx, dir, append(many, "--yes")...)
	if got.status != 3 || !strings.Contains(got.all, "(many_chunks)") || strings.Contains(got.stdout, "(many_chunks)") ||
		!strings.Contains(got.all, "interrupted: many is paused, with ") || bulks(t, dir)["many"] != "paused" {
		t.Errorf("status %d, %v\n%s", got.status, bulks(t, dir), got.all)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		for end := time.Now().Add(patience); bulks(t, dir)["many"] != "running" && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
	}()
	// A resume needs no --yes.
	if got := runs(t, ctx, dir, append(many, "--detach")...); got.status != 3 ||
		!strings.Contains(got.all, "many stays running") || bulks(t, dir)["many"] != "running" {
		t.Errorf("resumed and detached: status %d, %v\n%s", got.status, bulks(t, dir), got.all)
	}
}

// untilExists returns a context that ends once path exists.
func untilExists(t *testing.T, path string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
			if _, err := os.Stat(path); err == nil {
				cancel()
			}
		}
	}()
	return ctx, cancel
}

// TestResumedLater resumes a run at a time when its request would be rejected. It
// must resume: its window was fixed at the start.
func TestResumedLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := untilExists(t, filepath.Join(dir, "lately"))
	defer cancel()
	lately := []string{
		"--segment", "rageClicks", "--from", "2026-11-02", "--to", "2026-11-03", "--chunk", "hour", "--max-in-flight", "4",
	}
	if got := runs(t, ctx, dir, append(lately, "--name", "lately")...); got.status != 3 {
		t.Fatalf("interrupted: status %d\n%s", got.status, got.all)
	}
	lately = append(lately, "--sandbox-now", "2026-12-20T12:00:00Z")
	if got := runs(t, t.Context(), dir, append(lately, "--name", "another")...); got.status != 2 ||
		!strings.Contains(got.all, "--segment-window") {
		t.Errorf("another of the same request: status %d\n%s", got.status, got.all)
	}
	got := runs(t, t.Context(), dir, append(lately, "--name", "lately")...)
	if got.status != 0 || !strings.Contains(got.stdout, "lately is complete: 24 chunks") ||
		strings.Contains(got.stdout, "No row") || strings.Contains(got.stdout, "blocker") {
		t.Errorf("resumed: status %d\n%s", got.status, got.all)
	}
}

// TestInterruptTwice interrupts a run during a create, and then once more.
func TestInterruptTwice(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: 40}
	j.world = newWorld(t, build(t), "--density", fewRows, "--op-time", "500ms")
	j.faults(`{"create_delay":"10m"}`)
	c := j.start()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	eventually(t, "a create is on its way", func() bool { return j.books().Requests > 1 && j.chunksIn("creating") > 0 })
	c.Process.Signal(os.Interrupt)
	eventually(t, "it is paused", func() bool { return j.state() == "paused" })
	select {
	case <-ended:
		t.Fatalf("it ended during a create:\n%s", j.stderr.String())
	default:
	}
	// Interrupts within a second count once, because wrappers deliver them twice.
	again := time.Now()
	for over := false; !over; {
		c.Process.Signal(os.Interrupt)
		select {
		case <-ended:
			over = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	if took := time.Since(again); took > patience || c.ProcessState.Sys().(syscall.WaitStatus).Signal() != os.Interrupt {
		t.Errorf("a second interrupt ends it after %v with %v", took, c.ProcessState)
	}
}

// chunksIn returns the number of chunks in a state, as the ledger has it.
func (j *job) chunksIn(state string) (n int) {
	j.t.Helper()
	db, err := openLedger(j.dir)
	if err != nil {
		j.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM attempts WHERE state = $1", state).Scan(&n); err != nil {
		return 0 // the ledger does not exist yet
	}
	return n
}

// TestBlocked takes the role from the key during a run. The run must end and say
// what to do, and the same command must resume it.
func TestBlocked(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: 12}
	j.world = newWorld(t, build(t), "--density", "60", "--op-time", "50ms")
	j.faults(`{"script":[{"on":"create","nth":4,"do":"role"}]}`)
	c := j.start()
	c.Wait()
	stderr := j.stderr.String()
	if code := c.ProcessState.ExitCode(); code != 4 || !strings.Contains(stderr, "september is paused: ") ||
		!strings.Contains(stderr, "Architect") || !strings.Contains(stderr, "Run the same command to resume it") {
		t.Errorf("blocked: exit status %d, stderr:\n%s", code, stderr)
	}
	c = j.start()
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != 4 {
		t.Errorf("still blocked: exit status %d", code)
	}
	j.faults(`{"script":[{"on":"any","nth":1,"do":"role","role":"ARCHITECT"}]}`)
	j.finish()
}

// TestLargeNeedsConfirmation starts a large export through the tools. A dry run
// returns the token that confirms it, and it confirms no other request.
func TestLargeNeedsConfirmation(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]string{"start": "2026-04-10", "end": "now"},
		"chunk": "hour", "name": "large", "max_in_flight": 1,
	}
	c.rejected("start_bulk_export", request, "Nothing was started.", "confirm: This is 5", "dry_run")
	var dry struct {
		Confirm, Next string
		Chunks        int
		Warnings      []struct{ Code, Level string }
	}
	request["dry_run"] = true
	c.call("start_bulk_export", request, &dry)
	if dry.Confirm == "" || dry.Chunks < 5001 || !strings.Contains(dry.Next, "confirm") ||
		dry.Warnings[0].Code != "many_chunks" {
		t.Errorf("the dry run: %+v", dry)
	}
	delete(request, "dry_run")
	request["confirm"] = "x"
	c.rejected("start_bulk_export", request, "the token belongs to another request")
	request["confirm"], request["segment_id"] = dry.Confirm, "rageClicks"
	request["segment_time_range"] = "range"
	c.rejected("start_bulk_export", request, "the token belongs to another request")
	request["segment_id"] = "everyone"
	delete(request, "segment_time_range")
	var started struct {
		BulkID string `json:"bulk_id"`
		Chunks int
	}
	c.call("start_bulk_export", request, &started)
	if started.BulkID == "" || started.Chunks != dry.Chunks {
		t.Errorf("started: %+v", started)
	}
	delete(request, "confirm")
	request["time_range"] = map[string]string{"start": "2026-01", "end": "2026-11"}
	c.rejected("start_bulk_export", request, "started before with another request")
	request["segment_id"], request["time_range"], request["name"] = "rageClicks", "2026-07", "july"
	c.rejected("start_bulk_export", request, "segment_time_range: ", `"range"`, `"own"`)
	request["dry_run"] = true
	c.call("start_bulk_export", request, &dry)
	if dry.Warnings[0].Code != "segment_window_required" || dry.Warnings[0].Level != "blocker" ||
		strings.Contains(dry.Next, "to start it") {
		t.Errorf("a blocker: %+v", dry)
	}
	c.consented("control_bulk_export", map[string]any{"bulk_id": started.BulkID, "action": "cancel"}, &struct{}{})
}

// TestEmptyDownload checks that the summary of an export without rows begins with
// that, and names the reason.
func TestEmptyDownload(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request := map[string]any{"segment_id": "Rage clickers", "type": "TYPE_EVENT", "time_range": "2026-07-01"}
	c.rejected("create_segment_export", request, "segment_time_range: ", `"range"`, `"own"`)
	request["segment_time_range"] = "own"
	var made created
	c.call("create_segment_export", request, &made)
	if !strings.HasSuffix(made.Summary, "Segment filters are evaluated over the segment's own window. Simulated data.") {
		t.Errorf("created: %s", made.Summary)
	}
	d := c.download(made.OperationID)
	if d.State != "stored" || !strings.HasPrefix(d.Summary, "No row matched") ||
		!strings.Contains(d.Summary, "own window does not reach") ||
		!strings.Contains(d.Next, "`segment_time_range` \"range\"") {
		t.Errorf("downloaded: %s %s", d.Summary, d.Next)
	}
}

// TestMistakes makes mistakes of a new user. The line that each gets says what is wrong,
// what is allowed, and what to do.
func TestMistakes(t *testing.T) {
	t.Parallel()
	dir, home := t.TempDir(), t.TempDir()
	one := runs(t, t.Context(), dir, "--segment", "everyone", "--from", "2026-11-01", "--name", "one")
	if one.status != 0 {
		t.Fatal(one.all)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	sandboxed := "--sandbox --sandbox-now 2026-11-25T12:00:00Z --dir " + dir + " "
	in := strings.NewReplacer("D/", dir+"/", "PORT", port, "S ", sandboxed)
	out := strings.NewReplacer(dir, "D", port, "PORT")
	bulk := regexp.MustCompile(`bulk_[a-z0-9]{16}`)
	for _, test := range append(mistakes(), spokenMistakes()...) {
		getenv := func(name string) string {
			set, value, _ := strings.Cut(test.env, "=")
			switch name {
			case set:
				return value
			case "HOME":
				return home
			}
			return ""
		}
		var stdout, stderr buffer
		args := strings.Fields(in.Replace(test.args + " "))
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "␠", " ")
		}
		status := Status(Run(t.Context(), args, getenv, strings.NewReader(""), &stdout, &stderr))
		said := bulk.ReplaceAllString(out.Replace(stderr.String()), "BULK")
		if want := "fullstory-export-mcp: " + test.says + "\n"; status != cmp.Or(test.status, 2) || said != want {
			t.Errorf("%s %s: status %d, it says\n%swant\n%s", test.env, test.args, status, said, want)
		}
		if stdout.String() != "" {
			t.Errorf("%s %s: it prints\n%s", test.env, test.args, stdout.String())
		}
	}
}
