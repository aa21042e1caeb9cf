//go:build unix

package profile

import (
	"bytes"
	"flag"
	"syscall"
	"testing"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/rows"
)

var hours = flag.Int("hours", 2, "how many hours of events BenchmarkProfile reads; a day has 750 MB")

// BenchmarkProfile verifies a file of the sandbox, of 20,000 events an hour, without and
// with a profile by turns, and prints how much more time of the processor that takes: at
// most 1.6 times.
func BenchmarkProfile(b *testing.B) {
	for _, format := range []client.Format{client.FormatNDJSON, client.FormatCSV} {
		content := exported(b, 20_000, eventsOf(from, from.Add(time.Duration(*hours)*time.Hour), format))
		plain := len(unzip(b, content))
		rules := rows.RulesOf("TYPE_EVENT", string(format), nil)
		b.Run(string(format), func(b *testing.B) {
			b.SetBytes(int64(plain))
			var alone, profiled time.Duration
			for b.Loop() {
				alone += verify(b, content, rules)
				rules := rules
				builder := NewBuilder()
				rules.Observer = builder
				profiled += verify(b, content, rules)
			}
			mb := float64(plain) * float64(b.N) / 1e6
			b.ReportMetric(mb/alone.Seconds(), "MB/s-alone")
			b.ReportMetric(mb/profiled.Seconds(), "MB/s-profiled")
			b.ReportMetric(profiled.Seconds()/alone.Seconds(), "ratio")
		})
		b.Run(string(format)+"/memory", func(b *testing.B) {
			for b.Loop() {
				rules := rules
				builder := NewBuilder()
				rules.Observer = builder
				before := heap()
				verify(b, content, rules)
				b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
				p := builder.Profile(nil)
				raw, err := p.Encode()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(raw))/1e3, "kB-file")
				b.ReportMetric(float64(len(p.Columns)), "columns")
			}
		})
	}
}

// verify returns the time of the processor that the verification of a file takes.
func verify(b *testing.B, content []byte, rules rows.Rules) time.Duration {
	b.Helper()
	began := used(b)
	if _, _, damage, err := rows.Verify(bytes.NewReader(content), rules); damage != nil || err != nil {
		b.Fatal(damage, err)
	}
	return used(b) - began
}

// used returns the time of the processor that this process has used.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
