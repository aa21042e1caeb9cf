package sandbox

import "time"

// rhythm says how busy each hour of the week is, in UTC from Monday 00:00,
// relative to an average hour: the 168 weights average 1.
type rhythm [7 * 24]float64

func newRhythm() *rhythm {
	// Nights are quiet, noon and the evening are busy, weekends a little less so.
	hours := [24]float64{3, 2, 1, 1, 2, 4, 8, 14, 22, 28, 31, 32, 30, 29, 29, 28, 27, 27, 29, 32, 33, 27, 15, 7}
	days := [7]float64{100, 98, 99, 101, 96, 72, 80}
	var week rhythm
	var sum float64
	for i := range week {
		week[i] = days[i/24] * hours[i%24]
		sum += week[i]
	}
	for i := range week {
		week[i] *= float64(len(week)) / sum
	}
	return &week
}

// at returns the weight of an hour, counted from the Unix epoch.
func (w *rhythm) at(hour int64) float64 {
	const thursday = 3 * 24 // the weekday of 1970-01-01
	return w[(hour+thursday)%(7*24)]
}

const (
	minuteMs = int64(time.Minute / time.Millisecond)
	hourMs   = 60 * minuteMs
	dayMs    = 24 * hourMs
)
