package sandbox

import (
	"fmt"
	"time"
)

// withProfile returns the configuration with the defaults and the settings of its
// profile filled in, and the profile's faults. A profile overrides only fields that
// have their default value.
func (c Config) withProfile() (Config, Faults, error) {
	if err := c.checkQuirks(); err != nil {
		return c, Faults{}, err
	}
	defaults := Config{}.withDefaults()
	c = c.withDefaults()
	switch c.Profile {
	case "", "calm":
		return c, Faults{}, nil
	case "busy":
		c.Late = true
		replaceDefault(&c.OpTime, defaults.OpTime, OpTime{least: 2 * time.Second, most: 10 * time.Second})
		replaceDefault(&c.Slots, defaults.Slots, 4)
		replaceDefault(&c.Rate, defaults.Rate, 5)
		replaceDefault(&c.Burst, defaults.Burst, 10)
		return c, Faults{Rates: map[string]float64{"429": 0.03, "slow": 0.05}}, nil
	case "hostile":
		c.Late = true
		replaceDefault(&c.OpTime, defaults.OpTime, OpTime{least: 500 * time.Millisecond, most: 4 * time.Second})
		return c, Faults{Rates: map[string]float64{
			"429": 0.03, "429_no_retry_after": 0.01, "500": 0.03, "502_html": 0.02, "reset": 0.02, "extra_keys": 0.05,
			"500_after_accept": 0.02, "reset_after_accept": 0.02,
			"failed": 0.02, "unknown_state": 0.05,
			"download:500": 0.05, "download:reset": 0.03, "cut": 0.1,
			"truncate": 0.03, "corrupt": 0.03, "checksum": 0.02, "html": 0.02,
			"expired_link": 0.05, "changed": 0.05, "ignore_range": 0.05,
		}}, nil
	}
	return c, Faults{}, &ConfigError{fmt.Sprintf("unknown profile %q; the profiles are calm, busy, hostile", c.Profile)}
}

// replaceDefault sets value to replacement if it is the default one.
func replaceDefault[T comparable](value *T, standard, replacement T) {
	if *value == standard {
		*value = replacement
	}
}
