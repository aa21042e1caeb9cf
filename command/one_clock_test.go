package command

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/sandbox"
)

// clocked is what results say about the clock.
type clocked struct {
	Summary  string
	Today    string
	Range    window
	Request  struct{ Now string }
	Warnings []struct{ Code, Message string }
}

func (n clocked) codes() (codes []string) {
	for _, w := range n.Warnings {
		codes = append(codes, w.Code)
	}
	return codes
}

// TestOneClock talks to a Fullstory whose clock is days ahead of this machine's, and one
// whose clock is days behind. Each call is the first of its process, so that nothing has
// told it the time before. Relative words, notices and expiries follow Fullstory's clock.
func TestOneClock(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{9 * 24 * time.Hour, -9 * 24 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			t.Parallel()
			at := time.Now().UTC().Add(skew).Truncate(24 * time.Hour).Add(12 * time.Hour) // not near midnight
			api := fullstory(t, sandbox.Config{Now: at, ExportLife: 24 * time.Hour})
			env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
			day := func(n int) string { return at.AddDate(0, 0, n).Format(time.DateOnly) }
			request := func(start, end string) map[string]any {
				return map[string]any{
					"segment_id": "everyone", "type": "TYPE_EVENT", "dry_run": true, "time_range": window{start, end},
				}
			}

			plan := firstCall(t, env, args, "plan_time_chunks", map[string]any{"time_range": window{Start: "yesterday"}})
			if plan.Today != day(0) || plan.Range.Start != day(-1)+"T00:00:00Z" || plan.Range.End != day(0)+"T00:00:00Z" {
				t.Errorf("a plan of yesterday, when Fullstory has %s: %+v", day(0), plan)
			}
			for _, tool := range []string{"create_segment_export", "start_bulk_export"} {
				// It ended long ago, or lies in the future, by one of the two clocks only.
				dry := firstCall(t, env, args, tool, request(day(-4), day(-3)))
				if codes := dry.codes(); slices.Contains(codes, "range_future") ||
					slices.Contains(codes, "window_unsettled") || !slices.Contains(codes, "clock_skew") || dry.Today != "" {
					t.Errorf("%s of a settled day: today %q, notices %v", tool, dry.Today, codes)
				}
				dry = firstCall(t, env, args, tool, request("last_3_days", ""))
				if dry.Today != day(0) || !strings.Contains(dry.Summary, "Today is "+day(0)+" in UTC.") ||
					!slices.Contains(dry.codes(), "window_unsettled") {
					t.Errorf("%s of the last three days: %+v", tool, dry)
				}
			}
			checkSkewProblem(t, env, args, -skew)
			checkExpiry(t, env, args, request(day(-2), day(-1)))
		})
	}
}

// firstCall makes one call in a new process.
func firstCall(t *testing.T, env map[string]string, args []string, tool string, arguments any) (n clocked) {
	t.Helper()
	c := converse(t, env, args...)
	defer c.end()
	c.call(tool, arguments, &n)
	return n
}

// checkSkewProblem checks what check_connection says about a clock that is ahead by about
// ahead.
func checkSkewProblem(t *testing.T, env map[string]string, args []string, ahead time.Duration) {
	t.Helper()
	var connection struct {
		Skew     float64 `json:"clock_skew_seconds"`
		Problems []string
	}
	c := converse(t, env, args...)
	defer c.end()
	c.call("check_connection", nil, &connection)
	side := "ahead of"
	if ahead < 0 {
		side = "behind"
	}
	if off := connection.Skew - ahead.Seconds(); off < -86400 || off > 86400 || len(connection.Problems) != 1 ||
		!strings.Contains(connection.Problems[0], "clock_skew") || !strings.Contains(connection.Problems[0], side) {
		t.Errorf("check_connection says %+v, want %v", connection, ahead)
	}
}

// checkExpiry creates an export whose file can be fetched for a day: by the machine's clock
// it has expired or is far from that.
func checkExpiry(t *testing.T, env map[string]string, args []string, request map[string]any) {
	t.Helper()
	c := converse(t, env, args...)
	delete(request, "dry_run")
	var made created
	c.call("create_segment_export", request, &made)
	var op struct {
		State, Summary string
		Poll           int `json:"poll_after_seconds"`
	}
	c.call("get_export_operation", map[string]any{"operation_id": made.OperationID}, &op)
	if op.State == "PENDING" && op.Poll > 3 {
		t.Errorf("an operation of this moment is polled after %d seconds", op.Poll)
	}
	c.call("get_export_operation", map[string]any{"operation_id": made.OperationID, "wait_seconds": 20}, &op)
	if op.State != "COMPLETED" || strings.Contains(op.Summary, "expired") {
		t.Errorf("got %+v", op)
	}
}

// TestTodayInZones states today in the zone of the request. The clock of the built-in sandbox
// is that of the program.
func TestTodayInZones(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 10, 15, 12, 0, 0, 0, time.UTC)
	c := converse(t, nil, simulated(t, "--sandbox-now", at.Format(time.RFC3339))...)
	var n clocked
	for _, zone := range []string{"UTC", "Pacific/Auckland", "America/Los_Angeles"} {
		c.call("plan_time_chunks", map[string]any{
			"time_range": window{Start: "now-2d/d", End: "today"}, "timezone": zone, "segment_id": "everyone",
		}, &n)
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		today := at.In(location).Format(time.DateOnly)
		if want := fmt.Sprintf("Today is %s in %s.", today, zone); n.Today != today || !strings.Contains(n.Summary, want) {
			t.Errorf("%s: got %+v, want %s", zone, n, want)
		}
		if slices.Contains(n.codes(), "clock_skew") {
			t.Errorf("the built-in sandbox is the clock, but there are %v", n.codes())
		}
	}
}
