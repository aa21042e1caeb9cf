// Package sandbox simulates Fullstory: it serves the routes of its Server API that
// are needed to export a segment. The data is that of a web shop, computed from a
// seed. Any client of that API can use it.
//
// Where Fullstory's documentation is silent, a comment says "assumed".
package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"fullstory-export-mcp/local"
)

// Config configures a sandbox. The zero value of each field means its default. kong
// reads the tags; a tag cannot be broken over lines.
type Config struct {
	Seed       uint64        `help:"Seed of the simulated shop. The same seed gives the same rows." env:"SEED" default:"1" placeholder:"N" group:"Sandbox: its world"`
	Org        string        `help:"Id of the organisation that the keys belong to." env:"ORG" default:"SANDBOX" placeholder:"ID" group:"Sandbox: its world"`
	Density    float64       `help:"Events an hour on average, 10 to 1000000." env:"DENSITY" default:"600" placeholder:"N" group:"Sandbox: its world"`
	Now        time.Time     `help:"Time at which the clock starts (RFC 3339). Default: the real time." env:"NOW" placeholder:"TIME" group:"Sandbox: time"`
	Speed      float64       `help:"How many times as fast as real time the clock runs, 1 to 100000. Exports and links last as long in real time." env:"SPEED" default:"1" placeholder:"N" group:"Sandbox: time"`
	OpTime     OpTime        `help:"How long an export takes: 2s, 1s..5s, or rows/50000 (rows a second)." env:"OP_TIME" default:"1s" placeholder:"TIME" group:"Sandbox: time"`
	Slots      int           `help:"Exports that run at once. Others wait." env:"SLOTS" default:"10" placeholder:"N" group:"Sandbox: time"`
	Rate       float64       `help:"Requests a second before 429." env:"RATE" default:"20" placeholder:"N" group:"Sandbox: limits"`
	Burst      int           `help:"Requests at once before 429." env:"BURST" default:"40" placeholder:"N" group:"Sandbox: limits"`
	LinkLife   time.Duration `help:"How long a link to a file works." env:"LINK_LIFE" default:"5m" placeholder:"TIME" group:"Sandbox: time"`
	ExportLife time.Duration `help:"How long the file of an export can be fetched." env:"EXPORT_LIFE" default:"168h" placeholder:"TIME" group:"Sandbox: time"`
	State      string        `help:"Folder that keeps accepted exports. Default: none; with --sandbox, .state/sandbox in the folder of files." env:"STATE" placeholder:"FOLDER" group:"Sandbox: memory"`
	Late       bool          `help:"Make rows available as late as Fullstory does: after 30 minutes, and some after up to a day." env:"LATE" group:"Sandbox: its world"`
	Faults     string        `help:"JSON file of faults. The same JSON can be posted to /sandbox/faults." env:"FAULTS" placeholder:"FILE" group:"Sandbox: what goes wrong"`
	Profile    string        `help:"calm; busy: slower, lower limits, late rows, some 429; hostile: everything fails at times." enum:"calm,busy,hostile" default:"calm" env:"PROFILE" placeholder:"NAME" group:"Sandbox: what goes wrong"`
	Quirks     []string      `help:"Assumptions about the API to reverse: strict_keys, any_field, strict_individuals, optional_range, bearer, head, oldest_first, json_line_ends, json_lines, csv_vars, cancelled_state, end_included, no_range." env:"QUIRKS" placeholder:"NAME" group:"Sandbox: what goes wrong"`
	Data       string        `help:"File of a real export that replaces the simulated rows: a JSON array or NDJSON, may be gzipped." env:"DATA" placeholder:"FILE" group:"Sandbox: its world"`

	// OwnKeys makes the sandbox accept new random keys instead of the fixed ones, also for
	// its own routes. A sandbox that other machines reach needs it.
	OwnKeys bool `kong:"-"`
}

// withDefaults returns the configuration with the defaults filled in. kong's defaults
// in the tags must be the same.
func (c Config) withDefaults() Config {
	c.Seed = cmp.Or(c.Seed, 1)
	c.Org = cmp.Or(c.Org, "SANDBOX")
	c.Density = cmp.Or(c.Density, 600)
	c.Speed = cmp.Or(c.Speed, 1)
	c.OpTime = cmp.Or(c.OpTime, OpTime{least: time.Second, most: time.Second})
	c.Slots = cmp.Or(c.Slots, 10)
	c.Rate = cmp.Or(c.Rate, 20)
	c.Burst = cmp.Or(c.Burst, 40)
	c.LinkLife = cmp.Or(c.LinkLife, 5*time.Minute)
	c.ExportLife = cmp.Or(c.ExportLife, 7*24*time.Hour)
	return c
}

// Sandbox is one simulated Fullstory. It is an http.Handler, safe for concurrent
// use. Several sandboxes, even in several processes, may share one State folder:
// they then act as one Fullstory, except that each has its own faults and counts.
type Sandbox struct {
	config     Config
	keys       Keys
	levels     map[string]level // of the keys, before a fault changes one
	data       *data
	clock      runningClock
	faults     *faultInjector
	requestLog requestLog
	journal    *journal
	files      *fileStore
	limits     *rateLimits
	stats      *stats
	links      signer
	handler    http.Handler
	folder     string // of the state
	cleanUp    func() error

	cancelling sync.Mutex // held from the check to the entry: of two cancels, one succeeds
}

// ConfigError reports an invalid Config.
type ConfigError struct{ Reason string }

func (e *ConfigError) Error() string { return e.Reason }

// New returns a sandbox. It fails with a *ConfigError, or if a file or the state
// folder cannot be used. Close it when no request is running any more.
func New(c Config) (*Sandbox, error) {
	c, faults, err := c.withProfile()
	if err != nil {
		return nil, err
	}
	if !(c.Density >= 10 && c.Density <= 1_000_000) {
		return nil, &ConfigError{"density must be from 10 to 1000000 events an hour"}
	}
	if math.IsNaN(c.Rate) || math.IsInf(c.Rate, 0) {
		return nil, &ConfigError{"rate must be a number of requests a second"}
	}
	if c.Slots < 0 || c.Rate < 0 || c.Burst < 0 || c.LinkLife < 0 || c.ExportLife < 0 {
		return nil, &ConfigError{"slots, rate, burst and lifetimes cannot be negative"}
	}
	if !(c.Speed >= 1 && c.Speed <= mostSpeed) {
		return nil, &ConfigError{"speed must be from 1 to 100000"}
	}
	if c.Faults != "" {
		if faults, err = readFaultsFile(c.Faults); err != nil {
			return nil, err
		}
	}
	d, err := openData(c)
	if err != nil {
		return nil, err
	}
	keys := newKeys(c.OwnKeys)
	s := &Sandbox{config: c, keys: keys, levels: keys.levels(), data: d,
		limits: newRateLimits(c.Rate, c.Burst), stats: &stats{},
		faults: newFaultInjector(faults, c.Seed), cleanUp: func() error { return nil }}
	folder := c.State
	if folder == "" {
		if folder, err = os.MkdirTemp("", "fullstory-sandbox-"); err != nil {
			return nil, fmt.Errorf("the sandbox needs a temporary folder: %w", err)
		}
		temporary := folder
		s.cleanUp = func() error { return os.RemoveAll(temporary) }
	}
	if err := s.open(folder); err != nil {
		return nil, errors.Join(err, s.cleanUp())
	}
	s.handler = s.routes()
	return s, nil
}

// open opens the state in folder: secret, clock, journal and files.
func (s *Sandbox) open(folder string) error {
	if err := local.MkdirAll(folder); err != nil {
		return fmt.Errorf("state of the sandbox: %w", err)
	}
	// A user who may replace the secret or the journal can forge links and exports.
	if err := local.CheckPlace(folder); err != nil {
		return fmt.Errorf("state of the sandbox: %w", err)
	}
	for _, name := range []string{"secret", "clock.json", "journal.jsonl", "tls.pem", "tls-ca.pem"} {
		if err := local.CheckFile(filepath.Join(folder, name)); err != nil {
			return fmt.Errorf("state of the sandbox: %w", err)
		}
	}
	s.folder = folder
	var err error
	if s.links.secret, err = openSecret(filepath.Join(folder, "secret")); err != nil {
		return err
	}
	if s.clock, err = openClock(filepath.Join(folder, "clock.json"), s.config.Now, s.config.Speed); err != nil {
		return err
	}
	if s.journal, err = openJournal(filepath.Join(folder, "journal.jsonl"), s.config.Slots); err != nil {
		return err
	}
	if s.files, err = newFileStore(filepath.Join(folder, "files"), s.config.ExportLife); err != nil {
		return fmt.Errorf("state of the sandbox: %w", err)
	}
	return nil
}

// longestInClock bounds what inClock returns.
const longestInClock = 100 * 365 * 24 * time.Hour

// inClock returns how much the sandbox's clock advances in so much real time.
func (s *Sandbox) inClock(d time.Duration) time.Duration {
	return time.Duration(min(float64(d)*s.config.Speed, float64(max(d, longestInClock))))
}

// Now returns the time of the sandbox's clock, with the skew of its faults.
func (s *Sandbox) Now() time.Time {
	return s.clock.now().Add(time.Duration(s.faults.get().ClockSkew))
}

// Close stops writing files, and removes everything unless there is a State folder.
// All requests must have ended.
func (s *Sandbox) Close() error {
	s.files.close()
	return errors.Join(s.journal.close(), s.cleanUp())
}

// ServeHTTP answers one request. A fault that breaks the connection passes
// http.ErrAbortHandler on to net/http; any other panic is answered 500.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			slog.Error("sandbox failed", "path", r.URL.Path, "panic", v)
			fail(w, http.StatusInternalServerError, "server_error", "The sandbox failed. This is a bug in the sandbox.")
		}
	}()
	s.handler.ServeHTTP(w, r)
}
