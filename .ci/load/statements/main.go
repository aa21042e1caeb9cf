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
	"os"

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
			return load.WriteFolder(ctx, a, args[2], options)
		}
		return window(ctx, a, args[2], args[3], args[4])
	}
	return fmt.Errorf("usage: statements write|window|copy-text …")
}

func window(ctx context.Context, a *archive.Archive, folder, engine, file string) error {
	derived, err := a.OpenDerived(ctx, folder, "parquet")
	if err != nil {
		return err
	}
	defer derived.Close()
	d, err := load.Describe(ctx, derived)
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
