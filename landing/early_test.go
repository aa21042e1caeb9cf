package landing

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestDictionaries gives a dictionary to columns whose values repeat, also those that the
// first rows lack.
func TestDictionaries(t *testing.T) {
	t.Parallel()
	var plain strings.Builder
	for i := range earlyRows + 1000 {
		fmt.Fprintf(&plain, `{"evt_unique_int":%d,"evt_few_int":%d`, i, i%9)
		fmt.Fprintf(&plain, `,"evt_unique_str":"x%d","evt_few_str":"x%d"`, i, i%9)
		if i > earlyRows {
			plain.WriteString(`,"evt_late_str":"y"`)
		}
		plain.WriteString("}\n")
	}
	packed := zipped(t, plain.String())
	var out bytes.Buffer
	toParquet(t, packed, columnsOf(columnsIn(t, packed)), &out)
	f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var with []string
	for _, c := range f.Metadata().RowGroups[0].Columns {
		if c.MetaData.DictionaryPageOffset > 0 {
			with = append(with, c.MetaData.PathInSchema[0])
		}
	}
	if want := []string{"evt_few_int", "evt_few_str", "evt_late_str"}; !slices.Equal(with, want) {
		t.Errorf("dictionaries of %v, want %v", with, want)
	}
	if got := parquetRows(t, out.Bytes()); len(got) != earlyRows+1000 || got[7]["evt_unique_str"] != "x7" {
		t.Errorf("%d rows, the eighth %v", len(got), got[7])
	}
}

// TestDictionaryMemory estimates the memory of dictionaries.
func TestDictionaryMemory(t *testing.T) {
	t.Parallel()
	const seed = 11
	random := rand.New(rand.NewPCG(seed, seed))
	for distinct, want := range map[int]int{10: 10, 1000: 1000, 100_000: 100_000} {
		all := 0
		d := newDictionary(&all)
		values := make([]int64, distinct)
		for i := range values {
			values[i] = random.Int64()
		}
		for range 2 {
			for _, v := range values {
				d.number(v)
			}
			if distinct > marks/4 {
				break // values that return count again
			}
		}
		if n := all / (entryBytes + 8*copies); n < want*7/10 || n > want {
			t.Errorf("%d distinct numbers count as %d", distinct, n)
		}
	}
}
