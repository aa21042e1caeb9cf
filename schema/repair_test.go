package schema

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRepair changes arguments as hosts do. They decode as those that were meant.
func TestRepair(t *testing.T) {
	s := input[request](t)
	const filters = `"time_range":{},"filters":[{"value":"x"}]`
	for changed, meant := range map[string]string{
		// Null and empty strings.
		`"time_range":{},"limit":null,"fields":null,"at":null,"segment_time_range":null`: `"time_range":{}`,
		`"time_range":{"start":null,"end":null}`:                                         `"time_range":{}`,
		`"time_range":{},"limit":"","dry_run":"","fields":"","filters":"","at":""`:       `"time_range":{}`,
		`"time_range":{},"limit":"null","filters":"null"`:                                `"time_range":{}`,
		// Strings of JSON.
		`"time_range":"{\"start\":\"a\"}"`:                `"time_range":{"start":"a"}`,
		`"time_range":" {\"start\":null}\n"`:              `"time_range":{}`,
		`"time_range":"\"{}\""`:                           `"time_range":{}`,
		`"time_range":{"start":"{\"a\":1}"}`:              `"time_range":{"start":"{\"a\":1}"}`,
		`"time_range":{},"filters":"[{\"value\":\"x\"}]"`: filters,
		`"time_range":{},"filters":["{\"value\":\"x\"}"]`: filters,
		`"time_range":{},"fields":"[\"a\",\"b\"]"`:        `"time_range":{},"fields":["a","b"]`,
		`"time_range":{},"limit":"3"`:                     `"time_range":{},"limit":3`,
		`"time_range":{},"limit":" 3.0 "`:                 `"time_range":{},"limit":3`,
		`"time_range":{},"limit":"\"3\""`:                 `"time_range":{},"limit":3`,
		`"time_range":{},"big":"9007199254740993"`:        `"time_range":{},"big":9007199254740993`,
		`"time_range":{},"ratio":"0.5"`:                   `"time_range":{},"ratio":0.5`,
		`"time_range":{},"dry_run":"true"`:                `"time_range":{},"dry_run":true`,
		`"time_range":{},"dry_run":"False"`:               `"time_range":{},"dry_run":false`,
		// Lists of one.
		`"time_range":{},"fields":"a"`:            `"time_range":{},"fields":["a"]`,
		`"time_range":{},"filters":{"value":"x"}`: filters,
		`"time_range":{},"fields":"[a"`:           `"time_range":{},"fields":["[a"]`,
		// What hosts add.
		`"time_range":{},"toolCallId":"x","sessionId":1,"action":{},"chatInput":"","tool":null,"_meta":{}`: `"time_range":{}`,
	} {
		object := func(rest string) string { return `{"segment_id":"3","type":"TYPE_EVENT",` + rest + "}" }
		for _, args := range []string{object(changed), quote(object(changed))} {
			var got, want request
			if err := s.Decode(json.RawMessage(args), &got); err != nil {
				t.Errorf("%s: %v", args, err)
				continue
			}
			if err := s.Decode(json.RawMessage(object(meant)), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{}, embedded{})); diff != "" {
				t.Errorf("%s (-want +got)\n%s", args, diff)
			}
		}
	}
}

// quote returns text as a JSON string.
func quote(text string) string {
	raw, _ := json.Marshal(text)
	return string(raw)
}

// TestRepairOfTexts has a type for which a string is accepted: JSON in the string counts
// only if it is an object.
func TestRepairOfTexts(t *testing.T) {
	s := input[struct {
		At texter `json:"at,omitempty" jsonschema_description:"Time."`
	}](t)
	for given, want := range map[string]string{
		`"2026"`: "2026", `"now"`: "now", `"{\"start\":\"a\"}"`: "a", `{"start":"b"}`: "b", `"[1]"`: "[1]",
		`""`: "", `null`: "", `" [2026 "`: " [2026 ",
		`"\"2026-10\""`: "2026-10", `" \"a/b\" "`: "a/b", `"\"{\\\"start\\\":\\\"a\\\"}\""`: "a", `"\"\""`: "",
	} {
		var got struct{ At texter }
		if err := s.Decode(json.RawMessage(`{"at":`+given+`}`), &got); err != nil || got.At.Start != want {
			t.Errorf("%s: %+v, %v", given, got, err)
		}
	}
	for _, given := range []string{`" "`, `"{\"start\":"`} {
		var got struct{ At texter }
		if err := s.Decode(json.RawMessage(`{"at":`+given+`}`), &got); err == nil {
			t.Errorf("%s: %+v", given, got)
		}
	}
}

type texter struct {
	Start string `json:"start,omitempty" jsonschema_description:"Start."`
}

func (texter) TextField() string { return "start" }
