package client

import (
	"testing"
	"time"
)

// TestCadence checks the interval at which operations are polled.
func TestCadence(t *testing.T) {
	var r Cadence
	if first := r.Next(); first != minInterval {
		t.Errorf("the first interval without measurements: %v", first)
	}
	for range 50 {
		r.Next()
	}
	if last := r.Next(); last != maxInterval/2 {
		t.Errorf("the longest interval without measurements: %v", last)
	}
	for length, want := range map[time.Duration]time.Duration{time.Second: minInterval,
		40 * time.Second: 10 * time.Second, time.Hour: maxInterval} {
		var r Cadence
		for range 30 {
			r.Done(length)
		}
		if got := r.Next(); got != want {
			t.Errorf("exports of %v are polled every %v, want %v", length, got, want)
		}
	}
}
