package sandbox

import (
	"encoding/csv"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQuirks(t *testing.T) {
	a := serveAPI(t, Config{Quirks: []string{"strict_keys", "any_field", "bearer", "head", "oldest_first"}})
	unknown := strings.Replace(minimalCreate, `{`, `{"columns":[],`, 1)
	if r := a.ask("POST", createPath, KeyArchitect, unknown); r.status != 400 || !strings.Contains(r.body, "columns") {
		t.Errorf("strict_keys: %d %s", r.status, r.body)
	}
	a.create(request("everyone", "TYPE_EVENT", "FORMAT_CSV", `"fields":["NoSuchField"]`))
	if r := a.ask("GET", "/me", "", "", "Authorization", "Bearer "+KeyAdmin); r.status != 200 {
		t.Errorf("bearer: %d", r.status)
	}
	if r := a.ask("HEAD", a.link(minimalCreate), "", ""); r.status != 200 {
		t.Errorf("head: %d", r.status)
	}
	a.create(minimalCreate)
	list := a.ask("GET", "/operations/v1", KeyStandard, "").fields()["operations"].([]any)
	createdAt := func(i int) string { return list[i].(map[string]any)["createdAt"].(string) }
	if first, last := createdAt(0), createdAt(1); first >= last {
		t.Errorf("oldest_first: %s before %s", first, last)
	}
	for _, invalid := range [][]string{{"x"}, {"json_lines", "json_line_ends"}} {
		if _, err := New(Config{Quirks: invalid}); err == nil {
			t.Errorf("the quirks %s are accepted", invalid)
		}
	}
}

// TestQuirksAreListed checks that the help of the flag names every quirk.
func TestQuirksAreListed(t *testing.T) {
	field, _ := reflect.TypeFor[Config]().FieldByName("Quirks")
	_, listed, _ := strings.Cut(field.Tag.Get("help"), ": ")
	var names []string
	for _, q := range quirks {
		names = append(names, q.name)
	}
	if want := strings.Join(names, ", ") + "."; listed != want {
		t.Errorf("the help lists %s\nwant %s", listed, want)
	}
}

// TestSchemes checks the names of the scheme that carries a key.
func TestSchemes(t *testing.T) {
	plain, quirky := serveAPI(t, Config{}), serveAPI(t, Config{Quirks: []string{"bearer"}})
	for scheme, want := range map[string][2]int{
		"Basic ": {200, 200}, "basic ": {200, 200}, "BASIC ": {200, 200}, "bAsIc   ": {200, 200},
		"Bearer ": {401, 200}, "bearer ": {401, 200}, "BasicX ": {401, 401}, "": {401, 401}, "Basic": {401, 401},
	} {
		for i, a := range []*api{plain, quirky} {
			if r := a.ask("GET", "/me", "", "", "Authorization", scheme+KeyAdmin); r.status != want[i] {
				t.Errorf("%q: %d, want %d", scheme, r.status, want[i])
			}
		}
	}
}

// sdkFields are the fields that Fullstory's SDK requests whatever the type.
const sdkFields = `"fields":["EventSubType","EventStart","EventType","PageId","SessionId","UserId",` +
	`"NumEvents","Uid"],"eventDetails":{"scope":"SCOPE_EVENTS"}`

// TestIndividualsOfTheSDK exports individuals with fields of events, as Fullstory's SDK
// does.
func TestIndividualsOfTheSDK(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	export := func(shape, more string) string {
		return unzip(t, a.ask("GET", a.link(request("everyone", "TYPE_INDIVIDUAL", shape, more)), "", "").body)
	}
	header, _, _ := strings.Cut(export("FORMAT_CSV", sdkFields), "\r\n")
	if header != "NumEvents,Uid" {
		t.Errorf("the columns are %s", header)
	}
	for line := range strings.Lines(export("FORMAT_NDJSON", sdkFields)) {
		if !strings.HasPrefix(line, `{"NumEvents":`) || strings.Contains(line, "Event"+"Start") {
			t.Fatalf("a row is %s", line)
		}
	}
	want, _, _ := strings.Cut(export("FORMAT_CSV", `"fields":[]`), "\r\n")
	got, _, _ := strings.Cut(export("FORMAT_CSV", `"fields":["EventStart","UserId","evt_*"]`), "\r\n")
	if got != want || !strings.HasPrefix(got, "IndvId,") {
		t.Errorf("with ignored fields alone the columns are %s", got)
	}
	if windows := a.sandbox.report().Windows; windows != 1 {
		t.Errorf("%d windows", windows)
	}
	strict := serveAPI(t, Config{Quirks: []string{"strict_individuals"}})
	for _, more := range []string{`"eventDetails":{"scope":"SCOPE_EVENTS"}`, `"eventDetails":{}`, `"fields":["UserId"]`} {
		body := request("everyone", "TYPE_INDIVIDUAL", "FORMAT_CSV", more)
		if r := strict.ask("POST", createPath, KeyArchitect, body); r.status != 400 {
			t.Errorf("strict_individuals: %s is answered %d", more, r.status)
		}
	}
}

// TestRangeIsFilledIn leaves timeRange out.
func TestRangeIsFilledIn(t *testing.T) {
	a := serveAPI(t, Config{Quirks: []string{"optional_range"}})
	link := a.link(`{"segmentId":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON","timeRange":null}`)
	starts := startsOf(t, unzip(t, a.ask("GET", link, "", "").body))
	first, last := slices.Min(starts), slices.Max(starts)
	if first < "2026-10-29T12" || first > "2026-10-30T12" || last < "2026-11-04T12" || last > "2026-11-05T13" {
		t.Errorf("rows from %s to %s", first, last)
	}
	exports := a.accepted().Exports
	if length := exports.To.Sub(exports.From); length != 7*24*time.Hour || exports.To.Sub(noon) > time.Minute {
		t.Errorf("the range is %v", exports)
	}
}

// accepted returns the only distinct accepted request.
func (a *api) accepted() acceptedRequest {
	a.Helper()
	all, err := a.sandbox.accepted()
	if err != nil || len(all) != 1 {
		a.Fatalf("accepted: %v, %v", all, err)
	}
	return all[0]
}

// TestLayoutsOfJSON checks where lines end in FORMAT_JSON, also under a fault of rows,
// which must find each of them.
func TestLayoutsOfJSON(t *testing.T) {
	for quirk, layout := range map[string][3]string{
		"": {"[", ",", "]"}, "json_line_ends": {"[", ",\n", "]"}, "json_lines": {"[\n", ",\n", "\n]"},
	} {
		c := Config{Density: usual}
		if quirk != "" {
			c.Quirks = []string{quirk}
		}
		a := serveAPI(t, c)
		location := a.link(anHour("FORMAT_JSON"))
		plain := unzip(t, a.ask("GET", location, "", "").body)
		var rows []json.RawMessage
		if err := json.Unmarshal([]byte(plain), &rows); err != nil || len(rows) < 100 {
			t.Fatalf("%s: %d rows, %v", quirk, len(rows), err)
		}
		if plain != inLayout(rows, layout) {
			t.Errorf("%s: the file begins with %.200q and ends with %q", quirk, plain, plain[len(plain)-10:])
		}
		if got := a.content(location, `"do":"duplicate_keys","rows":3`); strings.Count(got, `"IndvId":`) != len(rows)+3 ||
			strings.Count(got, "\n") != strings.Count(plain, "\n") || !strings.HasPrefix(got, layout[0]+`{"IndvId"`) {
			t.Errorf("%s: duplicate_keys changes %d rows of %d: %.200q", quirk, strings.Count(got, `"IndvId":`)-len(rows),
				len(rows), got)
		}
		if got := a.content(location, `"do":"error_row","message":"x"`); got != layout[0]+`{"error":"x"}`+layout[2] {
			t.Errorf("%s: error_row: %q", quirk, got)
		}
		a.set(`{}`)
		none := strings.Replace(anHour("FORMAT_JSON"), "T19:", "T18:", 1)
		if got := unzip(t, a.ask("GET", a.link(none), "", "").body); got != "[]" {
			t.Errorf("%s: without rows: %.200q", quirk, got)
		}
	}
}

func inLayout(rows []json.RawMessage, layout [3]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString(layout[min(i, 1)])
		b.Write(row)
	}
	return b.String() + layout[2]
}

// TestVariablesTogether compares the custom variables of a CSV as JSON columns with
// those of NDJSON.
func TestVariablesTogether(t *testing.T) {
	t.Parallel()
	d, err := openData(Config{Seed: 7, Density: usual, Quirks: []string{"csv_vars"}})
	if err != nil {
		t.Fatal(err)
	}
	q := everyone(t, d, window{from: clock.Add(-6 * time.Hour)})
	q.fields = []string{"UserId", "PageId", "EventStart", "evt_*", "user_*", "page_*"}
	var want []string
	for _, line := range lines(t, d, q) {
		want = append(want, canonical(t, line))
	}
	slices.Sort(want)
	q.format = formatCSV
	read := func() [][]string {
		table, err := csv.NewReader(strings.NewReader(file(t, d, q))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	table := read()
	if header := strings.Join(table[0], " "); header != "UserId PageId EventStart EventVars UserVars PageVars" {
		t.Fatalf("the columns are %s", header)
	}
	var got []string
	for _, row := range table[1:] {
		named := `{"UserId":` + row[0] + `,"PageId":` + row[1] + `,"EventStart":"` + row[2] + `"}`
		got = append(got, canonical(t, append(row[3:], named)...))
	}
	slices.Sort(got)
	if diff := difference(want, got); diff != "" {
		t.Errorf("(-NDJSON +CSV):\n%.1000s", diff)
	}
	q.fields = nil
	if header := read()[0]; !slices.Equal(header[len(header)-3:], []string{"EventVars", "UserVars", "PageVars"}) ||
		slices.ContainsFunc(header, func(name string) bool { return customVariable.MatchString(name) }) {
		t.Errorf("without fields the columns are %s", header)
	}
	q.fields = []string{"UserId", "user_plan_str"}
	if header := read()[0]; !slices.Equal(header, q.fields) {
		t.Errorf("a variable by name: %s", header)
	}
	q.rows, q.scope, q.fields = individualRows, "", []string{"IndvId", "user_*"}
	if header := read()[0]; !slices.Equal(header, []string{"IndvId", "UserVars"}) {
		t.Errorf("of individuals: %s", header)
	}
}

// canonical returns the members of all objects as one object, sorted by name.
func canonical(t *testing.T, objects ...string) string {
	t.Helper()
	all := map[string]json.RawMessage{}
	for _, object := range objects {
		if err := json.Unmarshal([]byte(object), &all); err != nil {
			t.Fatalf("%v: %s", err, object)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
