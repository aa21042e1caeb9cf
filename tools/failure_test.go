package tools

import (
	"encoding/json"
	"testing"
	"time"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/schema"
)

// TestFailuresFitTheSchema checks what a failed call of each tool says about a retry: by the
// schema of its results, because clients check failures as well.
func TestFailuresFitTheSchema(t *testing.T) {
	x := exports.Explanation{Kind: exports.Fullstory, Cause: "It is throttled.", After: 1500 * time.Millisecond}
	check := func(name string, out *schema.Schema) {
		raw, _ := failed(x, out).StructuredContent.(json.RawMessage)
		var got struct {
			Summary string
			Seconds int `json:"retry_after_seconds"`
		}
		if err := json.Unmarshal(raw, &got); err != nil || got.Summary != x.Cause || got.Seconds != 2 {
			t.Errorf("%s: %s, %v", name, raw, err)
		}
		if err := out.Validate(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if failed(exports.Explanation{Cause: "It is wrong."}, out).StructuredContent != nil {
			t.Errorf("%s: a failure that a retry does not change has structured content", name)
		}
	}
	for _, d := range listed(t, Settings{}) {
		check(d.Served.Tool.Name, d.Results)
	}
}
