package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type window struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// chunked exports a day as a whole and in two chunks, and compares the rows.
func (c *conversation) chunked(ctx context.Context) error {
	day := window{"2026-10-25", "2026-10-26"}
	var plan struct {
		Chunks []window `json:"chunks"`
	}
	arguments := object{"time_range": day, "chunk": "PT12H30M", "timezone": "Europe/Berlin"}
	if err := c.call(ctx, "plan_time_chunks", arguments, &plan); err != nil {
		return err
	}
	if len(plan.Chunks) != 2 {
		return fmt.Errorf("the day on which clocks go back is cut into %d chunks of 12.5 hours", len(plan.Chunks))
	}
	whole, err := c.fetched(ctx, day, day)
	if err != nil {
		return err
	}
	var parts []string
	for _, chunk := range plan.Chunks {
		rows, err := c.fetched(ctx, chunk, day)
		if err != nil {
			return err
		}
		parts = append(parts, rows...)
	}
	slices.Sort(whole)
	slices.Sort(parts)
	if len(whole) == 0 || !slices.Equal(whole, parts) {
		return fmt.Errorf("the day has %d rows, and its chunks have others: %d", len(whole), len(parts))
	}
	c.outcome = fmt.Sprintf("%d rows whole and in %d chunks", len(whole), len(plan.Chunks))
	return nil
}

// fetched exports a window and returns the rows of the stored file.
func (c *conversation) fetched(ctx context.Context, w, segmentWindow window) ([]string, error) {
	var made struct {
		OperationID string `json:"operation_id"`
	}
	if err := c.call(ctx, "create_segment_export", object{
		"segment_id": c.segment, "type": "TYPE_SESSIONS", "time_range": w, "segment_time_range": segmentWindow,
		"timezone": "Europe/Berlin",
	}, &made); err != nil {
		return nil, err
	}
	var file struct {
		State   string `json:"state"`
		Summary string `json:"summary"`
		Path    string `json:"path"`
		Rows    int    `json:"rows"`
	}
	for file.State == "" || file.State == "waiting" || file.State == "downloading" {
		arguments := object{"operation_id": made.OperationID, "wait_seconds": 10}
		if err := c.call(ctx, "download_export", arguments, &file); err != nil {
			return nil, err
		}
	}
	if file.State != "stored" {
		return nil, errors.New(file.Summary)
	}
	var operation struct {
		State string `json:"state"`
	}
	if err := c.call(ctx, "get_export_operation", object{"operation_id": made.OperationID}, &operation); err != nil {
		return nil, err
	}
	if operation.State != "COMPLETED" {
		return nil, fmt.Errorf("the operation of a stored file is %s", operation.State)
	}
	rows, err := readLines(file.Path)
	if err == nil && len(rows) != file.Rows {
		err = fmt.Errorf("%s has %d rows, download_export says %d", file.Path, len(rows), file.Rows)
	}
	return rows, err
}

// readLines returns the lines of a gzip file that are not empty.
func readLines(path string) ([]string, error) {
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(unpacked)
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' }), err
}

// bulk exports three days in chunks of two hours, and checks that changes are announced
// and that the manifest has all files.
func (c *conversation) bulk(ctx context.Context) error {
	var started struct {
		BulkID string `json:"bulk_id"`
		Chunks int    `json:"chunks"`
	}
	if err := c.call(ctx, "start_bulk_export", object{
		"segment_id": c.segment, "type": "TYPE_SESSIONS", "time_range": window{"2026-10-24", "2026-10-27"},
		"timezone": "Europe/Berlin", "chunk": "PT2H", "name": "by " + c.name,
	}, &started); err != nil {
		return err
	}
	if started.Chunks != 37 {
		return fmt.Errorf("three days of 73 hours are cut into %d chunks of 2 hours", started.Chunks)
	}
	uri := "fullstory-export://bulk/" + started.BulkID
	if err := c.session.Subscribe(ctx, &mcp.SubscribeParams{URI: uri}); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	rows, err := c.finished(ctx, started.BulkID)
	if err != nil {
		return err
	}
	select {
	case changed := <-c.updated:
		if changed != uri {
			return fmt.Errorf("%s is announced, but was not subscribed to", changed)
		}
	case <-time.After(5 * time.Second):
		return errors.New("no change of the bulk export was announced")
	}
	var manifest struct {
		Files []struct {
			Rows int `json:"rows"`
		} `json:"files"`
	}
	text, err := c.read(ctx, uri+"/manifest")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), &manifest); err != nil {
		return err
	}
	listed := 0
	for _, file := range manifest.Files {
		listed += file.Rows
	}
	if len(manifest.Files) != 37 || listed != rows {
		return fmt.Errorf("the manifest has %d files of %d rows, not 37 of %d", len(manifest.Files), listed, rows)
	}
	c.outcome += fmt.Sprintf(", %d in bulk in %d, %d changes announced", rows, len(manifest.Files), len(c.updated)+1)
	return nil
}

// finished waits until a bulk export is complete and returns its number of rows.
func (c *conversation) finished(ctx context.Context, id string) (int, error) {
	var status struct {
		State   string `json:"state"`
		Summary string `json:"summary"`
		Rows    int    `json:"rows"`
	}
	for range 5 {
		arguments := object{"bulk_id": id, "wait_seconds": 20}
		if err := c.call(ctx, "get_bulk_export", arguments, &status); err != nil {
			return 0, err
		}
		if status.State != "running" {
			break
		}
	}
	if status.State != "complete" {
		return 0, fmt.Errorf("the bulk export is %s: %s", status.State, status.Summary)
	}
	return status.Rows, nil
}
