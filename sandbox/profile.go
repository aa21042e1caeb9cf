package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// quirks are ways in which the API may differ from what the sandbox assumes of
// it where the documentation is silent.
var quirks = []string{
	"strict_keys",  // unknown keys of a create are refused
	"any_field",    // fields that do not exist are empty columns
	"bearer",       // Authorization: Bearer is taken as well
	"head",         // HEAD works on a link
	"oldest_first", // operations are listed oldest first
}

func (c Config) has(quirk string) bool { return slices.Contains(c.Quirks, quirk) }

// profiled returns the configuration with its defaults and those of its
// profile. A profile gives way to what differs from the defaults.
func (c Config) profiled() (Config, Faults, error) {
	for _, q := range c.Quirks {
		if !slices.Contains(quirks, q) {
			return c, Faults{}, &ConfigError{fmt.Sprintf("there is no quirk %q; there are %s", q, strings.Join(quirks, ", "))}
		}
	}
	usual := Config{}.withDefaults()
	c = c.withDefaults()
	switch c.Profile {
	case "", "calm":
		return c, Faults{}, nil
	case "busy":
		c.Late = true
		replaceUsual(&c.OpTime, usual.OpTime, OpTime{least: 2 * time.Second, most: 10 * time.Second})
		replaceUsual(&c.Slots, usual.Slots, 4)
		replaceUsual(&c.Rate, usual.Rate, 5)
		replaceUsual(&c.Burst, usual.Burst, 10)
		return c, Faults{Rates: map[string]float64{"429": 0.03, "slow": 0.05}}, nil
	case "hostile":
		c.Late = true
		replaceUsual(&c.OpTime, usual.OpTime, OpTime{least: 500 * time.Millisecond, most: 4 * time.Second})
		return c, Faults{Rates: map[string]float64{
			"429": 0.03, "429_no_retry_after": 0.01, "500": 0.03, "502_html": 0.02, "reset": 0.02, "extra_keys": 0.05,
			"500_after_accept": 0.02, "reset_after_accept": 0.02,
			"failed": 0.02, "unknown_state": 0.05,
			"download:500": 0.05, "download:reset": 0.03, "cut": 0.1, "truncate": 0.03, "corrupt": 0.03, "checksum": 0.02,
			"html": 0.02, "expired_link": 0.05, "changed": 0.05, "ignore_range": 0.05,
		}}, nil
	}
	return c, Faults{}, &ConfigError{fmt.Sprintf("there is no profile %q; there are calm, busy, hostile", c.Profile)}
}

func replaceUsual[T comparable](value *T, usual, other T) {
	if *value == usual {
		*value = other
	}
}
