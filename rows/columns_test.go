package rows

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"pgregory.net/rapid"
)

const at = "2026-10-01T10:00:00Z"

// hostileRows are files of a request for fields, and the expected result: a kind of
// damage, or a number of rows with warnings.
var hostileRows = []struct {
	name, format string
	fields       string // with a space between them
	plain        string
	rows         int64
	warnings     Warnings
	kind         Kind
	line         int64
	says         string
}{
	{
		name: "csv as requested", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\r\n" + at + ",x\r\n", rows: 1,
	},
	{
		name: "csv missing column", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart\n" + at + "\n", kind: KindColumns, line: 1, says: `lacks "PageUrl"`,
	},
	{
		name: "csv extra column", format: CSV, fields: "EventStart",
		plain: "EventStart,PageUrl\n" + at + ",x\n", kind: KindColumns, line: 1,
		says: `"PageUrl", not requested`,
	},
	{
		name: "csv other column", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageIp\n" + at + ",x\n", kind: KindColumns, line: 1,
		says: `lacks "PageUrl" and has "PageIp"`,
	},
	{
		name: "csv column twice", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl,PageUrl\n" + at + ",x,x\n", kind: KindColumns, line: 1,
	},
	{
		name: "csv other order", format: CSV, fields: "EventStart PageUrl",
		plain: "PageUrl,EventStart\nx," + at + "\n", kind: KindOrder, line: 1, says: "another order",
	},
	{
		name: "csv semicolons", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart;PageUrl\n" + at + ";x\n", kind: KindSeparator, line: 1, says: "semicolons",
	},
	{
		name: "csv tabs", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart\tPageUrl\n" + at + "\tx\n", kind: KindSeparator, line: 1, says: "tabs",
	},
	{
		name: "csv semicolons, all columns", format: CSV, plain: "IndvId;EventStart\n1;" + at + "\n",
		kind: KindSeparator, line: 1,
	},
	{
		name: "csv without header", format: CSV, fields: "EventStart PageUrl", plain: at + ",x\n" + at + ",y\n",
		kind: KindHeader, line: 1, says: "a row instead of a header",
	},
	{
		name: "csv without header, texts", format: CSV, fields: "EventType PageUrl",
		plain: "click,x\nclick,y\n", kind: KindHeader, line: 1, says: "no header with a requested column",
	},
	{
		name: "csv without header, all columns", format: CSV, plain: "9007199254740993," + at + "\n",
		kind: KindHeader, line: 1,
	},
	{
		name: "csv lone CR", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\r" + at + ",x\r", kind: KindLineEnds, line: 1, says: "CR without LF",
	},
	{
		name: "csv lone CR later", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\r\n" + at + ",x\r" + at + ",y\r\n", kind: KindLineEnds, line: 2,
	},
	{
		name: "csv lone CR, one column", format: CSV, fields: "PageUrl", plain: "PageUrl\nx\ry\n",
		kind: KindLineEnds, line: 2,
	},
	{
		name: "csv lone CR at the end", format: CSV, fields: "PageUrl", plain: "PageUrl\nx\r",
		kind: KindLineEnds, line: 2,
	},
	{
		name: "csv CR in quotes", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\n" + at + ",\"x\ry\"\"\r\n\r\"\n", rows: 1,
	},
	{
		name: "csv all columns without time", format: CSV, plain: "IndvId,PageUrl\n1,x\n", kind: KindColumns,
		line: 1, says: `lacks "EventStart"`,
	},
	{name: "csv empty cells in one column", format: CSV, fields: "PageUrl", plain: "PageUrl\nx\n\n\"\"\n\n", rows: 4},
	{name: "csv empty cells, CRLF", format: CSV, fields: "PageUrl", plain: "PageUrl\r\n\r\n\r\nx", rows: 3},
	{name: "csv only empty cells", format: CSV, fields: "PageUrl", plain: "PageUrl\n\n", rows: 1},
	{name: "csv quoted line ends", format: CSV, fields: "PageUrl", plain: "PageUrl\n\"a\n\nb\"\n\n\"\n\"\n", rows: 3},
	{name: "csv blank header", format: CSV, fields: "PageUrl", plain: "\nPageUrl\nx\n", kind: KindHeader},
	{name: "csv blank lines alone", format: CSV, fields: "PageUrl", plain: "\n\n\n", kind: KindHeader},
	{
		name: "csv blank line, two columns", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\n" + at + ",x\n\n" + at + ",y\n", kind: KindRow, line: 3,
		says: "line 3 is blank",
	},
	{
		name: "csv blank lines at the end", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\n" + at + ",x\n\n\n", rows: 1,
	},
	{name: "csv of JSON", format: CSV, plain: `{"error":"quota"}`, kind: KindFormat, line: 1, says: "plain JSON"},
	{name: "csv of HTML", format: CSV, plain: "<html>secret", kind: KindFormat, line: 1, says: "an HTML page"},
	{
		name: "csv no times", format: CSV, fields: "EventStart PageUrl", plain: "EventStart,PageUrl\n,x\n,y\n",
		kind: KindNoTimes,
	},
	{
		name: "csv some times", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\n,x\n" + at + ",y\n", rows: 2, warnings: Warnings{MissingTime: 1},
	},
	{
		name: "csv times in one column", format: CSV, fields: "EventStart",
		plain: "EventStart\n\n" + at + "\n\n", rows: 3, warnings: Warnings{MissingTime: 2},
	},
	{
		name: "csv invalid UTF-8", format: CSV, fields: "EventStart PageUrl",
		plain: "EventStart,PageUrl\n" + at + ",\xff\n" + at + ",é\n", rows: 2,
		warnings: Warnings{InvalidUTF8: 1},
	},
	{
		name: "csv a column twice, all columns", format: CSV, plain: "EventStart,a,a\n" + at + ",1,2\n",
		rows: 1, warnings: Warnings{DuplicateKeys: 1},
	},
	{
		name: "csv variables", format: CSV, fields: "EventStart evt_* PageUrl",
		plain: "EventStart,evt_a_str,evt_b_int,PageUrl\n" + at + ",x,1,y\n", rows: 1,
	},
	{
		name: "csv variables, another column", format: CSV, fields: "EventStart evt_*",
		plain: "EventStart,user_a_str\n" + at + ",x\n", kind: KindColumns, line: 1,
	},
	{
		name: "csv variables, other order", format: CSV, fields: "EventStart PageUrl evt_*",
		plain: "PageUrl,EventStart,evt_a_str\nx," + at + ",y\n", kind: KindOrder, line: 1,
	},
	{
		name: "csv older spelling", format: CSV, fields: "EventStart EventTargetSelectorTok",
		plain: "EventStart,EventTargetSelector\n" + at + ",y\n", rows: 1,
	},
	{
		name: "csv variables together", format: CSV, fields: "EventStart evt_* user_* page_*",
		plain: "EventStart,EventVars,UserVars,PageVars\n" + at + ",\"{\"\"evt_a_str\"\":\"\"x, y\"\"}\",{},{}\n", rows: 1,
	},
	{
		name: "csv variables together, all columns", format: CSV,
		plain: "UserId,EventStart,EventVars,UserVars,PageVars\n1," + at + ",{},\"{\"\"user_a_int\"\":1}\",{}\n", rows: 1,
	},
	{
		name: "csv variables together, not requested", format: CSV, fields: "EventStart evt_*",
		plain: "EventStart,EventVars,UserVars\n" + at + ",{},{}\n", kind: KindColumns, line: 1,
	},
	{
		name: "csv empty text", format: CSV, fields: "EventStart EventTargetText",
		plain: "EventStart,EventTargetText\n" + at + ",\n" + at + ",\"\"\n", rows: 2,
	},

	{name: "one line", format: JSON, plain: `[{"EventStart":"` + at + `"},{"EventStart":"` + at + `"}]`, rows: 2},
	{
		name: "a line end after each comma", format: JSON,
		plain: `[{"EventStart":"` + at + `"},` + "\n" + `{"EventStart":"` + at + `"}]`, rows: 2,
	},
	{
		name: "an object a line", format: JSON,
		plain: "[\n" + `{"EventStart":"` + at + `"},` + "\n" + `{"EventStart":"` + at + `"}` + "\n]\n", rows: 2,
	},
	{
		name: "indented", format: JSON,
		plain: "[\r\n  {\r\n    \"EventStart\" : \"" + at + "\"\r\n  } ,\r\n  { }\r\n]", rows: 2,
		warnings: Warnings{MissingTime: 1},
	},
	{
		name: "fractions", format: NDJSON, plain: `{"EventStart":"2026-10-01T10:00:55Z"}` + "\n" +
			`{"EventStart":"2026-10-01T10:00:55.100Z","EventTargetText":""}`, rows: 2,
	},

	{
		name: "as requested", format: NDJSON, fields: "EventStart PageUrl",
		plain: `{"EventStart":"` + at + `"}`, rows: 1,
	},
	{
		name: "extra column", format: NDJSON, fields: "EventStart PageUrl",
		plain: `{"EventStart":"` + at + `"}` + "\n\n" + `{"EventStart":"` + at + `","PageIp":"1"}`,
		kind:  KindColumns, line: 3, says: `row 2 has the column "PageIp"`,
	},
	{
		name: "variables", format: NDJSON, fields: "EventStart evt_*",
		plain: `{"EventStart":"` + at + `","evt_x_str":"1"}`, rows: 1,
	},
	{
		name: "variables of another kind", format: NDJSON, fields: "EventStart evt_*",
		plain: `{"EventStart":"` + at + `","user_x_str":"1"}`, kind: KindColumns, line: 1,
	},
	{
		name: "no times", format: NDJSON, plain: `{"IndvId":1}` + "\n" + `{"IndvId":2,"EventStart":null}`,
		kind: KindNoTimes, says: "none of its rows has an EventStart",
	},
	{name: "no times requested", format: NDJSON, fields: "IndvId", plain: `{"IndvId":1}`, rows: 1},
	{
		name: "some times", format: NDJSON,
		plain: `{"IndvId":1}` + "\n" + `{"EventStart":"` + at + `"}` + "\n" + `{"EventStart":""}`, rows: 3,
		warnings: Warnings{MissingTime: 2},
	},
	{
		name: "an error", format: NDJSON, plain: `{"error":"quota exceeded","code":8}`, kind: KindErrorObject,
		says: "an error object in place of rows",
	},
	{
		name: "an error after rows", format: NDJSON,
		plain: `{"EventStart":"` + at + `"}` + "\n" + `{"error":{"code":13}}`, kind: KindErrorObject, line: 2,
		says: "row 2 is an error object",
	},
	{
		name: "an error after rows of an array", format: JSON,
		plain: `[{"EventStart":"` + at + `"},{"code":13,"message":"gone"}]`, kind: KindErrorObject,
	},
	{
		name: "an error, fields", format: NDJSON, fields: "EventStart",
		plain: `{"code":8,"message":"quota exceeded"}`, kind: KindErrorObject, line: 1,
	},
	{name: "an error in an array", format: JSON, plain: `[{"error_message":"quota exceeded"}]`, kind: KindErrorObject},
	{
		name: "an error instead of an array", format: JSON, plain: `{"error":{"code":8}}`,
		kind: KindErrorObject, line: 1,
	},
	{
		name: "invalid UTF-8", format: NDJSON, plain: `{"EventStart":"` + at + `","a":"` + "\xc3" + `"}`,
		rows: 1, warnings: Warnings{InvalidUTF8: 1},
	},
	{
		name: "lone surrogates", format: NDJSON,
		plain: strings.Join([]string{
			`{"EventStart":"` + at + `","a":"\ud800"}`, `{"a":"\udc00\ud800"}`, `{"a":"\ud800x\udc00"}`,
			`{"a":"\ud83d\ude00"}`, `{"\ud800":1}`, `{"a":["\ud800\ud800\udc00"]}`,
		}, "\n"),
		rows: 6, warnings: Warnings{LoneSurrogates: 5, MissingTime: 5},
	},
	{
		name: "keys twice", format: NDJSON,
		plain: `{"EventStart":"` + at + `","a":1,"a":1}` + "\n" + `{"a":1,"\u0061":1}` + "\n" +
			`{"EventStart":"` + at + `","a":{"b":1,"b":1}}`,
		rows: 3, warnings: Warnings{DuplicateKeys: 2, MissingTime: 1},
	},
	{name: "escaped time key", format: NDJSON, plain: `{"Event\u0053tart":"` + at + `"}`, rows: 1},
	{
		name: "escaped time key, outside", format: NDJSON, plain: `{"Event\u0053tart":"1999-01-01T00:00:00Z"}`,
		kind: KindWindow, line: 1,
	},
	{
		name: "row of many columns", format: NDJSON,
		plain: `{"EventStart":"` + at + `"` + manyColumns(maxColumns-1) + `,"c4998":1}`, rows: 1,
		warnings: Warnings{DuplicateKeys: 1},
	},
	{
		name: "row of too many columns", format: NDJSON,
		plain: `{"EventStart":"` + at + `"` + manyColumns(maxColumns) + `}`, kind: KindColumns,
		line: 1,
	},
	{
		name: "times without zone", format: NDJSON, plain: `{"EventStart":"2026-10-01 10:00:00"}`, rows: 1,
		warnings: Warnings{TimesWithoutZone: 1},
	},
}

// TestIndividualsWithFieldsOfEvents reads files of a request for individuals that
// names fields of events, as Fullstory's own SDK does.
func TestIndividualsWithFieldsOfEvents(t *testing.T) {
	for _, test := range []struct {
		fields, header string
		kind           Kind
	}{
		{"UserId EventStart Uid PageUrl NumEvents", "Uid,NumEvents", ""},
		{"UserId EventStart Uid PageUrl NumEvents", "UserId,EventStart,Uid,PageUrl,NumEvents", ""},
		{"Uid AppName evt_x_str page_* user_*", "Uid,user_plan_str", ""},
		{"Uid UserEmail user_*", "Uid,UserVars", ""},
		{"UserId EventStart", "IndvId,Created,Uid,UserVars", ""},
		{"evt_*", "IndvId,Uid", ""},
		{"UserId Uid NumEvents", "Uid", KindColumns},
		{"UserId Uid NumEvents", "NumEvents,Uid", KindOrder},
		{"Uid UserId", "UserId,Uid", KindOrder},
		{"UserId Uid", "Uid,Email", KindColumns},
		{"EventStarts Uid", "Email", KindHeader},
		{"UserVars Uid", "Uid", KindColumns},
	} {
		names := strings.Split(test.header, ",")
		files := map[string]string{CSV: test.header + "\n" + strings.Repeat(",", len(names)-1) + "x\n"}
		if test.kind == "" { // rows of JSON may lack any column
			files[NDJSON] = `{"` + strings.Join(names, `":"x","`) + `":"x"}`
			files[JSON] = "[" + files[NDJSON] + "]"
		}
		for format, plain := range files {
			got, err := readRows(strings.NewReader(plain), RulesOf("TYPE_INDIVIDUAL", format, strings.Fields(test.fields)))
			var damage *Error
			if errors.As(err, &damage); test.kind == "" && (err != nil || got.Rows != 1) ||
				test.kind != "" && (damage == nil || damage.Kind != test.kind) {
				t.Errorf("%s, %s: got %d rows, %v, want %s", test.fields, plain, got.Rows, err, test.kind)
			}
		}
	}
	events := RulesOf("TYPE_EVENT", CSV, []string{"EventStart", "PageUrl"})
	if _, err := readRows(strings.NewReader("EventStart\n"+at+"\n"), events); err == nil {
		t.Error("a file of events may lack a column")
	}
}

func manyColumns(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"c%d":1`, i)
	}
	return b.String()
}

func TestHostileRows(t *testing.T) {
	for _, test := range hostileRows {
		r := Rules{Format: test.format, TimeColumn: "EventStart", Fields: strings.Fields(test.fields)}
		r.Start, r.End = from, until
		for how, reader := range readers(test.plain) {
			got, err := readRows(reader, r)
			var damage *Error
			switch {
			case test.kind == "":
				if err != nil || got.Rows != test.rows || got.Warnings != test.warnings {
					t.Errorf("%s, %s: got %d rows, %+v, %v, want %d, %+v",
						test.name, how, got.Rows, got.Warnings, err, test.rows, test.warnings)
				}
			case !errors.As(err, &damage):
				t.Errorf("%s, %s: accepted with %d rows, %v", test.name, how, got.Rows, err)
			case damage.Kind != test.kind || test.line > 0 && damage.Line != test.line,
				!strings.Contains(damage.Reason, test.says), strings.Contains(damage.Reason, "secret"):
				t.Errorf("%s, %s: got %s, line %d, %s; want %s, line %d, … %s", test.name, how,
					damage.Kind, damage.Line, damage.Reason, test.kind, test.line, test.says)
			}
		}
	}
}

// readers returns readers of a text that give it in different pieces.
func readers(plain string) map[string]io.Reader {
	return map[string]io.Reader{
		"at once":      strings.NewReader(plain),
		"byte by byte": iotest.OneByteReader(strings.NewReader(plain)),
		"with the end": iotest.DataErrReader(strings.NewReader(plain)),
	}
}

// TestNotChecked checks that a Summary names what could not be verified.
func TestNotChecked(t *testing.T) {
	for _, test := range []struct{ fields, plain, want string }{
		{"EventStart", `{"EventStart":"` + at + `"}`, ""},
		{
			"EventStart evt_*", `{"EventStart":"` + at + `"}`,
			"columns of evt_*: every name that begins with evt_ was accepted",
		},
		{"PageUrl", `{"PageUrl":"x"}`, "event times: there is no EventStart"},
	} {
		r := Rules{Format: NDJSON, TimeColumn: "EventStart", Fields: strings.Fields(test.fields)}
		got, err := readRows(strings.NewReader(test.plain), r)
		if err != nil || strings.Join(got.NotChecked, "; ") != test.want {
			t.Errorf("%s: got %q, %v", test.fields, got.NotChecked, err)
		}
	}
}

// TestMutatedRows mutates files at random and counts their rows independently. Both
// counts of a file that is accepted must agree.
func TestMutatedRows(t *testing.T) {
	pieces := []string{
		"\n", "\r\n", "\r", "\"", "\"\"", ",", "{", "}", "[", "]", "\x00", "\xff", "é", "x", " ", "\\", "\n\n", ":", ";",
	}
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{CSV, NDJSON, JSON}).Draw(t, "format")
		columns := rapid.IntRange(1, 3).Draw(t, "columns")
		plain := randomFile(t, format, columns)
		for range rapid.IntRange(0, 3).Draw(t, "mutations") {
			i := rapid.IntRange(0, len(plain)).Draw(t, "at")
			cut := rapid.IntRange(0, min(3, len(plain)-i)).Draw(t, "cut")
			plain = plain[:i] + rapid.SampledFrom(pieces).Draw(t, "piece") + plain[i+cut:]
		}
		got, err := readRows(strings.NewReader(plain), Rules{Format: format, Fields: []string{"a", "b", "c"}[:columns]})
		if err != nil {
			return
		}
		if want, ok := countRows(format, plain, columns); !ok || got.Rows != want {
			t.Fatalf("%q was accepted with %d rows, and has %d (%t)", plain, got.Rows, want, ok)
		}
	})
}

func randomFile(t *rapid.T, format string, columns int) string {
	names := []string{"a", "b", "c"}[:columns]
	value := rapid.SampledFrom([]string{"", "1", "x y", "\"\"", "l\nl", "é"})
	var rows []string
	for range rapid.IntRange(0, 5).Draw(t, "rows") {
		var cells []string
		for _, name := range names {
			v := value.Draw(t, "value")
			if format != CSV {
				cells = append(cells, fmt.Sprintf("%q:%q", name, v))
				continue
			}
			if strings.ContainsAny(v, "\"\n") {
				v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
			}
			cells = append(cells, v)
		}
		if format == CSV {
			rows = append(rows, strings.Join(cells, ",")+"\n")
		} else {
			rows = append(rows, "{"+strings.Join(cells, ",")+"}")
		}
	}
	switch format {
	case CSV:
		return strings.Join(names, ",") + "\n" + strings.Join(rows, "")
	case JSON:
		return "[" + strings.Join(rows, ",") + "]"
	}
	return strings.Join(rows, "\n")
}

// TestLoneSurrogates compares the scanner with package utf16 over random
// escapes.
func TestLoneSurrogates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]uint16{'a', 0xd83d, 0xdbff, 0xdc00, 0xde00, 0xe000, 0xfffe})
		units := rapid.SliceOfN(unit, 0, 6).Draw(t, "units")
		var b strings.Builder
		for _, u := range units {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
		s := scanner{b: []byte(`{"a":"` + b.String() + `"}`)}
		_, err := s.object(0, nil)
		if want := slices.Contains(utf16.Decode(units), '\ufffd'); err != nil || s.lone != want {
			t.Fatalf("%s: %t, %v", s.b, s.lone, err)
		}
	})
}
