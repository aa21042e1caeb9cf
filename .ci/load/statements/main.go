// Command statements writes what .ci/load executes. It is called as the program is, since the
// statements of PostgreSQL call that:
//
//	statements write ARCHIVE FOLDER             writes the statements of a folder of Parquet files
//	statements window ARCHIVE FOLDER ENGINE FILE prints those of one window
//	statements copy-text FILE                   prints a Parquet file as text
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/destination"
	"fullstory-export-mcp/load"
)

var options = load.Options{Table: "events", Version: "test"}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "copy-text":
		return copyText(ctx, args[1])
	case len(args) == 3 && args[0] == "write", len(args) == 5 && args[0] == "window":
		a, err := archive.Open(args[1])
		if err != nil {
			return err
		}
		if args[0] == "write" {
			return write(ctx, a, args[2])
		}
		return window(ctx, a, args[2], args[3], args[4])
	}
	return fmt.Errorf("usage: statements write|window|copy-text …")
}

// write writes the statements of a folder, in place of earlier ones.
func write(ctx context.Context, a *archive.Archive, folder string) error {
	derived, err := a.OpenDerived(ctx, folder, "parquet")
	if err != nil {
		return err
	}
	defer derived.Close()
	d, err := load.Describe(ctx, derived, nil)
	if err != nil {
		return err
	}
	texts, err := load.Generate(d, options)
	if err != nil {
		return err
	}
	for _, engine := range load.Engines() {
		old, _ := filepath.Glob(filepath.Join(a.Path(folder, "parquet"), load.Folder, engine+"-*.sql"))
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for name, text := range texts {
		err := derived.Write(load.Folder+"/"+name, int64(len(text)), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func window(ctx context.Context, a *archive.Archive, folder, engine, file string) error {
	derived, err := a.OpenDerived(ctx, folder, "parquet")
	if err != nil {
		return err
	}
	defer derived.Close()
	d, err := load.Describe(ctx, derived, nil)
	if err != nil {
		return err
	}
	text, err := load.Window(d, options, engine, file)
	fmt.Print(text)
	return err
}

func copyText(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := columnar.Open(file)
	if err != nil {
		return err
	}
	_, err = destination.CopyText(ctx, os.Stdout, f, nil)
	return err
}
