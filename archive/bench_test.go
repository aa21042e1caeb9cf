package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// BenchmarkCheck verifies a folder with one core and with all of them, and reports MB/s
// of unpacked rows. N cores should reach 0.9 N times the speed of one.
func BenchmarkCheck(b *testing.B) {
	plain := rowsOf(100_000)
	content := zip(b, plain)
	sum := sha256.Sum256(content)
	all := runtime.GOMAXPROCS(0)
	const files = 16
	a := open(b)
	err := a.UpdateManifest(b.Context(), "x", func(m *Manifest) error {
		for i := range files {
			name := fmt.Sprintf("%02d.ndjson.gz", i)
			if err := os.WriteFile(filepath.Join(a.Dir(), "x", name), content, 0o600); err != nil {
				return err
			}
			m.put(File{Name: name, Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Rows: 100_000})
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, cores := range []int{1, all} {
		b.Run(fmt.Sprintf("cores=%d", cores), func(b *testing.B) {
			runtime.GOMAXPROCS(cores)
			defer runtime.GOMAXPROCS(all)
			b.SetBytes(int64(files * len(plain)))
			for b.Loop() {
				if c, err := Check(b.Context(), filepath.Join(a.Dir(), "x"), nil); err != nil || c.Files != files {
					b.Fatal(c.Faults, err)
				}
			}
		})
	}
}
