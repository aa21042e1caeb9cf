package profile

import (
	"bytes"
	"strings"
	"testing"

	"fullstory-export-mcp/rows"
)

// FuzzParse reads profiles that anybody may have written. None makes the program panic;
// one that can be read has the same JSON when it is written, and adds up.
func FuzzParse(f *testing.F) {
	b := NewBuilder()
	plain := `{"a":1,"EventType":"click","evt_d_date":"2026-10-01T00:00:00Z","b":[1]}` + "\n" + `{"a":"x"}`
	if err := observed([]byte(plain), rows.Rules{Observer: b}); err != nil {
		f.Fatal(err)
	}
	source := Source{Name: "f", Bytes: 1, SHA256: "x"}
	raw, err := b.Profile(&source).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	for _, change := range [][2]string{
		{`"count":1`, `"count":-1`}, {`"present":`, `"present":9`}, {`"rows":2`, `"rows":9223372036854775807`},
		{`"sketch":"`, `"sketch":"A`},
		{`"version":1`, `"version":2`}, {`"min":"`, `"min":"x`}, {`[`, `[[`}, {`{`, ``}, {`"top":[`, `"top":[null,`},
		{`"columns":[`, `"columns":null,"x":[`}, {`"name":"b"`, `"name":"a"`},
	} {
		f.Add([]byte(strings.Replace(string(raw), change[0], change[1], -1)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := Parse(raw, source)
		if err != nil {
			return
		}
		first, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(first, source)
		if err != nil {
			t.Fatalf("%v: %s", err, first)
		}
		if second, _ := again.Encode(); !bytes.Equal(first, second) {
			t.Errorf("%s\nbecomes\n%s", first, second)
		}
		again.Add(p)
		again.Add(p)
	})
}

// FuzzBuilder profiles files of every format. None makes the program panic, and every
// profile of an accepted file can be read back.
func FuzzBuilder(f *testing.F) {
	for _, plain := range []string{
		`{"a":1,"b":"\ud800","c":[{}],"d":null}`, `[{"EventType":"click"},{"EventModFrustrated":1.0}]`,
		"a,b\n1,\"x\ny\"\n", "a\n\n",
		`{"evt_a_int":1e999999999999999999999,"evt_b_date":"2026-10-01T00:00:00Z","a":"` + "\xff" + `"}`,
	} {
		for format := range 4 {
			f.Add([]byte(plain), byte(format))
		}
	}
	formats := []string{rows.NDJSON, rows.JSON, rows.CSV, ""}
	f.Fuzz(func(t *testing.T, plain []byte, format byte) {
		b := NewBuilder()
		err := observed(plain, rows.Rules{Format: formats[int(format)%len(formats)], Observer: b})
		source := Source{Name: "f"}
		raw, failed := b.Profile(&source).Encode()
		if failed != nil {
			t.Fatal(failed)
		}
		if err != nil {
			return
		}
		if _, err := Parse(raw, source); err != nil {
			t.Errorf("%v: %s", err, raw)
		}
	})
}
