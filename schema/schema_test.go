package schema

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type window struct {
	Start string `json:"start,omitempty" jsonschema_description:"Start."`
	End   string `json:"end,omitempty" jsonschema:"default=now" jsonschema_description:"End."`
}

type request struct {
	embedded
	SegmentID string     `json:"segment_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"Which segment, by id, name or URL."`
	Type      string     `json:"type" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_INDIVIDUAL" jsonschema_description:"Rows."`
	Range     window     `json:"time_range" jsonschema_description:"What."`
	Segment   *window    `json:"segment_time_range,omitempty" jsonschema_description:"Over what."`
	Fields    []string   `json:"fields,omitempty" jsonschema:"maxItems=3" jsonschema_description:"Columns."`
	Limit     int        `json:"limit,omitempty" jsonschema:"minimum=1,maximum=100,default=20" jsonschema_description:"Most."`
	Big       int64      `json:"big,omitempty" jsonschema_description:"An id."`
	Ratio     float64    `json:"ratio,omitempty" jsonschema_description:"A ratio."`
	At        *time.Time `json:"at,omitempty" jsonschema_description:"When."`
	Filters   []struct {
		Value string `json:"value" jsonschema_description:"Value."`
	} `json:"filters,omitempty" jsonschema_description:"Filters."`
}

type embedded struct {
	DryRun bool `json:"dry_run,omitempty" jsonschema:"default=false" jsonschema_description:"Only try."`
}

func input[T any](t testing.TB) *Schema {
	t.Helper()
	s, err := Input[T]()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPublished(t *testing.T) {
	const want = `{"properties":{"dry_run":{"type":"boolean","description":"Only try.","default":false},"segment_id":{"type":"string","maxLength":500,"minLength":1,"description":"Which segment, by id, name or URL."},"type":{"type":"string","enum":["TYPE_EVENT","TYPE_PAGES","TYPE_INDIVIDUAL"],"description":"Rows."},"time_range":{"properties":{"start":{"type":"string","description":"Start."},"end":{"type":"string","description":"End.","default":"now"}},"additionalProperties":false,"type":"object","description":"What."},"segment_time_range":{"properties":{"start":{"type":"string","description":"Start."},"end":{"type":"string","description":"End.","default":"now"}},"additionalProperties":false,"type":"object","description":"Over what."},"fields":{"items":{"type":"string"},"type":"array","maxItems":3,"description":"Columns."},"limit":{"type":"integer","maximum":100,"minimum":1,"description":"Most.","default":20},"big":{"type":"integer","description":"An id."},"ratio":{"type":"number","description":"A ratio."},"at":{"type":"string","format":"date-time","description":"When."},"filters":{"items":{"properties":{"value":{"type":"string","description":"Value."}},"additionalProperties":false,"type":"object","required":["value"]},"type":"array","description":"Filters."}},"additionalProperties":false,"type":"object","required":["segment_id","type","time_range"]}`
	if diff := cmp.Diff(want, string(input[request](t).JSON())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got, want := string(input[struct{}](t).JSON()), `{"properties":{},"additionalProperties":false,"type":"object"}`; got != want {
		t.Errorf("no arguments: got %s, want %s", got, want)
	}
	out, err := Output[struct {
		Rows []window `json:"rows"`
	}]()
	if err != nil || strings.Contains(string(out.JSON()), "additionalProperties") {
		t.Errorf("a result is not open: %s, %v", out.JSON(), err)
	}
}

func TestUnfitTypes(t *testing.T) {
	type node struct {
		Next *node `json:"next,omitempty" jsonschema_description:"Next."`
	}
	for name, made := range map[string]func() (*Schema, error){
		"no struct": Input[[]string],
		"recursive": Input[node],
		"anything": Input[struct {
			A any `json:"a" jsonschema_description:"A."`
		}],
		"raw JSON": Input[struct {
			A json.RawMessage `json:"a" jsonschema_description:"A."`
		}],
		"not described": Input[struct {
			A string `json:"a"`
		}],
		"one of": Input[struct {
			A string `json:"a" jsonschema:"oneof_required=x" jsonschema_description:"A."`
		}],
		"nullable": Input[struct {
			A string `json:"a" jsonschema:"nullable" jsonschema_description:"A."`
		}],
		"multiple of": Input[struct {
			A int `json:"a" jsonschema:"multipleOf=2" jsonschema_description:"A."`
		}],
		"other format": Input[struct {
			A string `json:"a" jsonschema:"format=email" jsonschema_description:"A."`
		}],
		"map": Input[struct {
			A map[string]int `json:"a" jsonschema:"minProperties=1" jsonschema_description:"A."`
		}],
		"default too big": Input[struct {
			A int `json:"a,omitempty" jsonschema:"maximum=5,default=9" jsonschema_description:"A."`
		}],
		"default no value": Input[struct {
			A string `json:"a,omitempty" jsonschema:"enum=x,default=y" jsonschema_description:"A."`
		}],
		"bad pattern": Input[struct {
			A string `json:"a" jsonschema:"pattern=[" jsonschema_description:"A."`
		}],
	} {
		if s, err := made(); err == nil {
			t.Errorf("%s: published %s", name, s.JSON())
		}
	}
}

func TestDecode(t *testing.T) {
	s := input[request](t)
	var got request
	args := `{"segment_id":"s","type":"TYPE_EVENT","time_range":{"start":"a"},"segment_time_range":{},"limit":1e1,"big":9007199254740993,"ratio":0.5,"at":"2026-10-01T00:00:00Z","filters":[{"value":"x"}]}`
	if err := s.Decode(json.RawMessage(args), &got); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	want := request{SegmentID: "s", Type: "TYPE_EVENT", Range: window{"a", "now"}, Segment: &window{"", "now"}, Limit: 10, Big: 9007199254740993, Ratio: 0.5, At: &at, Filters: []struct {
		Value string `json:"value" jsonschema_description:"Value."`
	}{{"x"}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{}, embedded{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got = request{}
	if err := s.Decode(json.RawMessage(`{"segment_id":"s","type":"TYPE_EVENT","time_range":{}}`), &got); err != nil || got.Limit != 20 || got.Segment != nil {
		t.Errorf("defaults: %+v, %v", got, err)
	}
	for _, none := range []string{"", "null", " {} "} {
		var empty struct{}
		if err := input[struct{}](t).Decode(json.RawMessage(none), &empty); err != nil {
			t.Errorf("%q: %v", none, err)
		}
	}
}

func TestComplaints(t *testing.T) {
	s := input[request](t)
	const rest = `"segment_id":"s","type":"TYPE_EVENT","time_range":{}`
	const valid = "valid fields are dry_run, segment_id, type, time_range, segment_time_range, fields, limit, big, ratio, at, filters"
	for _, test := range []struct{ args, want string }{
		{`{}`, "segment_id: missing; it is required: a string of 1 to 500 characters\ntime_range: missing; it is required: an object with start, end\ntype: missing; it is required: one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL"},
		{`{"misspelt":1,` + rest + `}`, `misspelt: unknown field; ` + valid},
		{`{"segmentid":"s",` + rest + `}`, `segmentid: unknown field; did you mean "segment_id"? ` + valid},
		{`{"segmentId":"s","type":"events","time_range":{"from":1}}`, "segmentId: unknown field; did you mean \"segment_id\"? " + valid + "\nsegment_id: missing; it is required: a string of 1 to 500 characters\ntime_range.from: unknown field; valid fields are start, end\ntype: got \"events\" (a string), want one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL; nearest: TYPE_EVENT"},
		{`{` + rest + `,"limit":"x"}`, `limit: got "x" (a string), want an integer from 1 to 100`},
		{`{` + rest + `,"limit":"20"}`, `limit: got "20" (a string), want an integer from 1 to 100`},
		{`{` + rest + `,"limit":300}`, `limit: got 300, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":1.5}`, `limit: got 1.5, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":1e999999999}`, `limit: got 1e999999999, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":null}`, `limit: got null, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":100000000}`, `limit: got 100000000, want an integer from 1 to 100`},
		{`{` + rest + `,"dry_run":"yes"}`, `dry_run: got "yes" (a string), want true or false`},
		{`{` + rest + `,"at":"yesterday"}`, `at: got "yesterday" (a string), want an RFC 3339 time such as 2026-10-01T00:00:00Z`},
		{`{` + rest + `,"fields":["a","b","c","d"]}`, `fields: got a list of 4 items, want a list of at most 3 items, each a string`},
		{`{` + rest + `,"fields":["a",7]}`, `fields[1]: got 7, want a string`},
		{`{` + rest + `,"filters":[{"value":""},{"valu":""}]}`, "filters[1].valu: unknown field; did you mean \"value\"? valid fields are value\nfilters[1].value: missing; it is required: a string"},
		{`{` + rest + `,"fields":"a"}`, `fields: got "a" (a string), want a list of at most 3 items, each a string`},
		{`{"segment_id":"","type":5,"time_range":[]}`, "segment_id: got \"\" (a string), want a string of 1 to 500 characters\ntime_range: got a list of 0 items, want an object with start, end\ntype: got 5, want one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL"},
		{`[]`, "arguments: got a list of 0 items, want an object"},
		{`{"a`, "arguments: got text that is not JSON, want a JSON object"},
		{`{"new\nline":1,` + rest + `}`, `new\nline: unknown field; ` + valid},
	} {
		err := s.Decode(json.RawMessage(test.args), new(request))
		var invalid *Invalid
		if !errors.As(err, &invalid) || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %v", test.args, err, test.want)
		}
	}
}

func TestHugeArguments(t *testing.T) {
	s := input[request](t)
	huge := strings.Repeat("x", 10<<20)
	many := strings.Repeat(`"a",`, 100_000)
	var names strings.Builder
	for i := range 2000 {
		names.WriteString(`"x` + strings.Repeat("y", i%50) + string(rune('a'+i%26)) + strings.Repeat("z", i/50) + `":1,`)
	}
	for name, args := range map[string]string{
		"long value": `{"segment_id":"` + huge + `"}`,
		"long name":  `{"` + huge + `":1}`,
		"long list":  `{"fields":[` + many + `"a"]}`,
		"many names": `{` + names.String() + `"limit":1}`,
		"deep":       `{"fields":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"too deep":   `{"fields":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}`,
	} {
		err := s.Decode(json.RawMessage(args), new(request))
		var invalid *Invalid
		if !errors.As(err, &invalid) || len(err.Error()) > 20_000 {
			t.Errorf("%s: got an error of %d bytes: %.300v", name, len(err.Error()), err)
		}
	}
}

func BenchmarkInput(b *testing.B) {
	for b.Loop() {
		if _, err := Input[request](); err != nil {
			b.Fatal(err)
		}
	}
}
