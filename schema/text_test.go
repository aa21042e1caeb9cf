package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

type period struct {
	Start string `json:"start,omitempty" jsonschema:"maxLength=10" jsonschema_description:"Start."`
	End   string `json:"end,omitempty" jsonschema_description:"End."`
}

func (period) TextField() string { return "start" }

// TestText gives strings in place of objects; the published schema remains that of
// objects.
func TestText(t *testing.T) {
	type inner struct {
		At *period `json:"at,omitempty" jsonschema_description:"When."`
	}
	type request struct {
		inner
		Range period   `json:"range" jsonschema_description:"What."`
		Many  []period `json:"many,omitempty" jsonschema_description:"Several."`
		Plain struct{} `json:"plain,omitempty" jsonschema_description:"Not a Texter."`
	}
	s := input[request](t)
	if strings.Count(string(s.JSON()), `"type":"object"`) != 5 {
		t.Errorf("published: %s", s.JSON())
	}
	var got request
	if err := s.Decode(json.RawMessage(`{"at":"own","range":"2026-10","many":["a",{"end":"b"}]}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.At == nil || got.At.Start != "own" || got.Range.Start != "2026-10" || got.Many[0].Start != "a" ||
		got.Many[1].End != "b" {
		t.Errorf("got %+v", got)
	}
	for args, want := range map[string]string{
		`{"range":"far too long a text"}`: `range.start: got "far too long a text" (a string), want a string of at ` +
			`most 10 characters`,
		`{"range":5}`:               `range: got 5, want an object with start, end, or a string`,
		`{"range":"x","plain":"x"}`: `plain: got "x" (a string), want an object without fields`,
	} {
		if err := s.Decode(json.RawMessage(args), new(request)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", args, err, want)
		}
	}
}
