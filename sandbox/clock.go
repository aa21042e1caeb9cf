package sandbox

import (
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"fullstory-export-mcp/local"
)

// runningClock is the real clock, or one that started at a chosen instant and runs from
// there, in real time or faster. The zero value is the real clock.
type runningClock struct {
	Start time.Time `json:"start"`           // the instant it showed at Began; zero: the real clock
	Began time.Time `json:"began"`           // in real time
	Speed float64   `json:"speed,omitempty"` // 0: as fast as real time
}

// now returns the time that the clock shows.
func (c runningClock) now() time.Time {
	if c.Start.IsZero() {
		return time.Now()
	}
	passed := time.Since(c.Began)
	if c.Speed > 0 {
		passed = time.Duration(float64(passed) * c.Speed)
	}
	return c.Start.Add(passed)
}

// mostSpeed bounds the speed of a clock: its instants must not exceed what a time.Duration
// since the start can express within a day.
const mostSpeed = 100_000

// openClock returns a clock that starts at start, or, if start is zero, the real clock, or with a
// speed one that starts now. If the file at path records a clock with the same start and
// speed, that clock continues, so that time does not go back when a sandbox is restarted.
func openClock(path string, start time.Time, speed float64) (runningClock, error) {
	if speed == 1 {
		speed = 0
	}
	if start.IsZero() && speed == 0 {
		return runningClock{}, nil
	}
	var kept runningClock
	raw, err := local.ReadFile(path, maxState)
	if err == nil && json.Unmarshal(raw, &kept) == nil && kept.Speed == speed &&
		(kept.Start.Equal(start) || start.IsZero()) {
		return kept, nil
	}
	c := runningClock{Start: start, Began: time.Now(), Speed: speed}
	if start.IsZero() {
		c.Start = c.Began.UTC()
	}
	if raw, err = json.Marshal(c); err != nil {
		return runningClock{}, err
	}
	return c, writeState(path, raw)
}

// maxState is the most bytes of a file of the state that is read whole.
const maxState = 1 << 20

// openSecret returns the secret in the file at path and creates it if missing.
func openSecret(path string) ([]byte, error) {
	secret, err := createOnce(path, func() ([]byte, error) { return []byte(crand.Text()), nil })
	if err != nil {
		return nil, err
	}
	if len(secret) < 16 {
		return nil, fmt.Errorf("%s is damaged; remove the folder to start again", path)
	}
	return secret, nil
}

// createOnce returns the content of the file at path and creates the file with what
// content returns if it is missing. A hard link makes the creation atomic: of several
// processes that create it at once, one wins and all return its content.
func createOnce(path string, content func() ([]byte, error)) ([]byte, error) {
	kept, err := local.ReadFile(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		fresh, err := content()
		if err != nil {
			return nil, err
		}
		temporary := path + "." + crand.Text()
		if err := writeState(temporary, fresh); err != nil {
			return nil, err
		}
		defer os.Remove(temporary)
		err = os.Link(temporary, path)
		if errors.Is(err, fs.ErrExist) {
			return createOnce(path, content)
		}
		if err != nil {
			return nil, fmt.Errorf("state of the sandbox: %w", err)
		}
		return fresh, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state of the sandbox: %w", err)
	}
	return kept, nil
}

// writeState replaces the file at path atomically. Concurrent writers do not share
// a temporary file.
func writeState(path string, content []byte) error {
	temporary := path + "." + crand.Text()
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("state of the sandbox: %w", err)
	}
	return os.Rename(temporary, path)
}

// OpTime is how long an export takes. The zero value means the default, 1 s.
type OpTime struct {
	least, most   time.Duration // bounds of a uniform draw; equal: fixed
	rowsPerSecond float64       // if not 0, the time follows from the number of rows
}

// UnmarshalText reads 2s, 1s..5s or rows/50000.
func (o *OpTime) UnmarshalText(text []byte) error {
	given := string(text)
	if per, ok := strings.CutPrefix(given, "rows/"); ok {
		rate, err := strconv.ParseFloat(per, 64)
		if err != nil || rate <= 0 {
			return fmt.Errorf("%q: write rows/50000 for 50000 rows a second", given)
		}
		*o = OpTime{rowsPerSecond: rate}
		return nil
	}
	least, most, between := strings.Cut(given, "..")
	if !between {
		most = least
	}
	from, err := time.ParseDuration(least)
	to, err2 := time.ParseDuration(most)
	if err != nil || err2 != nil || from < 0 || to < from || to == 0 {
		return fmt.Errorf("%q: write a time such as 2s, a range such as 1s..5s, or rows/50000", given)
	}
	*o = OpTime{least: from, most: to}
	return nil
}

// of returns the time for an export of so many rows, drawn with random.
func (o OpTime) of(rows int64, random *rand.Rand) time.Duration {
	if o.rowsPerSecond > 0 {
		return time.Duration(float64(rows) / o.rowsPerSecond * float64(time.Second))
	}
	return o.least + time.Duration(random.Int64N(int64(o.most-o.least)+1))
}
