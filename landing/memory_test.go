//go:build linux

package landing

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"
)

var full = flag.Bool("full", false, "run the tests that take long")

// worlds are files whose conversion could take much memory: functions that write a row.
func worlds(random *rand.Rand) map[string]func(w io.Writer, row int) {
	many := func(n int, value func(row, i int) string) func(io.Writer, int) {
		return func(w io.Writer, row int) {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, `,"evt_%d_%s`, i, value(row, i))
			}
			fmt.Fprintf(w, "{%s}\n", b.String()[1:])
		}
	}
	number := func() uint64 { return random.Uint64N(1 << 62) }
	return map[string]func(io.Writer, int){
		"a shop":      nil,
		"short texts": many(100, func(row, i int) string { return fmt.Sprintf(`str":"%x"`, number()>>34) }),
		"integers":    many(100, func(row, i int) string { return fmt.Sprintf(`int":%d`, number()) }),
		"long texts":  many(20, func(row, i int) string { return fmt.Sprintf(`str":"%x%050000d"`, number(), row) }),
		"lists": many(20, func(row, i int) string {
			return fmt.Sprintf(`ints":[%s%d]`, strings.Repeat(fmt.Sprintf("%d,", number()), 500), number())
		}),
		"long lists": many(2, func(row, i int) string {
			var b strings.Builder
			for range 30_000 {
				b.WriteString([]string{"true,", "false,", "null,"}[number()%3])
			}
			return fmt.Sprintf(`bools":[%strue]`, b.String())
		}),
		"columns":        many(4990, func(row, i int) string { return fmt.Sprintf(`str":"%x"`, number()>>40) }),
		"what fits none": many(20, func(row, i int) string { return fmt.Sprintf(`int":"%x%010000d"`, number(), row) }),
	}
}

// memoryFile names the file that the child of TestMemory converts.
const memoryFile = "LANDING_TEST_MEMORY"

// TestMemoryChild converts a file for TestMemory.
func TestMemoryChild(t *testing.T) {
	path := os.Getenv(memoryFile)
	if path == "" {
		t.Skip("it is a child of TestMemory")
	}
	debug.SetMemoryLimit(130 << 20) // as the command does
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	columns, err := os.ReadFile(path + ".columns")
	if err != nil {
		t.Fatal(err)
	}
	set := columnsOf(strings.Split(string(columns), "\n"))
	convertReader(t, file, set, io.Discard)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(regexp.MustCompile(`VmHWM:.*`).FindString(string(status)))
}

// TestMemory converts large files in processes of their own, and prints the most memory
// that each needed.
func TestMemory(t *testing.T) {
	if !*full {
		t.Skip("it takes long: -full")
	}
	const seed = 7
	for name, row := range worlds(rand.New(rand.NewPCG(seed, seed))) {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/file.gz"
			plain := writeWorld(t, path, row)
			child := exec.Command(os.Args[0], "-test.run", "^TestMemoryChild$")
			child.Env = append(os.Environ(), memoryFile+"="+path)
			out, err := child.CombinedOutput()
			peak := 0.0
			if _, scan := fmt.Sscanf(string(out), "VmHWM: %f kB", &peak); err != nil || scan != nil {
				t.Fatalf("%v, %v\n%s", err, scan, out)
			}
			peak /= 1e3
			cpu := child.ProcessState.UserTime() + child.ProcessState.SystemTime()
			t.Logf("%.0f MB of rows: %.0f MB of memory, %.0f MB/s", plain/1e6, peak, plain/1e6/cpu.Seconds())
			if peak > 200 {
				t.Errorf("%.0f MB, want 200 at most", peak)
			}
		})
	}
}

// writeWorld writes about 300 MB of rows, and their columns beside them.
func writeWorld(t *testing.T, path string, row func(io.Writer, int)) (plain float64) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewWriterLevel(file, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	var first bytes.Buffer
	out := &counter{w: z}
	if row == nil {
		text := shopRows(50_000)
		first.WriteString(text)
		for out.n < 300e6 {
			_, _ = io.WriteString(out, text)
		}
	} else {
		for i := 0; out.n < 300e6; i++ {
			if i == 0 {
				row(io.MultiWriter(out, &first), i)
			} else {
				row(out, i)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	columns := strings.Join(columnsIn(t, zipped(t, first.String())), "\n")
	if err := os.WriteFile(path+".columns", []byte(columns), 0o600); err != nil {
		t.Fatal(err)
	}
	return float64(out.n)
}

// TestGroups writes more rows than a group has, and wide rows that end groups earlier.
func TestGroups(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	packed := zipped(t, strings.Repeat("{\"evt_a_int\":1}\n", groupRows)+"{\"evt_a_int\":2}\n")
	toParquet(t, packed, columnsOf([]string{"evt_a_int", "evt_b_str"}), &out)
	f, err := parquet.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	groups := f.RowGroups()
	if len(groups) != 2 || groups[0].NumRows() != groupRows || groups[1].NumRows() != 1 {
		t.Errorf("%d groups, the first of %d rows", len(groups), groups[0].NumRows())
	}
}
