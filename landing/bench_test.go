//go:build unix

package landing

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// measured is a file to measure instead of rows that are made.
var measured = flag.String("file", "", "an .ndjson.gz file for the benchmarks")

// sample returns a gzip file of NDJSON, and the number of its plain bytes.
func sample(t testing.TB, n int) (packed []byte, plain int) {
	t.Helper()
	if *measured != "" {
		packed, err := os.ReadFile(*measured)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, z)
		if err != nil {
			t.Fatal(err)
		}
		return packed, int(n)
	}
	text := shopRows(n)
	return zipped(t, text), len(text)
}

// shopRows returns n rows of 33 columns of which each row has about 25, as those of a shop.
func shopRows(n int) string {
	var b strings.Builder
	for i := range n {
		person := 9007199254740993 + i/50*7919
		fmt.Fprintf(&b, `{"IndvId":%d,"UserId":%d,"SessionId":%d`, person, person+1, person+i/20)
		fmt.Fprintf(&b, `,"PageId":%d,"EventStart":"2026-10-01T%02d:%02d:%02d.%03dZ"`,
			i/5+1<<60, i/36000%24, i/600%60, i/10%60, i*37%1000)
		fmt.Fprintf(&b, `,"UserCreated":"2026-09-%02dT08:00:00.123Z","UserAppKey":"user-%d"`, 1+i/50%28, i/50)
		fmt.Fprintf(&b, `,"UserEmail":"person%d@example.com","UserDisplayName":"Person %d"`, i/50, i/50)
		fmt.Fprintf(&b, `,"SessionStart":"2026-10-01T0%d:00:00Z","PageStart":"2026-10-01T0%d:01:02.5Z"`, i/20%10, i/5%10)
		fmt.Fprintf(&b, `,"PageUrl":"https://shop.example.com/category/%d/product/%d?ref=home"`, i/5%30, i/5%700)
		fmt.Fprintf(&b, `,"PageUserAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/%d"`, 120+i/50%9)
		fmt.Fprintf(&b, `,"PageBrowser":"Chrome","PageDuration":%d,"PageNumErrors":%d`, i/5*31%90000, i%2)
		fmt.Fprintf(&b, `,"PageScreenWidth":1920,"PageScreenHeight":1080,"PageIp":"192.0.2.%d"`, i/50%250)
		switch i % 7 {
		case 0, 1, 2:
			fmt.Fprintf(&b, `,"EventType":"click","EventTargetText":"Add %d to the cart"`, i%900)
			b.WriteString(`,"EventTargetSelector":"div#app > main.x > section > button.primary"`)
		case 3:
			fmt.Fprintf(&b, `,"EventType":"load","LoadDomContentTime":%d,"LoadEventTime":%d`, i%1800, i%2400)
		case 4:
			fmt.Fprintf(&b, `,"EventType":"custom","EventCustomName":"Order","evt_order.total_real":%d.%02d`, i%400, i%100)
			b.WriteString(`,"evt_tags_strs":["a","b"],"evt_gift_bool":true`)
		default:
			b.WriteString(`,"EventType":"request","ReqUrl":"https://example.com/api/v1/items?x=1","ReqStatus":200`)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// cpuSeconds returns the processor time that this process has used: others share the machine.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkConvert measures a conversion in plain bytes of rows, beside the reading of the
// same rows alone.
func BenchmarkConvert(b *testing.B) {
	packed, plain := sample(b, 200_000)
	set := columnsOf(columnsIn(b, packed))
	b.Run("read", func(b *testing.B) {
		began := cpuSeconds()
		for b.Loop() {
			columnsIn(b, packed)
		}
		b.ReportMetric(float64(b.N)*float64(plain)/1e6/(cpuSeconds()-began), "MB/cpu-s")
	})
	b.Run("convert", func(b *testing.B) {
		began := cpuSeconds()
		for b.Loop() {
			toParquet(b, packed, set, io.Discard)
		}
		b.ReportMetric(float64(b.N)*float64(plain)/1e6/(cpuSeconds()-began), "MB/cpu-s")
	})
}
