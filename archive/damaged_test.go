package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"fullstory-export-mcp/rows"
)

// TestKeepDamaged keeps a complete file that fails verification, wherever it is
// damaged, with a note that says why.
func TestKeepDamaged(t *testing.T) {
	t.Parallel()
	sound := zip(t, rowsOf(20_000))
	bitFlip := bytes.Clone(sound)
	bitFlip[len(bitFlip)-6] ^= 1
	for name, test := range map[string]damagedFile{
		"early": {zip(t, `{"EventStart":"1999-01-01T00:00:00Z"}`+"\n"+rowsOf(20_000)), rows.KindWindow, 1},
		"late":  {zip(t, rowsOf(20_000)+`{"EventStart":"soon"}`), rows.KindTime, 20_001},
		"HTML":  {[]byte("<html>" + strings.Repeat("x", 1<<20)), rows.KindGzip, 0},
		"gzip":  {bitFlip, rows.KindGzip, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, w := open(t), wanted()
			w.KeepDamaged = true
			half := func(_ context.Context, p *Part) (Loaded, error) {
				return Loaded{}, errors.Join(send(p, test.content, len(test.content)/2), errCut)
			}
			if _, _, err := a.BringOnce(t.Context(), w, half); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			_, _, err := a.BringOnce(t.Context(), w, whole(test.content))
			test.checkKept(t, a, w, err)
			if left := leftovers(t, a, w); len(left) != 1 || left[0] != rejected {
				t.Errorf("the folder has %q", left)
			}
			var damage *rows.Error
			again, _, err := a.BringOnce(t.Context(), w, whole(test.content))
			if !errors.As(err, &damage) || damage.Kind != test.kind {
				t.Errorf("the second time: %+v, %v", again, err)
			}
			if err := a.UpdateManifest(t.Context(), w.Folder, func(*Manifest) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if c, err := Check(t.Context(), a.Path(w.Folder, ""), nil); err != nil || len(c.Faults) > 0 {
				t.Errorf("verify: %v, %v", c.Faults, err)
			}
		})
	}
}

// damagedFile is a file that fails verification with an error of this kind and line.
type damagedFile struct {
	content []byte
	kind    rows.Kind
	line    int64
}

// checkKept checks the error of a damaged file, the file that was kept, and its note.
func (f damagedFile) checkKept(t *testing.T, a *Archive, w Wanted, err error) {
	t.Helper()
	var damage *rows.Error
	if !errors.As(err, &damage) || damage.Kind != f.kind || damage.Line != f.line {
		t.Fatalf("got %v, %+v", err, damage)
	}
	if !strings.HasPrefix(damage.Kept, ".rejected/") || !strings.HasSuffix(damage.Kept, "_"+w.Name) {
		t.Fatalf("it is kept as %q", damage.Kept)
	}
	path := a.Path(w.Folder, damage.Kept)
	if on, err := os.ReadFile(path); err != nil || !bytes.Equal(on, f.content) {
		t.Errorf("kept %d of %d bytes, %v", len(on), len(f.content), err)
	}
	var note rejection
	raw, err := os.ReadFile(path + ".json")
	if err != nil || json.Unmarshal(raw, &note) != nil {
		t.Fatalf("the note is %s, %v", raw, err)
	}
	want := rejection{
		Name: w.Name, Kind: f.kind, Reason: damage.Reason, Line: f.line, OperationID: w.OperationID,
		Bytes: int64(len(f.content)), SHA256: sumOf(f.content), At: note.At,
	}
	if note != want || note.At.IsZero() {
		t.Errorf("the note is %+v, want %+v", note, want)
	}
}

// TestIncompleteIsNotKept checks that a file is not kept as damaged if the connection
// broke before its end.
func TestIncompleteIsNotKept(t *testing.T) {
	content := zip(t, `{"EventStart":"1999-01-01T00:00:00Z"}`+"\n"+rowsOf(20_000))
	a, w := open(t), wanted()
	w.KeepDamaged = true
	_, _, err := a.BringOnce(t.Context(), w, func(_ context.Context, p *Part) (Loaded, error) {
		if err := p.Begin("", int64(len(content))); err != nil {
			return Loaded{}, err
		}
		if _, err := p.Write(content[:len(content)-1]); err != nil {
			return Loaded{}, err
		}
		return Loaded{}, errCut
	})
	if err != errCut {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(a.Path(w.Folder, ".rejected")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was kept: %v", err)
	}
}

func sumOf(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }
