package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/rows"
)

// mostHeap is the most memory that a Builder may keep of any file, in bytes, and mostOf100
// that of one with 100 columns.
const (
	mostHeap  = 40_000_000
	mostOf100 = 20_000_000
)

// wide writes rows of so many columns, each with another text of a length.
func wide(w io.Writer, rows, columns, length int) {
	for row := range rows {
		io.WriteString(w, "{")
		for c := range columns {
			if c > 0 {
				io.WriteString(w, ",")
			}
			fmt.Fprintf(w, `"column_%d":"%0*d"`, c, length, row*columns+c)
		}
		io.WriteString(w, "}\n")
	}
}

// TestMemory profiles files that need as much memory as they can.
func TestMemory(t *testing.T) {
	for _, test := range []struct {
		name    string
		most    int64
		write   func(w io.Writer)
		columns int
		leftOut int64
	}{
		{"100 columns of ids", mostOf100, func(w io.Writer) { wide(w, 2000, 100, LongestValue) }, 100, 0},
		{"4000 columns of ids", mostHeap, func(w io.Writer) { wide(w, 300, 4000, 60) }, MostColumns, 3000},
		{"1000 columns of long texts", mostHeap, func(w io.Writer) { wide(w, 900, 1000, 300) }, MostColumns, 0},
		{"a key a million times", mostHeap, func(w io.Writer) {
			io.WriteString(w, `{"a":1`+strings.Repeat(`,"a":1`, 1_000_000)+"}\n")
		}, 1, 0},
		{"a text of 12 MB with escapes", mostHeap, func(w io.Writer) {
			io.WriteString(w, `{"a":"`+strings.Repeat(`\u00e9`, 2_000_000)+`"}`+"\n")
		}, 1, 0},
		{"100,000 types of events", mostHeap, func(w io.Writer) {
			for i := range 100_000 {
				fmt.Fprintf(w, `{"EventType":"type %d"}`+"\n", i)
			}
		}, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			test.write(z)
			z.Close()
			before := heap()
			b := NewBuilder()
			_, _, damage, err := rows.Verify(bytes.NewReader(packed.Bytes()), rows.Rules{Observer: b})
			if damage != nil || err != nil {
				t.Fatal(damage, err)
			}
			kept := heap() - before
			runtime.KeepAlive(packed)
			p := b.Profile(&Source{Name: "f"})
			raw, err := p.Encode()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.1f MB kept, file of %.1f MB", float64(kept)/1e6, float64(len(raw))/1e6)
			if kept > test.most || len(raw) > MostBytes || len(p.Columns) != test.columns || p.ColumnsLeftOut != test.leftOut {
				t.Errorf("%d bytes kept, file of %d, %d columns, %d left out", kept, len(raw), len(p.Columns), p.ColumnsLeftOut)
			}
			if _, err := Parse(raw, *p.Source); err != nil {
				t.Errorf("read back: %v", err)
			}
			if n := p.Columns[0].Present; n != p.Rows {
				t.Errorf("the first column is in %d of %d rows", n, p.Rows)
			}
		})
	}
}

// TestRejected gives a Builder files that are rejected, before or while their rows are
// read.
func TestRejected(t *testing.T) {
	var columns bytes.Buffer
	wide(&columns, 1, 10_000, 1)
	for name, plain := range map[string]string{
		"10,000 columns":     columns.String(),
		"a name of 1 MB":     `{"` + strings.Repeat("x", 1<<20) + `":1}`,
		"a header of 1 MB":   strings.Repeat("x", 1<<20) + ",b\n1,2\n",
		"cut in a row":       `{"a":1}` + "\n" + `{"a":`,
		"cut in a cell":      "a,b\n1,\"2",
		"cells without name": "a,b\n1,2,3\n",
		"not an object":      `{"a":1}` + "\n[1]",
	} {
		b := NewBuilder()
		err := observed([]byte(plain), rows.Rules{Observer: b})
		if damage, ok := errors.AsType[*rows.Error](err); !ok || damage.Kind == rows.KindVerification {
			t.Errorf("%s: %v", name, err)
		}
		b.Profile(nil)
	}
}

// TestHostileJSON profiles rows that are valid and unusual.
func TestHostileJSON(t *testing.T) {
	long := `"` + strings.Repeat(`é`, 300_000) + `"` // more than is read at first
	for name, plain := range map[string]string{
		"nested":      `{"a":` + strings.Repeat(`[{"b":`, 4000) + "1" + strings.Repeat("}]", 4000) + `}`,
		"long rows":   strings.Join([]string{`{"a":1,"b":` + long + `}`, `{"a":2,"b":` + long + `,"a":3}`, `{"c":4}`}, "\n"),
		"surrogates":  `{"a":"\ud800","b":"\udc00\ud800"}`,
		"twice":       `{"a":1,"a":null}` + "\n" + `{"a":null,"a":"x"}` + "\n" + `{"a":"","a":[]}`,
		"empty names": `{"":1,"\u0000":2}` + "\n" + `{}`,
		"no rows":     ``,
		"controls":    `{"a":"\u0000\u001b[2J\u202e","EventType":"\u0000"}`,
	} {
		t.Run(name, func(t *testing.T) {
			recountFile(t, client.FormatNDJSON, []byte(plain)).check(t, profiled(t, client.FormatNDJSON, []byte(plain)))
		})
	}
	p := profiled(t, client.FormatNDJSON, []byte("{\"a\":\"\xff\xfe\",\"b\":[\"\xff\"],\"EventType\":\"\xff\"}"))
	if p.Columns[0].Texts.Max != "\ufffd\ufffd" || p.Columns[1].Top[0].Value != "[\"\ufffd\"]" ||
		p.Events[0].Type != "\ufffd" {
		t.Errorf("what is not UTF-8 became %+v", p)
	}
}

// TestHostileCSV profiles cells that look like values of other types.
func TestHostileCSV(t *testing.T) {
	cells := []string{
		"NaN", "nan", "Infinity", "-inf", "0x10", "+1", " 1", "1 ", "١", "1,5", "1_000", "01", ".5", "5.", "1e", "-", "--1",
		"TRUE", "null", "[", "]", "[]", "[ ]", "[1", "{}", "{", `{"a":1}`, `"x"`, "1e5", "-0", "9223372036854775808",
		strings.Repeat("9", 400), "2026-10-01T00:00:00Z", "2026-13-01T00:00:00Z", "\x00", "=1+1",
	}
	types := []string{"evt_a_str", "evt_a_int", "evt_a_real", "evt_a_bool", "evt_a_date", "UserVars", "EventModFrustrated"}
	var plain strings.Builder
	plain.WriteString(strings.Join(types, ",") + "\r\n")
	for i := range cells {
		for j := range types {
			if j > 0 {
				plain.WriteString(",")
			}
			plain.WriteString(`"` + strings.ReplaceAll(cells[(i+j)%len(cells)], `"`, `""`) + `"`)
		}
		plain.WriteString("\r\n")
	}
	p := profiled(t, client.FormatCSV, []byte(plain.String()))
	n := int64(len(cells))
	if k := p.Column("evt_a_str").Kinds; k != (Kinds{String: n}) {
		t.Errorf("texts: %+v", k)
	}
	if k := p.Column("evt_a_int").Kinds; k != (Kinds{String: n - 4, Integer: 3, Real: 1}) {
		t.Errorf("integers: %+v", k)
	}
	reals := Range{"-0", "9223372036854775808"}
	if c := p.Column("evt_a_real"); c.TooLong != 1 || c.BeyondInt64 != 2 || *c.Numbers != reals {
		t.Errorf("reals: %+v %+v", c, c.Numbers)
	}
	if k := p.Column("evt_a_bool").Kinds; k != (Kinds{String: n}) {
		t.Errorf("booleans: %+v", k)
	}
	if k := p.Column("evt_a_date").Kinds; k != (Kinds{String: n - 1, Time: 1}) {
		t.Errorf("times: %+v", k)
	}
	if c := p.Column("UserVars"); c.Kinds != (Kinds{String: n - 2, Object: 1}) || c.Empty != 1 {
		t.Errorf("objects: %+v", c)
	}
	// 01, and two numbers that are larger than any count of clicks.
	if p.Frustration != (Frustration{RageClicks: 1, RageClickRows: 3, LongestRageClick: mostMark}) {
		t.Errorf("frustration: %+v", p.Frustration)
	}
	twice := profiled(t, client.FormatCSV, []byte("a,b,a\n1,2,3\n4,5,6\n"))
	if c := twice.Column("a"); len(twice.Columns) != 2 || *c.Texts != (Range{"3", "6"}) || c.Present != 2 {
		t.Errorf("a name that is there twice: %+v", twice.Columns)
	}
	blank := profiled(t, client.FormatCSV, []byte("a\n\n\nx\n\n"))
	if c := blank.Column("a"); blank.Rows != 4 || c.Present != 4 || c.Empty != 3 {
		t.Errorf("blank lines: %d rows, %+v", blank.Rows, c)
	}
}

// TestNotUTF8 profiles types and names that are not UTF-8: each counts as what it is shown as.
func TestNotUTF8(t *testing.T) {
	odd := profiled(t, client.FormatNDJSON, []byte("{\"EventType\":\"a\xff\",\"b\xff\":1}\n"+
		"{\"EventType\":\"a\xff\",\"b\xfe\":2}\n{\"EventType\":\"a\ufffd\",\"EventModError\":-1}\n"))
	if diff := cmp.Diff([]EventCount{{"a\ufffd", 3}}, odd.Events); diff != "" || odd.Errors.ByMark.Other != 1 {
		t.Errorf("types that are not UTF-8: %s, %+v", diff, odd.Errors)
	}
	if c := odd.Column("b\ufffd"); len(odd.Columns) != 3 || c.Present != 2 || c.Kinds.Integer != 2 {
		t.Errorf("names that differ only in bytes that are not UTF-8: %+v", odd.Columns)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
