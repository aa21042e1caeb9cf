package archive

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"fullstory-export-mcp/rows"
)

// TestSchema compares the schema of random files with one that is counted column by
// column.
func TestSchema(t *testing.T) {
	names := []string{"EventStart", "UserId", "evt_a_int", "evt_b_strs", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		var m Manifest
		for i := range rapid.IntRange(0, 15).Draw(t, "files") {
			f := File{Name: fmt.Sprint(i), Rows: rapid.Int64Range(0, 2).Draw(t, "rows"), Bytes: 7, Columns: []string{}}
			if f.Rows > 0 {
				f.Columns = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 6, rapid.ID).Draw(t, "columns")
				f.Filled = fmt.Sprintf("%02x", rapid.IntRange(0, 63).Draw(t, "filled"))
			}
			f.ColumnsSHA256 = columnsSum(f.Columns)
			m.Files = append(m.Files, f)
		}
		got := m.sharingColumns().described(nil)
		if n := len(got.Schema); n > len(names) || got.SchemaLeftOut != 0 {
			t.Fatalf("%d columns", n)
		}
		var total Totals
		for _, f := range m.Files {
			total = Totals{total.Files + 1, total.Rows + f.Rows, total.Bytes + f.Bytes}
		}
		if *got.Totals != total {
			t.Errorf("totals are %+v, want %+v", *got.Totals, total)
		}
		for _, name := range names {
			want, there := schemaColumn(m, name)
			at := slices.IndexFunc(got.Schema, func(c SchemaColumn) bool { return c.Name == name })
			if there != (at >= 0) {
				t.Errorf("%s is in a file: %v, and in the schema at %d", name, there, at)
			} else if there && fmt.Sprint(got.Schema[at]) != fmt.Sprint(want) {
				t.Errorf("got %+v, want %+v", got.Schema[at], want)
			}
		}
	})
}

// schemaColumn returns the column of a schema, and whether any file with rows has it.
func schemaColumn(m Manifest, name string) (c SchemaColumn, there bool) {
	c = SchemaColumn{Name: name, Type: rows.TypeOf(name)}
	for _, f := range m.Files {
		i := slices.Index(f.Columns, name)
		switch {
		case f.Rows == 0:
		case i < 0:
			c.Missing, c.Nullable = c.Missing+1, true
			c.MissingIn = append(c.MissingIn, f.Name)
		default:
			there = true
			c.Nullable = c.Nullable || !f.fills(i)
		}
	}
	c.MissingIn = c.MissingIn[:min(len(c.MissingIn), mostMissing)]
	return c, there
}

// TestLargeSchema describes files with more columns than a schema has, and many files
// whose columns are in another order each.
func TestLargeSchema(t *testing.T) {
	var m Manifest
	for i := range 5 {
		f := File{Name: fmt.Sprint(i), Rows: 1}
		for c := range 1500 {
			f.Columns = append(f.Columns, fmt.Sprintf("evt_%d_%d_str", i, c))
		}
		m.Files = append(m.Files, f)
	}
	if d := m.described(nil); len(d.Schema) != mostSchema || d.SchemaLeftOut != 5*1500-mostSchema {
		t.Errorf("%d columns, %d left out", len(d.Schema), d.SchemaLeftOut)
	}
	listed := 0
	for _, c := range m.described(nil).Schema {
		listed += len(c.MissingIn)
	}
	if listed != mostMissingAll {
		t.Errorf("%d files are named, want %d", listed, mostMissingAll)
	}
	m.Files = []File{{Name: "x", Rows: 1}}
	for c := range 1000 {
		m.Files[0].Columns = append(m.Files[0].Columns, fmt.Sprint(c, strings.Repeat("x", 490)))
	}
	if d := m.described(nil); d.SchemaLeftOut < 400 || len(d.Schema) < 500 {
		t.Errorf("long names: %d columns, %d left out", len(d.Schema), d.SchemaLeftOut)
	}
}

// BenchmarkDescribed describes 100,000 files of 100 columns, in other orders.
func BenchmarkDescribed(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	var m Manifest
	for i := range 100_000 {
		f := File{Name: fmt.Sprint(i), Rows: 1, Filled: strings.Repeat("ff", 13)}
		for _, c := range random.Perm(100) {
			if random.IntN(10) > 0 {
				f.Columns = append(f.Columns, fmt.Sprintf("evt_%d_str", c))
			}
		}
		f.ColumnsSHA256 = fmt.Sprint(i)
		m.Files = append(m.Files, f)
	}
	for b.Loop() {
		if d := m.described(nil); len(d.Schema) != 100 {
			b.Fatal(len(d.Schema))
		}
	}
}
