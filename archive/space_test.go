package archive

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// wideMember returns a gzip member of one row and 64 kB, which is fast to verify.
func wideMember(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Extra = make([]byte, 65535)
	if _, err := z.Write([]byte(rowsOf(1))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// writeAll writes the bytes of content that p lacks, 1 MiB at a time.
func writeAll(p *Part, content []byte) error {
	size, _, _ := p.Has()
	if size == 0 {
		if err := p.Begin(tag(content), int64(len(content))); err != nil {
			return err
		}
	}
	for block := range slices.Chunk(content[size:], 1<<20) {
		if _, err := p.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// TestFreeSpaceWhileWriting lets another program fill the disk while a file is written:
// the writing ends before the reserve is used, and continues when there is space again.
func TestFreeSpaceWhileWriting(t *testing.T) {
	a, w, member := open(t), wanted(), wideMember(t)
	a.reserve = 1 << 20
	const members = 2 * checkEvery / 65536
	content := bytes.Repeat(member, members)
	asked := 0
	load := func(space uint64) Load {
		return func(_ context.Context, p *Part) (Loaded, error) {
			p.free = func(*os.File) (uint64, bool) { asked++; return space, true }
			return Loaded{}, writeAll(p, content)
		}
	}
	var disk *DiskError
	full := load(uint64(len(content)) / 2)
	_, _, err := a.BringOnce(t.Context(), w, full)
	if !errors.As(err, &disk) || !strings.Contains(err.Error(), "must stay free") {
		t.Fatalf("on a disk that fills up: %v", err)
	}
	if asked != 1 {
		t.Errorf("the free space was asked %d times", asked)
	}
	if left := leftovers(t, a, w); len(left) != 2 {
		t.Errorf("left %q, want the part and its note", left)
	}
	asked = 0
	got, _, err := a.BringOnce(t.Context(), w, load(1<<40))
	if err != nil || got.Rows != members || asked == 0 || asked > 2 {
		t.Errorf("with space again: %d rows, asked %d times, %v", got.Rows, asked, err)
	}
}
