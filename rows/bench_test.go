package rows

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// variedRows returns n rows as Fullstory writes them: keys that do not apply are
// absent, and texts hold more than ASCII.
func variedRows(n int) string {
	texts := []string{"Add to cart", "Größe wählen", "カートに入れる", `say \"hi\" \u00e9`, "😀 done"}
	var b strings.Builder
	for i := range n {
		at := from.Add(time.Duration(i) * 500 * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
		person := 9007199254740993 + i/50
		fmt.Fprintf(&b, `{"IndvId":%d,"UserId":%d,"SessionId":%d,"EventStart":"%s"`, person, person, i/20, at)
		switch i % 7 {
		case 0, 1, 2:
			fmt.Fprintf(&b, `,"EventType":"click","EventTargetText":"%s"`, texts[i%len(texts)])
			b.WriteString(`,"EventTargetSelector":"div#app > main.x"`)
		case 3:
			b.WriteString(`,"EventType":"load","LoadDomContentTime":812,"LoadEventTime":1034`)
		case 4:
			b.WriteString(`,"EventType":"custom","EventCustomName":"Order","evt_total_real":19.99,"evt_tags_strs":["a","b"]`)
		default:
			b.WriteString(`,"EventType":"request","ReqUrl":"https://example.com/api/v1/items?x=1"`)
			b.WriteString(`,"ReqMethod":"GET","ReqStatus":200`)
		}
		fmt.Fprintf(&b, `,"PageUrl":"https://example.com/shop/%d","PageBrowser":"Chrome"`, i%300)
		b.WriteString(`,"PageNumErrors":0,"UserEmail":""}` + "\n")
	}
	return b.String()
}

// timed are the rules of events.
var timed = Rules{Format: NDJSON, TimeColumn: "EventStart"}

func BenchmarkRows(b *testing.B) {
	for name, plain := range map[string]string{"equal": rowsOf(100_000), "varied": variedRows(100_000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				if s, err := readRows(strings.NewReader(plain), timed); err != nil || s.Rows != 100_000 {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	plain := rowsOf(100_000)
	b.Run("rows", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			if s, err := readRows(strings.NewReader(plain), timed); err != nil || s.Rows != 100_000 {
				b.Fatal(err)
			}
		}
	})
	content := zip(b, plain)
	b.Run("gzip, plain bytes", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		for b.Loop() {
			v := NewVerifier(timed)
			if _, err := v.Write(content); err != nil {
				b.Fatal(err)
			}
			if s, _, err := v.Finish(); err != nil || s.Rows != 100_000 {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkDuplicateKeys reads rows whose keys are in another order in every row, so
// that the order of the row before does not help.
func BenchmarkDuplicateKeys(b *testing.B) {
	const seed = 3
	random := rand.New(rand.NewPCG(seed, seed))
	var plain strings.Builder
	for range 20_000 {
		plain.WriteString(`{"EventStart":"` + at + `"`)
		for _, i := range random.Perm(20) {
			fmt.Fprintf(&plain, `,"column%d":%d`, i, i)
		}
		plain.WriteString("}\n")
	}
	b.SetBytes(int64(plain.Len()))
	for b.Loop() {
		if _, err := readRows(strings.NewReader(plain.String()), timed); err != nil {
			b.Fatal(err)
		}
	}
}
