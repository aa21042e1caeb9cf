package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
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

type lists []lists

type embedded struct {
	DryRun bool `json:"dry_run,omitempty" jsonschema:"default=false" jsonschema_description:"Only try."`
}

func input[T any](t testing.TB) *Schema {
	t.Helper()
	s, err := Input[T]()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPublished(t *testing.T) {
	const want = `{"properties":{"dry_run":{"type":"boolean","description":"Only try.","default":false},` +
		`"segment_id":{"type":"string","maxLength":500,"minLength":1,"description":"Which segment, by id, name or ` +
		`URL."},"type":{"type":"string","enum":["TYPE_EVENT","TYPE_PAGES","TYPE_INDIVIDUAL"],"description":"Rows."},` +
		`"time_range":{"properties":{"start":{"type":"string","description":"Start."},"end":{"type":"string",` +
		`"description":"End.","default":"now"}},"additionalProperties":false,"type":"object","description":"What."},` +
		`"segment_time_range":{"properties":{"start":{"type":"string","description":"Start."},"end":{"type":"string",` +
		`"description":"End.","default":"now"}},"additionalProperties":false,"type":"object","description":"Over ` +
		`what."},"fields":{"items":{"type":"string"},"type":"array","maxItems":3,"description":"Columns."},` +
		`"limit":{"type":"integer","maximum":100,"minimum":1,"description":"Most.","default":20},` +
		`"big":{"type":"integer","description":"An id."},"ratio":{"type":"number","description":"A ratio."},` +
		`"at":{"type":"string","format":"date-time","description":"When."},` +
		`"filters":{"items":{"properties":{"value":{"type":"string","description":"Value."}},` +
		`"additionalProperties":false,"type":"object","required":["value"]},"type":"array",` +
		`"description":"Filters."}},"additionalProperties":false,"type":"object","required":["segment_id","type",` +
		`"time_range"]}`
	if diff := cmp.Diff(want, string(input[request](t).JSON())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got, want := string(input[struct{}](t).JSON()),
		`{"properties":{},"additionalProperties":false,"type":"object"}`; got != want {
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
		"not a struct": Input[[]string],
		"recursive":    Input[node],
		"recursive list": Input[struct {
			A lists `json:"a" jsonschema_description:"A."`
		}],
		"anything": Input[struct {
			A any `json:"a" jsonschema_description:"A."`
		}],
		"raw JSON": Input[struct {
			A json.RawMessage `json:"a" jsonschema_description:"A."`
		}],
		"not described": Input[struct {
			A string `json:"a"`
		}],
		"only described inside": Input[struct {
			A struct {
				B string `json:"b" jsonschema_description:"B."`
			} `json:"a"`
		}],
		"not described in a list": Input[struct {
			A []struct {
				B string `json:"b"`
			} `json:"a" jsonschema_description:"A."`
		}],
		"empty string allowed": Input[struct {
			A string `json:"a" jsonschema:"enum=,enum=x" jsonschema_description:"A."`
		}],
		"default list of numbers": Input[struct { // the reflector makes it one of strings
			A []int `json:"a,omitempty" jsonschema:"default=1,default=2" jsonschema_description:"A."`
		}],
		"default in a list": Input[struct {
			A []struct {
				B int `json:"b,omitempty" jsonschema:"maximum=1,default=9" jsonschema_description:"B."`
			} `json:"a,omitempty" jsonschema_description:"A."`
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
		"default not allowed": Input[struct {
			A string `json:"a,omitempty" jsonschema:"enum=x,default=y" jsonschema_description:"A."`
		}],
		"bad pattern": Input[struct {
			A string `json:"a" jsonschema:"pattern=[" jsonschema_description:"A."`
		}],
	} {
		s, err := made()
		if err == nil {
			err = s.Check()
		}
		if err == nil {
			t.Errorf("%s: published %s", name, s.JSON())
		}
	}
}

func TestDecode(t *testing.T) {
	s := input[request](t)
	var got request
	args := `{"segment_id":"s","type":"TYPE_EVENT","time_range":{"start":"a"},"segment_time_range":{},"limit":1e1,` +
		`"big":9007199254740993,"ratio":0.5,"at":"2026-10-01T00:00:00Z","filters":[{"value":"x"}]}`
	if err := s.Decode(json.RawMessage(args), &got); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	want := request{SegmentID: "s", Type: "TYPE_EVENT", Range: window{"a", "now"}, Segment: &window{"", "now"},
		Limit: 10, Big: 9007199254740993, Ratio: 0.5, At: &at, Filters: []struct {
			Value string `json:"value" jsonschema_description:"Value."`
		}{{"x"}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{}, embedded{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got = request{}
	if err := s.Decode(json.RawMessage(`{"segment_id":"s","type":"TYPE_EVENT","time_range":{}}`), &got); err != nil ||
		got.Limit != 20 || got.Segment != nil {
		t.Errorf("defaults: %+v, %v", got, err)
	}
	for _, none := range []string{"", "null", " {} "} {
		var empty struct{}
		if err := input[struct{}](t).Decode(json.RawMessage(none), &empty); err != nil {
			t.Errorf("%q: %v", none, err)
		}
	}
}

func TestInvalidText(t *testing.T) {
	s := input[request](t)
	const rest = `"segment_id":"s","type":"TYPE_EVENT","time_range":{}`
	const valid = "valid fields are dry_run, segment_id, type, time_range, segment_time_range, fields, limit, big, " +
		"ratio, at, filters"
	for _, test := range []struct{ args, want string }{
		{`{}`, "segment_id: missing; it is required: a string of 1 to 500 characters\n" +
			"type: missing; it is required: one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL\n" +
			"time_range: missing; it is required: an object with start, end"},
		{`{"misspelt":1,` + rest + `}`, `misspelt: unknown field; ` + valid},
		{`{"segmentid":"s",` + rest + `}`, `segmentid: unknown field; did you mean "segment_id"? ` + valid},
		{`{"segmentId":"s","type":"events","time_range":{"from":1}}`,
			"segmentId: unknown field; did you mean \"segment_id\"? " + valid +
				"\nsegment_id: missing; it is required: a string of 1 to 500 characters\n" +
				"type: got \"events\" (a string), want one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL; nearest: " +
				"TYPE_EVENT\ntime_range.from: unknown field; valid fields are start, end"},
		{`{` + rest + `,"limit":"x"}`, `limit: got "x" (a string), want an integer from 1 to 100`},
		{`{` + rest + `,"limit":"200"}`, `limit: got 200, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":"3.5"}`, `limit: got 3.5, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":"0x3"}`, `limit: got "0x3" (a string), want an integer from 1 to 100`},
		{`{` + rest + `,"limit":"true"}`, `limit: got "true" (a string), want an integer from 1 to 100`},
		{`{` + rest + `,"dry_run":"1"}`, `dry_run: got "1" (a string), want true or false`},
		{`{` + rest + `,"filters":"[{\"valu\":1}]"}`, "filters[0].valu: unknown field; did you mean \"value\"? " +
			"valid fields are value\nfilters[0].value: missing; it is required: a string"},
		{`{` + rest + `,"limit":300}`, `limit: got 300, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":1.5}`, `limit: got 1.5, want an integer from 1 to 100`},
		{`{` + rest + `,"limit":1e999999999}`, `limit: got 1e999999999, want an integer from 1 to 100`},
		{`{"toolCallID":1,` + rest + `}`, `toolCallID: unknown field; ` + valid},
		{`{"segment_id":"s","type":"TYPE_EVENT","time_range":{"sessionId":1}}`,
			"time_range.sessionId: unknown field; valid fields are start, end"},
		{`{` + rest + `,"limit":100000000}`, `limit: got 100000000, want an integer from 1 to 100`},
		{`{` + rest + `,"dry_run":"yes"}`, `dry_run: got "yes" (a string), want true or false`},
		{`{` + rest + `,"at":"yesterday"}`, `at: got "yesterday" (a string), want an RFC 3339 time such as ` +
			`2026-10-01T00:00:00Z`},
		{`{` + rest + `,"fields":["a","b","c","d"]}`,
			`fields: got a list of 4 items, want a list of at most 3 items, each a string`},
		{`{` + rest + `,"fields":["a",7]}`, `fields[1]: got 7, want a string`},
		{`{` + rest + `,"filters":[{"value":""},{"valu":""}]}`,
			"filters[1].valu: unknown field; did you mean \"value\"? valid fields are value\n" +
				"filters[1].value: missing; it is required: a string"},
		{`{` + rest + `,"fields":7}`, `fields[0]: got 7, want a string`},
		{`{` + rest + `,"filters":"a"}`, `filters[0]: got "a" (a string), want an object with value`},
		{`{"segment_id":"","type":5,"time_range":[]}`,
			"segment_id: got \"\" (a string), want a string of 1 to 500 characters\n" +
				"type: got 5, want one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL\n" +
				"time_range: got a list of 0 items, want an object with start, end"},
		{`[]`, "arguments: got a list of 0 items, want a JSON object"},
		{`"{}x"`, `arguments: got "{}x" (a string), want a JSON object`},
		{`{"a`, "arguments: got text that is not JSON (unexpected EOF), want a JSON object"},
		{`{` + rest + `} {}`, "arguments: got text that is not JSON (invalid character after top-level value), want " +
			"a JSON object"},
		{`{"segment_id":null,"type":"","time_range":null}`,
			"segment_id: got null, want a string of 1 to 500 characters\n" +
				"type: got \"\" (a string), want one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL\n" +
				"time_range: got null, want an object with start, end"},
		{`{` + rest + `,"start":"2026-10-01"}`, `start: unknown field; did you mean "time_range.start"? ` + valid},
		{`{` + rest + `,"big":99999999999999999999}`,
			"big: got a number 99999999999999999999, want a number that the field can hold"},
		{`{` + rest + `,"big":1e30}`, "big: got a number 1000000000000000000000000000000, want a number that the " +
			"field can hold"},
		{`{` + rest + `,"limit":1e-999999999}`, `limit: got 1e-999999999, want an integer from 1 to 100`},
		{`{` + rest + `,"ratio":1e999}`, `ratio: got 1e999, want a number`},
		{`{` + rest + `,"misspelt":{"deep":1e999}}`, `misspelt: unknown field; ` + valid},
		{`{` + rest + `,"at":"2026-12-31T23:59:60Z"}`,
			`at: got "2026-12-31T23:59:60Z" (a string), want an RFC 3339 time such as 2026-10-01T00:00:00Z`},
		{`{` + rest + `,"fields":[1,2,"a",null]}`,
			"fields: got a list of 4 items, want a list of at most 3 items, each a string\n" +
				"fields[0]: got 1, want a string\nfields[1]: got 2, want a string\nfields[3]: got null, want a string"},
		{`{"new\nline":1,` + rest + `}`, `new\nline: unknown field; ` + valid},
	} {
		err := s.Decode(json.RawMessage(test.args), new(request))
		var invalid *Invalid
		if !errors.As(err, &invalid) || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %v", test.args, err, test.want)
		}
	}
}

// TestHugeArguments measures allocated memory instead of time, so that the load of
// the machine does not matter.
func TestHugeArguments(t *testing.T) {
	s := input[request](t)
	huge := strings.Repeat("x", 10<<20)
	var names strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&names, `"%s%d":1,`, strings.Repeat("segment_id", 1+i%8), i)
	}
	deep := strings.Repeat("[", 9_900) + strings.Repeat("]", 9_900)
	for name, args := range map[string]string{
		"long value":      `{"segment_id":"` + huge + `"}`,
		"long name":       `{"` + huge + `":1}`,
		"long list":       `{"fields":[` + strings.Repeat(`1,`, 500_000) + `1]}`,
		"many names":      `{` + names.String() + `"limit":1}`,
		"deep":            `{"fields":` + deep + `}`,
		"deep, unknown":   `{"x":` + deep + `}`,
		"too deep":        `{"fields":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `}`,
		"name in a value": `{"` + huge + `":{"a":1e999}}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := s.Decode(json.RawMessage(args), new(request))
		runtime.ReadMemStats(&after)
		var invalid *Invalid
		if !errors.As(err, &invalid) || len(err.Error()) > 10_000 || len(invalid.Problems) > maxProblems {
			t.Errorf("%s: got an error of %d bytes: %.300v", name, len(err.Error()), err)
		}
		if grew := after.TotalAlloc - before.TotalAlloc; grew > 100<<20 {
			t.Errorf("%s: %d bytes of arguments took %d MB", name, len(args), grew>>20)
		}
	}
}

func TestManyProblems(t *testing.T) {
	args := `{"segment_id":"s","type":"TYPE_EVENT","time_range":{},"filters":[` + strings.Repeat(`{},`, 29) + `{}]}`
	err := input[request](t).Decode(json.RawMessage(args), new(request))
	var invalid *Invalid
	if !errors.As(err, &invalid) || len(invalid.Problems) != 20 || invalid.More != 10 ||
		!strings.HasSuffix(err.Error(), "\nfilters[19].value: missing; it is required: a string\nand 10 more") {
		t.Errorf("got %v", err)
	}
}

// TestProblem checks the fields of Problem, which programs read.
func TestProblem(t *testing.T) {
	err := input[request](t).Decode(json.RawMessage(`{"segment_id":"s","type":"pages","time_range":{"begin":1}}`),
		new(request))
	want := &Invalid{Problems: []Problem{
		{Field: "type", Got: `"pages" (a string)`, Want: "one of TYPE_EVENT, TYPE_PAGES, TYPE_INDIVIDUAL",
			Near: "TYPE_PAGES", Known: []string{"TYPE_EVENT", "TYPE_PAGES", "TYPE_INDIVIDUAL"}},
		{Field: "time_range.begin", Known: []string{"start", "end"}},
	}}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	s, err := Output[struct {
		Rows []window `json:"rows"`
	}]()
	if err != nil || s.Check() != nil {
		t.Fatal(err, s.Check())
	}
	if err := s.Validate(json.RawMessage(`{"rows":[{"start":"x"}],"later":{"deep":1e999}}`)); err != nil {
		t.Errorf("a later version's field: %v", err)
	}
	if err := s.Validate(json.RawMessage(`{"rows":null}`)); err == nil ||
		err.Error() != "rows: got null, want a list, each an object with start, end" {
		t.Errorf("a nil list: got %v", err)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := input[request](t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var got request
			args := fmt.Sprintf(`{"segment_id":"s","type":"TYPE_EVENT","time_range":{},"limit":%d}`, i+1)
			if err := s.Decode(json.RawMessage(args), &got); err != nil || got.Limit != i+1 || got.Range.End != "now" {
				t.Errorf("%d: got %+v, %v", i, got, err)
			}
		})
	}
	all.Wait()
}

func BenchmarkInput(b *testing.B) {
	for b.Loop() {
		if _, err := Input[request](); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	s := input[request](b)
	args := json.RawMessage(`{"segment_id":"s","type":"TYPE_EVENT","time_range":{"start":"2026-10-01"}}`)
	for b.Loop() {
		if err := s.Decode(args, new(request)); err != nil {
			b.Fatal(err)
		}
	}
}
