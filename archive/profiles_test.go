package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/profile"
)

// TestBringWritesProfile brings files with their profiles: for their owner alone, copied
// after the file, and replaced with it.
func TestBringWritesProfile(t *testing.T) {
	a, w := open(t), wanted()
	var copied []string
	w.Copy = func(_ context.Context, f File, content io.ReaderAt) error {
		raw, err := io.ReadAll(io.NewSectionReader(content, 0, f.Bytes+1))
		if err != nil || sumOf(raw) != f.SHA256 || int64(len(raw)) != f.Bytes {
			t.Errorf("%s was copied with another content, %v", f.Name, err)
		}
		copied = append(copied, f.Name)
		return nil
	}
	file, _, err := a.BringOnce(t.Context(), w, whole(zip(t, rowsOf(30))))
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Profile(w.Folder, file)
	if err != nil || p.Rows != 30 || p.Column("Text").Distinct.Estimate() != 30 || *p.Source != sourceOf(file) {
		t.Errorf("got %+v, %v", p, err)
	}
	info, err := os.Stat(a.Path(w.Folder, file.Profile))
	if err != nil || info.Mode() != 0o600 || file.Profile != ProfileName(w.Name) {
		t.Errorf("the profile is %v, %v", info, err)
	}
	if _, _, err := a.BringOnce(t.Context(), w, unused(t)); err != nil {
		t.Fatal(err)
	}
	if want := []string{w.Name, file.Profile, w.Name, file.Profile}; !slices.Equal(copied, want) {
		t.Errorf("copied %q, want %q", copied, want)
	}

	w.OperationID = "other="
	conflict := &ConflictError{}
	if _, _, err := a.Bring(t.Context(), w, whole(zip(t, rowsOf(31)))); !errors.As(err, &conflict) {
		t.Errorf("another file: %v", err)
	}
	if _, err := a.Profile(w.Folder, file); err != nil {
		t.Errorf("after a conflict: %v", err)
	}
	w.Replace = true
	second, _, err := a.Bring(t.Context(), w, whole(zip(t, rowsOf(31))))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := a.Profile(w.Folder, second); err != nil || p.Rows != 31 {
		t.Errorf("after a replacement: %+v, %v", p, err)
	}
	if _, err := a.Profile(w.Folder, file); !errors.Is(err, profile.ErrStale) {
		t.Errorf("of the file before: %v", err)
	}
	if _, err := a.SetAside(w.Folder, w.Name, from); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Profile(w.Folder, second); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a file that was set aside: %v", err)
	}
}

// checked checks the folder x, which must agree with its manifest.
func checked(t *testing.T, a *Archive) Checked {
	t.Helper()
	c, err := Check(t.Context(), a.Path("x", ""), nil)
	if err != nil || len(c.Faults) > 0 {
		t.Fatal(c.Faults, err)
	}
	return c
}

// TestCheckMakesProfiles damages profiles in every way that a crash or a user may: those
// are not used, and Check makes them again.
func TestCheckMakesProfiles(t *testing.T) {
	a := open(t)
	folderOf(t, a, events, zip(t, rowsOf(3)), zip(t, rowsOf(5)))
	if c := checked(t, a); c.Profiled != 2 || c.Unprofiled != nil {
		t.Fatalf("%d profiles were made, %v", c.Profiled, c.Unprofiled)
	}
	m, err := a.Manifest("x")
	if err != nil {
		t.Fatal(err)
	}
	path := a.Path("x", ProfileName(m.Files[0].Name))
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(a.Path("x", ProfileName(m.Files[1].Name)))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "cut at the start": raw[:1], "cut in the middle": raw[:len(raw)/2], "cut at the end": raw[:len(raw)-2],
		"zeros": make([]byte, len(raw)), "of another file": other,
		"of another version": replaced(raw, `"version":1`, `"version":2`),
		"a list without end": []byte(strings.Repeat("[", 1<<20)),
	} {
		damagedProfile(t, a, name, path, content)
		checkRemade(t, a, name, path, raw)
	}
	// One that was changed and fits together cannot be told from a true one until the file is read.
	if err := os.WriteFile(path, replaced(raw, `"rows":3`, `"rows":4`), 0o600); err != nil {
		t.Fatal(err)
	}
	checkRemade(t, a, "other counts", path, raw)
	if err := os.WriteFile(path+".part", raw[:10], 0o600); err != nil { // as a killed process leaves it
		t.Fatal(err)
	}
	gone := a.Path("x", ProfileName("gone.gz"))
	if err := os.WriteFile(gone, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if c := checked(t, a); c.Profiled != 0 {
		t.Errorf("%d profiles were made of whole ones", c.Profiled)
	}
	if _, err := os.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the profile of a file that is gone: %v", err)
	}
	sum, without, err := a.FolderProfile(t.Context(), "x", m.Files)
	if err != nil || sum.Rows != 8 || sum.Files != 2 || without != nil || sum.Column("Text").Distinct.Estimate() != 5 {
		t.Errorf("of the folder: %+v, without %q, %v", sum, without, err)
	}
}

// damagedProfile writes content as the profile of the first of two files. It is not used.
func damagedProfile(t *testing.T, a *Archive, name, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := a.Manifest("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Profile("x", m.Files[0]); err == nil {
		t.Errorf("%s: it was read", name)
	}
	sum, without, err := a.FolderProfile(t.Context(), "x", m.Files)
	if err != nil || sum.Rows != 5 || len(without) != 1 {
		t.Errorf("%s: of the folder: %d rows, without %q, %v", name, sum.Rows, without, err)
	}
}

// checkRemade checks the folder x, which makes one profile again.
func checkRemade(t *testing.T, a *Archive, name, path string, want []byte) {
	t.Helper()
	if c := checked(t, a); c.Profiled != 1 {
		t.Errorf("%s: %d profiles were made", name, c.Profiled)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, want) {
		t.Errorf("%s: the profile is not as before, %v", name, err)
	}
}

func replaced(raw []byte, old, by string) []byte {
	return bytes.ReplaceAll(raw, []byte(old), []byte(by))
}

// TestUnwritableProfiles checks folders in which no profile can be written: the files
// still agree, and nothing outside the folder is changed.
func TestUnwritableProfiles(t *testing.T) {
	outside := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"a file":             func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a link outside":     func(path string) error { return os.Symlink(outside, path) },
		"a link to nothing":  func(path string) error { return os.Symlink("nothing", path) },
		"a folder of a name": func(path string) error { return os.MkdirAll(filepath.Join(path, "000.gz.json"), 0o700) },
	} {
		a := open(t)
		folderOf(t, a, events, zip(t, rowsOf(3)))
		if err := make(a.Path("x", profilesFolder)); err != nil {
			t.Fatal(err)
		}
		if c := checked(t, a); c.Files != 1 || c.Profiled != 0 || c.Unprofiled == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside there is %v, %v", left, err)
	}
	a := open(t)
	folderOf(t, a, events, zip(t, rowsOf(3)))
	secret := filepath.Join(outside, "secret")
	if err := errors.Join(os.Mkdir(a.Path("x", profilesFolder), 0o700), os.WriteFile(secret, []byte("s"), 0o600),
		os.Symlink(secret, a.Path("x", ProfileName("000.gz")))); err != nil {
		t.Fatal(err)
	}
	if c := checked(t, a); c.Profiled != 1 {
		t.Errorf("in place of a link: %+v", c)
	}
	if raw, err := os.ReadFile(secret); err != nil || string(raw) != "s" {
		t.Errorf("the target of the link has %q, %v", raw, err)
	}
}

// TestFolderProfileEnds cancels the profile of a folder.
func TestFolderProfileEnds(t *testing.T) {
	a := open(t)
	folderOf(t, a, events, zip(t, rowsOf(3)))
	m, err := a.Manifest("x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := a.FolderProfile(ctx, "x", m.Files); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, _, err := a.FolderProfile(t.Context(), "y", m.Files); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	if _, err := a.Profile("x", File{Name: "../x"}); err == nil {
		t.Error("a name outside the folder was read")
	}
}

// TestUpgrade writes a manifest of version 1 again: it says what one says that was written
// today. A folder with a difference stays as it is.
func TestUpgrade(t *testing.T) {
	a := open(t)
	plain := `{"EventStart":"2026-10-01T03:00:00.50+02:00","a":1}` + "\n" +
		`{"EventStart":"2026-10-01T05:00:00.120Z","a":null}`
	folderOf(t, a, events, zip(t, plain))
	old := func(f *File) {
		f.FirstEvent, f.LastEvent, f.Filled, f.Profile = "2026-10-01T01:00:00.5Z", "2026-10-01T05:00:00.12Z", "", ""
		f.RowsByHour = nil
	}
	asVersion1(t, a, old)
	upgrade := func() (faults []Fault, upgraded bool) {
		c, upgraded, err := Upgrade(t.Context(), a.Path("x", ""), "v9", nil, func(f Fault) { faults = append(faults, f) })
		if err != nil || c.Listed != 1 {
			t.Fatal(c, err)
		}
		return faults, upgraded
	}
	if m, err := a.Manifest("x"); err != nil || !m.Outdated() {
		t.Fatalf("before: %+v, %v", m, err)
	}
	if faults, upgraded := upgrade(); !upgraded || len(faults) > 0 {
		t.Fatalf("upgraded: %v, %v", upgraded, faults)
	}
	m, err := a.Manifest("x")
	if err != nil || m.Version != 2 || m.Program != "v9" || m.Outdated() || m.WrittenAt.IsZero() {
		t.Errorf("after: %+v, %v", m, err)
	}
	want := File{
		Name: "000.gz", FirstEvent: "2026-10-01T03:00:00.50+02:00", LastEvent: "2026-10-01T05:00:00.120Z", Filled: "01",
		Profile: ".profile/000.gz.json", Columns: []string{"EventStart", "a"}, Rows: 2,
		ColumnsSHA256: columnsSum([]string{"EventStart", "a"}), RowsByHour: []int64{1, 0, 0, 0, 1},
	}
	want.Start, want.End, want.Bytes, want.SHA256 = m.Files[0].Start, m.Files[0].End, m.Files[0].Bytes, m.Files[0].SHA256
	want.ExportedAt = m.Files[0].ExportedAt
	if fmt.Sprint(m.Files[0]) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", m.Files[0], want)
	}
	if got := fmt.Sprint(m.Schema); got != "[{EventStart time false 0 []} {a string true 0 []}]" || m.Totals.Rows != 2 {
		t.Errorf("schema %s, %+v", got, m.Totals)
	}
	if _, err := a.Profile("x", m.Files[0]); err != nil {
		t.Error(err)
	}

	asVersion1(t, a, old)
	if err := os.WriteFile(a.Path("x", "001.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	faults, upgraded := upgrade()
	if m, err := a.Manifest("x"); upgraded || len(faults) != 1 || err != nil || m.Version != 1 {
		t.Errorf("with a difference: upgraded %v, %v, version %d, %v", upgraded, faults, m.Version, err)
	}
}
