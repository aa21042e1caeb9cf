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
)

// runningClock is the real one, or one that started at an instant of choice and runs
// on from there.
type runningClock struct {
	Start time.Time `json:"start"` // what it showed; zero: the real clock
	Began time.Time `json:"began"` // when it showed that
}

func (c runningClock) now() time.Time {
	if c.Start.IsZero() {
		return time.Now()
	}
	return c.Start.Add(time.Since(c.Began))
}

// keepClock returns a clock that starts at start. One that was started there
// before, as the file at path remembers, runs on, so that time does not go
// back when a sandbox is started again.
func keepClock(path string, start time.Time) (runningClock, error) {
	if start.IsZero() {
		return runningClock{}, nil
	}
	var kept runningClock
	raw, err := os.ReadFile(path)
	if err == nil && json.Unmarshal(raw, &kept) == nil && kept.Start.Equal(start) {
		return kept, nil
	}
	c := runningClock{Start: start, Began: time.Now()}
	if raw, err = json.Marshal(c); err != nil {
		return runningClock{}, err
	}
	return c, keep(path, raw)
}

// keepSecret returns the secret in the file at path, made if missing. Of several
// processes that make it at once, all return that of the first.
func keepSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		temporary := path + "." + cryptoText()
		if err := keep(temporary, []byte(cryptoText())); err != nil {
			return nil, err
		}
		defer os.Remove(temporary)
		if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("state of the sandbox: %w", err)
		}
		secret, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("state of the sandbox: %w", err)
	}
	if len(secret) < 16 {
		return nil, fmt.Errorf("%s is damaged; remove the folder to start anew", path)
	}
	return secret, nil
}

func keep(path string, content []byte) error {
	temporary := path + "." + cryptoText()
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("state of the sandbox: %w", err)
	}
	return os.Rename(temporary, path)
}

func cryptoText() string { return crand.Text() }

// OpTime is how long an export takes.
type OpTime struct {
	least, most   time.Duration // equal: always so long
	rowsPerSecond float64       // if not 0, as long as its rows take
}

// UnmarshalText reads 2s, 1s..5s or rows/50000.
func (o *OpTime) UnmarshalText(text []byte) error {
	given := string(text)
	if per, ok := strings.CutPrefix(given, "rows/"); ok {
		rate, err := strconv.ParseFloat(per, 64)
		if err != nil || rate <= 0 {
			return fmt.Errorf("%q: write rows/50000 for so many rows a second", given)
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

// of returns the time for an export, drawn with random.
func (o OpTime) of(rows int64, random *rand.Rand) time.Duration {
	if o.rowsPerSecond > 0 {
		return time.Duration(float64(rows) / o.rowsPerSecond * float64(time.Second))
	}
	return o.least + time.Duration(random.Int64N(int64(o.most-o.least)+1))
}
