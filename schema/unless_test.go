package schema

import (
	"strings"
	"testing"
)

// alike has fields that another one makes optional.
type alike struct {
	Name string `json:"name" unless:"like" jsonschema:"minLength=1" jsonschema_description:"A name."`
	Like string `json:"like,omitempty" jsonschema:"minLength=1" jsonschema_description:"Another one."`
}

type alikeAndMore struct {
	alike
	Size int `json:"size" unless:"like" jsonschema_description:"A size."`
	Must int `json:"must" jsonschema_description:"A number."`
}

// TestUnless leaves out fields that are required unless another one is given.
func TestUnless(t *testing.T) {
	s := input[alikeAndMore](t)
	if raw := string(s.JSON()); !strings.HasSuffix(raw, `"required":["must"]}`) {
		t.Errorf("published as %s", raw)
	}
	for args, want := range map[string]string{
		`{"name":"x","size":1,"must":1}`:         "",
		`{"like":"y","must":1}`:                  "",
		`{"name":"x","like":"y","must":1}`:       "",
		`{"name":"x","must":1,"like":""}`:        "size: missing; it is required: an integer, unless like is given",
		`{"must":1,"size":null}`:                 "name: missing; it is required: a string of at least 1 characters, ",
		`{"like":"y"}`:                           "must: missing; it is required: an integer",
		`{"nam":"x","must":1}`:                   "nam: unknown field;",
		`{"size":"x","must":1,"name":"\u00e4"}`:  `size: got "x"`,
		`{"name":"","size":1,"must":1,"like":7}`: "like: got 7",
	} {
		var got alikeAndMore
		err := s.Decode([]byte(args), &got)
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", args, err, want)
		}
	}
}

// TestSummaryTag publishes only the summary of an embedded struct, and the tags of the
// structs of a list.
func TestSummaryTag(t *testing.T) {
	type result struct {
		Summary string `json:"summary"`
		State   string `json:"state"`
	}
	type short struct {
		result `schema:"summary"`
		Rows   []struct {
			Window window `json:"window" schema:"brief"`
		} `json:"rows"`
	}
	s, err := Output[short]()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"properties":{"summary":{"type":"string"},"rows":{"items":{"properties":{"window":{"type":"object"}},` +
		`"type":"object","required":["window"]},"type":"array"}},"type":"object","required":["summary","rows"]}`
	if got := string(s.JSON()); got != want {
		t.Errorf("published as %s\nwant %s", got, want)
	}
	if err := s.Validate([]byte(`{"summary":"x","state":"y","rows":[]}`)); err != nil {
		t.Errorf("a field that is not published: %v", err)
	}
}
