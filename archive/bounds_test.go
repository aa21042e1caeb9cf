package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"fullstory-export-mcp/rows"
)

func TestFileNamesAreChecked(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, ManifestName, ".lock"} {
		a, w := open(t), wanted()
		w.Name = name
		if _, _, err := a.BringOnce(t.Context(), w, unused(t)); err == nil {
			t.Errorf("%q was accepted", name)
		}
		if _, err := os.Stat(a.Dir()); err == nil {
			t.Errorf("%q: something was written", name)
		}
	}
}

// endsLater is a context that is canceled after a number of calls of Err.
type endsLater struct {
	context.Context
	left atomic.Int32
}

func (e *endsLater) Err() error {
	if e.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestResumingCanBeCancelled cancels Bring while it verifies the bytes of an earlier
// attempt, which takes minutes if there are many.
func TestResumingCanBeCancelled(t *testing.T) {
	content := zip(t, rowsOf(20_000))
	a, w := open(t), wanted()
	half := len(content) / 2
	dir := filepath.Join(a.Dir(), w.Folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	note := fmt.Appendf(nil, `{"operation":"op=","etag":%q,"total":%d}`, tag(content), len(content))
	for name, b := range map[string][]byte{w.Name + ".part": content[:half], w.Name + ".part.json": note} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := &endsLater{Context: t.Context()}
	ctx.left.Store(4) // one call before the part is opened, the others between its blocks
	if _, _, err := a.BringOnce(ctx, w, unused(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if kept, err := os.ReadFile(filepath.Join(dir, w.Name+".part")); err != nil || !bytes.Equal(kept, content[:half]) {
		t.Fatalf("the part has %d bytes, want %d: %v", len(kept), half, err)
	}
	got, _, err := a.BringOnce(t.Context(), w, func(ctx context.Context, p *Part) (Loaded, error) {
		if size, _, _ := p.Has(); size != int64(half) {
			t.Errorf("the part has %d bytes, want %d", size, half)
		}
		return whole(content)(ctx, p)
	})
	if err != nil || got.Rows != 20_000 {
		t.Errorf("got %d rows, %v", got.Rows, err)
	}
}

// TestPublishedPartIsDone closes a published part after another of its name was opened,
// which must stay.
func TestPublishedPartIsDone(t *testing.T) {
	root, err := open(t).folder("x", true)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	first, err := openPart(t.Context(), root, "f", "op=", rows.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Write(zip(t, "{}")); err != nil {
		t.Fatal(err)
	}
	if err := first.publish(); err != nil {
		t.Fatal(err)
	}
	second, err := openPart(t.Context(), root, "f", "op=", rows.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	first.close()
	if _, err := root.Stat("f.part"); err != nil {
		t.Errorf("the part of the second is gone: %v", err)
	}
}
