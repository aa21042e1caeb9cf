package destination

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/gzip"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/rows"
)

// folder is a folder of an archive whose Parquet files are loaded.
type folder struct {
	*archive.Archive
	t testing.TB
	m archive.Manifest
}

func newFolder(t testing.TB, dir string) *folder {
	t.Helper()
	a, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &folder{a, t, archive.Manifest{BulkID: "b", Request: json.RawMessage(`{"format":"FORMAT_NDJSON"}`)}}
}

// put stores the rows of a day of October 2026, in place of any that it has.
func (f *folder) put(day int, plain string) {
	f.t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(plain)); err != nil {
		f.t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		f.t.Fatal(err)
	}
	sum := sha256.Sum256(packed.Bytes())
	start := time.Date(2026, 10, day, 0, 0, 0, 0, time.UTC)
	entry := archive.File{
		Name: archive.FileName(start, start.AddDate(0, 0, 1), ".ndjson.gz"), Start: start.Format(time.RFC3339),
		End: start.AddDate(0, 0, 1).Format(time.RFC3339), Bytes: int64(packed.Len()), SHA256: hex.EncodeToString(sum[:]),
	}
	s, err := rows.EachRow(bytes.NewReader(packed.Bytes()), "", func(rows.Row) error { return nil })
	if err != nil {
		f.t.Fatal(err)
	}
	entry.Columns = s.Columns
	f.remove(entry.Name)
	f.m.Files = append(f.m.Files, entry)
	if err := f.WriteManifest(f.t.Context(), "bulk", f.m); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.Path("bulk", entry.Name), packed.Bytes(), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) remove(name string) {
	f.m.Files = slices.DeleteFunc(f.m.Files, func(o archive.File) bool { return o.Name == name })
}

// convert makes the Parquet files and returns their paths.
func (f *folder) convert() []string {
	f.t.Helper()
	if _, err := landing.Convert(f.t.Context(), f.Archive, "bulk", landing.Options{}, nil); err != nil {
		f.t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(f.Path("bulk", landing.Folder), "day=*", "*.parquet"))
	if err != nil {
		f.t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

// address returns the address of the PostgreSQL server for tests.
func address(t testing.TB) string {
	t.Helper()
	found := os.Getenv("FULLSTORY_EXPORT_TEST_POSTGRES")
	if found == "" {
		t.Skip("FULLSTORY_EXPORT_TEST_POSTGRES is not set")
	}
	return found
}

// with returns an address with another parameter.
func with(address, parameter string) string {
	if strings.Contains(address, "?") {
		return address + "&" + parameter
	}
	return address + "?" + parameter
}

// server is a schema of the server, with a connection of its own.
type server struct {
	*pgx.Conn
	t      testing.TB
	schema string
}

func newServer(t testing.TB) *server {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, with(address(t), "timezone=UTC"))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{conn, t, strings.ToLower("load_" + rand.Text()[:10])}
	s.exec("CREATE SCHEMA " + s.schema)
	t.Cleanup(func() {
		s.exec("DROP SCHEMA " + s.schema + " CASCADE")
		conn.Close(ctx)
	})
	return s
}

func (s *server) table() string { return s.schema + ".events" }

func (s *server) exec(sql string) {
	s.t.Helper()
	if _, err := s.Exec(context.Background(), sql); err != nil {
		s.t.Fatal(err)
	}
}

// text returns the only row of a query, with | between its columns.
func (s *server) text(columns, rest string) string {
	s.t.Helper()
	var found string
	sql := fmt.Sprintf("SELECT coalesce(concat_ws('|', %s), 'NULL') FROM %s %s", columns, s.table(), rest)
	if err := s.QueryRow(context.Background(), sql).Scan(&found); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return found
}

func (s *server) number(sql string) (n int) {
	s.t.Helper()
	if err := s.QueryRow(context.Background(), sql).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// opened opens the server as a destination.
func opened(t testing.TB, address string) *Destination {
	t.Helper()
	d, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// filesAt returns the files at paths. One that cannot be read has the name of its file alone.
func filesAt(paths ...string) (files []File) {
	for _, path := range paths {
		f := File{Path: path, Window: strings.TrimSuffix(filepath.Base(path), columnar.Suffix)}
		if file, err := os.Open(path); err == nil {
			if p, err := columnar.Open(file); err == nil {
				f.Window, f.Start, f.End, f.SHA256 = p.Window, p.Start, p.End, p.SHA256
			}
			file.Close()
		}
		files = append(files, f)
	}
	return files
}

func (d *Destination) update(t testing.TB, table string, files []string) Result {
	t.Helper()
	return d.updateFiles(t, table, filesAt(files...))
}

func (d *Destination) updateFiles(t testing.TB, table string, files []File) Result {
	t.Helper()
	r, err := d.Update(t.Context(), table, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
