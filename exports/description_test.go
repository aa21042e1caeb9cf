package exports

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"fullstory-export-mcp/client"
)

// TestDescription checks what the JSON of a description leaves out or shortens.
func TestDescription(t *testing.T) {
	t.Parallel()
	r := client.ExportRequest{SegmentID: "s1", Type: client.TypeIndividual, SegmentTimeRange: &client.TimeRange{}}
	long := strings.Repeat("a name ", 100)
	for i := range 200 {
		r.Fields = append(r.Fields, fmt.Sprintf("evt_field_%d_str", i))
	}
	raw, err := json.Marshal(Describe(r, "<b>"+long+"\u202e"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name   string `json:"segment_name"`
		Fields int
		Scope  *string
		Window client.TimeRange `json:"segment_time_range"`
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	if n := len([]rune(got.Name)); n > segmentNameLimit+1 || strings.Contains(got.Name, "<b>") || got.Fields != 200 ||
		got.Scope != nil || got.Window.Start != "all" {
		t.Errorf("%d characters of a name in %s", n, raw)
	}
	if describe(client.ExportRequest{}, "") != nil || (*Description)(nil).Brief() != nil {
		t.Error("an unknown request is described")
	}
}
