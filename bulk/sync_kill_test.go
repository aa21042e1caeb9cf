//go:build unix

package bulk

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

var (
	syncDays  = flag.Int("sync-days", 40, "simulated days of TestSyncsUnderKills")
	syncZones = flag.Int("sync-zones", 4, "time zones of TestSyncsUnderKills, at most 30")
	syncOut   = flag.String("sync-out", "", "file for the windows of TestSyncsUnderKills; see .ci/oracle/syncs.py")
)

// ticker is the variable of the environment that makes the test binary wake syncs.
const ticker = "BULK_TEST_TICKER"

// TestMain wakes syncs instead of running tests if ticker is set.
func TestMain(m *testing.M) {
	if place := os.Getenv(ticker); place != "" {
		tick(place)
		return
	}
	os.Exit(m.Run())
}

// syncBegin is the first instant of the syncs.
var syncBegin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// zonesOfSyncs have changes of clocks of all kinds: at midnight, by half an hour, by a whole day
// before, in both hemispheres, and none.
var zonesOfSyncs = strings.Fields(`UTC Europe/Berlin America/New_York Australia/Lord_Howe America/Santiago
	Asia/Kolkata Africa/Cairo Pacific/Chatham America/St_Johns Asia/Beirut Europe/London Africa/Casablanca
	America/Sao_Paulo Asia/Kathmandu Pacific/Apia America/Havana Asia/Tehran Asia/Gaza Atlantic/Azores
	America/Asuncion Europe/Dublin Pacific/Auckland America/Nuuk Antarctica/Troll Asia/Tokyo America/Los_Angeles
	Australia/Adelaide Africa/Johannesburg Pacific/Easter Europe/Chisinau`)

// tick wakes random syncs of a ledger, as a process that is killed at some time: late, early, twice,
// and after weeks asleep. It prints the instant that its clock has reached.
func tick(place string) {
	seed, _ := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	clock, _ := time.Parse(time.RFC3339, os.Getenv("CLOCK"))
	until, _ := time.Parse(time.RFC3339, os.Getenv("UNTIL"))
	r := rand.New(rand.NewPCG(seed, 1))
	l, err := ledger.Open(context.Background(), place)
	exitIf(err)
	e := tickEngine(l)
	syncs, err := l.Syncs(context.Background(), "ticks")
	exitIf(err)
	for clock.Before(until) {
		for range len(syncs) {
			at := clock.Add(time.Duration(r.Int64N(int64(30*time.Hour))) - 20*time.Hour) // also before earlier ones
			_, err := e.WakeSync(context.Background(), syncs[r.IntN(len(syncs))].ID, at)
			exitIf(err)
		}
		step := time.Duration(r.Int64N(int64(36 * time.Hour)))
		if r.IntN(40) == 0 {
			step = 21 * 24 * time.Hour
		}
		clock = clock.Add(step)
		fmt.Println(clock.Format(time.RFC3339))
	}
}

func exitIf(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// tickEngine returns an engine that only wakes syncs.
func tickEngine(l *ledger.Ledger) *Engine {
	c, err := client.New(client.Options{Key: "na1.key", BaseURL: "http://127.0.0.1:1"})
	exitIf(err)
	return New(Options{Ledger: l, Client: c, Account: "ticks", Now: time.Now})
}

// TestSyncsUnderKills lets simulated months pass for daily and hourly syncs of many zones, by
// processes that are killed at random, two at a time. Each window is recorded once, with one
// chunk, and they are those that one calculation for the whole time gives. CI compares them
// with those of another program too.
func TestSyncsUnderKills(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l, err := ledger.Open(t.Context(), place)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			syncs := addSyncs(t, l)
			until := syncBegin.AddDate(0, 0, *syncDays)
			kills := passTime(t, place, until)
			total := 0
			for _, s := range syncs {
				wakeToTheEnd(t, l, s, until)
				total += checkSync(t, l, s, until)
			}
			t.Logf("%d windows of %d syncs, %d kills", total, len(syncs), kills)
			if kills == 0 {
				t.Error("no process was killed")
			}
			if *syncOut != "" {
				writeWindows(t, l, syncs, until, *syncOut+"."+kind)
			}
		})
	}
}

// wakeToTheEnd adds what a sync lacks at an instant, also what its cap has left.
func wakeToTheEnd(t *testing.T, l *ledger.Ledger, s ledger.Sync, at time.Time) {
	t.Helper()
	e := tickEngine(l)
	for n := 1; n > 0; {
		var err error
		if n, err = e.WakeSync(t.Context(), s.ID, at); err != nil {
			t.Fatal(err)
		}
	}
}

// addSyncs adds a daily and an hourly sync of each zone.
func addSyncs(t *testing.T, l *ledger.Ledger) (syncs []ledger.Sync) {
	t.Helper()
	for i, zone := range zonesOfSyncs[:min(*syncZones, len(zonesOfSyncs))] {
		for _, every := range []string{"day", "hour"} {
			request := fmt.Sprintf(`{"segment_id":"everyone","type":"TYPE_EVENT","timezone":%q,"time_range":{"start":%q}}`, zone,
				syncBegin.Format(time.RFC3339))
			name := fmt.Sprintf("%s-%d", every, i)
			b := ledger.Bulk{
				ID: ledger.NewID("bulk"), Account: "ticks", Name: name, Request: []byte(request), Granularity: every,
				State: ledger.BulkComplete, CreatedAt: syncBegin, FinishedAt: syncBegin, Fetch: true,
			}
			s := ledger.Sync{
				ID: ledger.NewID("sync"), Account: "ticks", Name: name, Bulk: b.ID, Generation: 1, Request: []byte(request),
				Chunk: every, Every: every, Anchor: syncBegin, Lag: 24 * time.Hour, CatchUp: ledger.CatchUpAll,
			}
			b.Sync = s.ID
			err := l.Write(t.Context(), func(t *ledger.Tx) error {
				if err := t.AddBulk(b); err != nil {
					return err
				}
				return t.AddSync(s)
			})
			if err != nil {
				t.Fatal(err)
			}
			syncs = append(syncs, s)
		}
	}
	return syncs
}

// passTime lets time pass in two processes at once, each of which is killed and started again until
// its clock reaches an instant. It returns how many kills there were.
func passTime(t *testing.T, place string, until time.Time) int {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var kills atomic.Int64
	ended := make(chan error, 2)
	for process := range 2 {
		r := rand.New(rand.NewPCG(seed, uint64(process)))
		go func() {
			clock, err := syncBegin, error(nil)
			for err == nil && clock.Before(until) {
				var killed bool
				clock, killed, err = tickUntilKilled(place, clock, until, r)
				if killed {
					kills.Add(1)
				}
			}
			ended <- err
		}()
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	return int(kills.Load())
}

// tickUntilKilled runs a process that wakes syncs, and kills it after a random number of its
// steps, at a random instant of the next one. It returns the instant of its clock.
func tickUntilKilled(place string, clock, until time.Time, r *rand.Rand) (_ time.Time, killed bool, err error) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), ticker+"="+place, "SEED="+strconv.FormatUint(r.Uint64(), 10),
		"CLOCK="+clock.Format(time.RFC3339), "UNTIL="+until.Format(time.RFC3339))
	var complaint strings.Builder
	c.Stderr = &complaint
	out, err := c.StdoutPipe()
	if err != nil {
		return clock, false, err
	}
	if err := c.Start(); err != nil {
		return clock, false, err
	}
	left := 1 + r.IntN(12)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if at, err := time.Parse(time.RFC3339, lines.Text()); err == nil {
			clock = at
		}
		if left--; left == 0 {
			killed = true
			time.AfterFunc(time.Duration(r.IntN(40))*time.Millisecond, func() { c.Process.Kill() })
		}
	}
	err = c.Wait()
	if killed && complaint.Len() == 0 {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, complaint.String())
	}
	return clock, killed, err
}

// checkSync compares the windows of a sync, and its chunks, with those of one calculation. It
// returns how many there are.
func checkSync(t *testing.T, l *ledger.Ledger, s ledger.Sync, until time.Time) int {
	t.Helper()
	recorded, err := l.SyncWindows(t.Context(), s.Bulk)
	if err != nil {
		t.Fatal(err)
	}
	terms, err := TermsOf(s)
	if err != nil {
		t.Fatal(err)
	}
	// A tick may have come up to 10 hours after the clock of its process, which is before until.
	latest := until
	if n := len(recorded); n > 0 && recorded[n-1].End.After(until.Add(-s.Lag)) {
		latest = recorded[n-1].End.Add(s.Lag)
	}
	want, _ := terms.Missing(nil, latest, MostMissing)
	if len(want) != len(recorded) || len(want) == 0 {
		t.Fatalf("%s: %d windows, want %d", s.Name, len(recorded), len(want))
	}
	chunks, err := l.Chunks(t.Context(), s.Bulk, 0, len(want)+1, "")
	if err != nil || len(chunks) != len(want) {
		t.Fatalf("%s: %d chunks of %d windows, %v", s.Name, len(chunks), len(want), err)
	}
	for i, w := range want {
		if !w.Start.Equal(recorded[i].Start) || !w.End.Equal(recorded[i].End) || !chunks[i].Start.Equal(w.Start) ||
			!chunks[i].End.Equal(w.End) {
			t.Fatalf("%s: window %d is %v, its chunk from %v, want %v", s.Name, i, recorded[i], chunks[i].Start, w)
		}
	}
	return len(want)
}

// writeWindows writes a JSON line for each sync.
func writeWindows(t *testing.T, l *ledger.Ledger, syncs []ledger.Sync, until time.Time, path string) {
	t.Helper()
	file, err := os.Create(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, s := range syncs {
		windows, err := l.SyncWindows(t.Context(), s.Bulk)
		if err != nil {
			t.Fatal(err)
		}
		var request struct{ Timezone string }
		if err := json.Unmarshal(s.Request, &request); err != nil {
			t.Fatal(err)
		}
		line := map[string]any{
			"name": s.Name, "zone": request.Timezone, "every": s.Every, "anchor": s.Anchor, "until": until,
			"lag_hours": s.Lag.Hours(), "windows": windows,
		}
		if err := json.NewEncoder(file).Encode(line); err != nil {
			t.Fatal(err)
		}
	}
}
